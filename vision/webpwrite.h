// WebP written; reading is in vision/codec.h.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "vision/image.h"

namespace duet {

// Lossy, with alpha. quality 0..100. xmp: an XMP packet to carry along; empty: none.
std::vector<uint8_t> encode_webp(const Image& image, int quality, std::string_view xmp = {});

}  // namespace duet
