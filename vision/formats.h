// One decoder per format, for codec.cc, which has already checked max_bytes and the magic. Names and errors as there.
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "vision/codec.h"

namespace duet {

Image decode_jpeg(std::span<const uint8_t> bytes, const std::string& name, const Limits& limits);
Image decode_png(std::span<const uint8_t> bytes, const std::string& name, const Limits& limits);
Image decode_webp(std::span<const uint8_t> bytes, const std::string& name, const Limits& limits);

// Refuses an empty picture and one larger than the limits.
void check_size(int64_t width, int64_t height, const std::string& name, const Limits& limits);

}  // namespace duet
