// WebP written; reading is in vision/codec.h.
#pragma once
#include <cstdint>
#include <vector>

#include "vision/image.h"

namespace duet {

// Lossy, with alpha. quality 0..100.
std::vector<uint8_t> encode_webp(const Image& image, int quality);

}  // namespace duet
