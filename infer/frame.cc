#include "infer/frame.h"

#include <algorithm>

#include "kernels/error.h"
#include "vision/transform.h"

namespace duet {
namespace {

// The colour in the middle of these pixels where nine of ten are opaque; else none.
std::vector<uint8_t> ground(const std::vector<const uint8_t*>& pixels) {
  std::vector<uint8_t> of[3];
  for (const uint8_t* p : pixels)
    if (p[3] >= 250)
      for (int c = 0; c < 3; ++c) of[c].push_back(p[c]);
  if (of[0].size() * 10 < pixels.size() * 9) return {0, 0, 0, 0};
  std::vector<uint8_t> out;
  for (auto& values : of) {
    std::nth_element(values.begin(), values.begin() + int64_t(values.size() / 2), values.end());
    out.push_back(values[values.size() / 2]);
  }
  out.push_back(255);
  return out;
}

void fill(Image& image, int x0, int y0, int x1, int y1, const std::vector<uint8_t>& color) {
  for (int y = y0; y < y1; ++y)
    for (int x = x0; x < x1; ++x) std::copy_n(color.data(), 4, image.at(x, y));
}

// Fills what lies beside the picture in its box, each margin as the picture's line next to it.
void fill_margins(Image& out, const Fitted& box) {
  const auto& [x, y, width, height] = box;
  const auto line = [&](bool first) {
    std::vector<const uint8_t*> p;
    for (int i = 0; i < (x ? height : width); ++i)
      p.push_back(x ? out.at(first ? x : x + width - 1, y + i) : out.at(x + i, first ? y : y + height - 1));
    return ground(p);
  };
  if (x) fill(out, 0, 0, x, out.height, line(true)), fill(out, x + width, 0, out.width, out.height, line(false));
  else if (y) fill(out, 0, 0, out.width, y, line(true)), fill(out, 0, y + height, out.width, out.height, line(false));
}

}  // namespace

bool can_frame(int w, int h) { return std::min(w, h) >= kLeastSide && std::max(w, h) <= kMostSide && w <= 4 * h && h <= 4 * w; }

Image framed(const Image& square, int width, int height) {
  CHECK(square.width == square.height, "a square, got ", square.width, " x ", square.height);
  const int side = std::min(width, height), x = (width - side) / 2, y = (height - side) / 2;
  const Image scaled = resize(square, side, side);
  if (width == height) return scaled;
  Image out = crop(scaled, -x, -y, width, height);
  fill_margins(out, {x, y, side, side});
  return out;
}

Image squared(const Image& picture, int side) {
  const Fitted p = fitted_in_square(picture.width, picture.height, side);
  Image out = fit_square(picture, side);
  fill_margins(out, p);
  return out;
}

std::vector<uint8_t> stretched(const std::vector<uint8_t>& change, int width, int height, int to_width, int to_height) {
  if (width == to_width && height == to_height) return change;
  std::vector<uint8_t> out(size_t(to_width) * size_t(to_height));
  for (int y = 0; y < to_height; ++y)
    for (int x = 0; x < to_width; ++x) {
      // What changes anywhere below a pixel changes it.
      const int x0 = int(int64_t(x) * width / to_width), x1 = std::max(x0 + 1, int(int64_t(x + 1) * width / to_width));
      const int y0 = int(int64_t(y) * height / to_height), y1 = std::max(y0 + 1, int(int64_t(y + 1) * height / to_height));
      uint8_t any = 0;
      for (int j = y0; j < std::min(y1, height); ++j)
        for (int i = x0; i < std::min(x1, width); ++i) any |= change[size_t(j) * size_t(width) + size_t(i)];
      out[size_t(y) * size_t(to_width) + size_t(x)] = any;
    }
  return out;
}

std::vector<uint8_t> squared(const std::vector<uint8_t>& change, int width, int height, int side) {
  const Fitted p = fitted_in_square(width, height, side);
  const auto inside = stretched(change, width, height, p.width, p.height);
  std::vector<uint8_t> out(size_t(side) * size_t(side), 0);
  for (int y = 0; y < p.height; ++y)
    std::copy_n(inside.data() + size_t(y) * size_t(p.width), p.width,
                out.data() + size_t(y + p.y) * size_t(side) + size_t(p.x));
  return out;
}

Image unsquared(const Image& square, int width, int height) {
  const Fitted p = fitted_in_square(width, height, square.width);
  return resize(crop(square, p.x, p.y, p.width, p.height), width, height);
}

}  // namespace duet
