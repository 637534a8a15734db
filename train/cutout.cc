#include "train/cutout.h"

#include <algorithm>
#include <vector>

namespace duet {
namespace {

constexpr int kWhite = 250;   // darkest channel of paper; JPEG moves it by a few steps
constexpr int kAlmost = 215;  // the flood goes through pixels lighter than this, no further

int darkest(const uint8_t* p) { return std::min({p[0], p[1], p[2]}); }

}  // namespace

Image cut_out(const Image& image) {
  int w = image.width, h = image.height;
  for (size_t i = 3; i < image.rgba.size(); i += 4) {
    if (image.rgba[i] != 255) return image;
  }
  std::vector<int> border;
  for (int x = 0; x < w; x++) border.push_back(x), border.push_back((h - 1) * w + x);
  for (int y = 1; y + 1 < h; y++) border.push_back(y * w), border.push_back(y * w + w - 1);
  auto pixel = [&](int i) { return image.rgba.data() + size_t(i) * 4; };
  auto white = std::count_if(border.begin(), border.end(), [&](int i) { return darkest(pixel(i)) >= kWhite - 6; });
  if (white * 10 < int64_t(border.size()) * 9) return image;

  Image out = image;
  std::vector<uint8_t> seen(size_t(w) * h);
  std::vector<int> todo;
  auto visit = [&](int i) {
    int d = darkest(pixel(i));
    if (seen[size_t(i)] || d < kAlmost) return;
    seen[size_t(i)] = 1;
    uint8_t* p = out.rgba.data() + size_t(i) * 4;
    if (d >= kWhite) {
      std::fill(p, p + 4, 0);
    } else {
      // colour = alpha * ink + (1 - alpha) * white, with the ink as dark as the flood allows.
      int alpha = std::clamp((kWhite - d) * 255 / (kWhite - kAlmost), 1, 255);
      for (int c = 0; c < 3; c++) p[c] = uint8_t(std::clamp(255 - (255 - p[c]) * 255 / alpha, 0, 255));
      p[3] = uint8_t(alpha);
    }
    // Only paper spreads: the pale rim of a thing is softened, its pale inside is not entered.
    if (d >= kWhite - 6) todo.push_back(i);
  };
  for (int i : border) visit(i);
  while (!todo.empty()) {
    int i = todo.back(), x = i % w, y = i / w;
    todo.pop_back();
    if (x > 0) visit(i - 1);
    if (x + 1 < w) visit(i + 1);
    if (y > 0) visit(i - w);
    if (y + 1 < h) visit(i + w);
  }
  return out;
}

}  // namespace duet
