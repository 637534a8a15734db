#include "vision/exif.h"

#include <cstring>
#include <utility>

namespace duet {

int exif_orientation(std::span<const uint8_t> tiff) {
  if (tiff.size() < 8) return 1;
  bool little = tiff[0] == 'I' && tiff[1] == 'I';
  if (!little && !(tiff[0] == 'M' && tiff[1] == 'M')) return 1;
  auto u16 = [&](size_t at) -> uint32_t { return little ? tiff[at] | tiff[at + 1] << 8 : tiff[at] << 8 | tiff[at + 1]; };
  auto u32 = [&](size_t at) -> uint32_t { return little ? u16(at) | u16(at + 2) << 16 : u16(at) << 16 | u16(at + 2); };
  if (u16(2) != 42) return 1;
  size_t at = u32(4);
  if (at + 2 > tiff.size()) return 1;
  size_t entries = u16(at);
  at += 2;
  // An entry is tag(2), type(2), count(4), value(4); orientation is a SHORT (3) held in the value.
  for (size_t i = 0; i < entries && at + 12 <= tiff.size(); ++i, at += 12) {
    if (u16(at) != 0x0112) continue;
    uint32_t value = u16(at + 8);
    return u16(at + 2) == 3 && value >= 1 && value <= 8 ? int(value) : 1;
  }
  return 1;
}

Image turn_upright(Image image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  const int w = image.width, h = image.height;
  const bool sideways = orientation >= 5;
  Image out(sideways ? h : w, sideways ? w : h);
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      // The source pixel of (x, y): swap the axes for 5..8, then run the ones that go backwards.
      int sx = sideways ? y : x, sy = sideways ? x : y;
      if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8) sx = w - 1 - sx;
      if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) sy = h - 1 - sy;
      std::memcpy(out.at(x, y), image.at(sx, sy), 4);
    }
  }
  return out;
}

}  // namespace duet
