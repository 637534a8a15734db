// Image: what every decoder gives and every encoder takes. 8-bit RGBA, straight (not premultiplied) alpha.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace duet {

struct Image {
  int width = 0, height = 0;
  std::vector<uint8_t> rgba;  // (H,W,4)

  Image() = default;
  Image(int w, int h) : width(w), height(h), rgba(size_t(w) * h * 4) {}  // transparent black
  uint8_t* at(int x, int y) { return rgba.data() + (size_t(y) * width + x) * 4; }
  const uint8_t* at(int x, int y) const { return rgba.data() + (size_t(y) * width + x) * 4; }
  bool empty() const { return rgba.empty(); }
};

}  // namespace duet
