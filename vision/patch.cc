#include "vision/patch.h"

#include <cmath>

#include "kernels/error.h"

namespace duet {

void to_pixels(const Image& image, float* out) {
  const uint8_t* p = image.rgba.data();
  for (size_t i = 0; i < image.rgba.size(); i += 4, p += 4, out += 4) {
    const float alpha = float(p[3]) / 255.f;
    for (int c = 0; c < 3; ++c) out[c] = float(p[c]) / 255.f * alpha * 2.f - 1.f;
    out[3] = alpha * 2.f - 1.f;
  }
}

Image from_pixels(const float* in, int width, int height) {
  CHECK(width > 0 && height > 0, "a picture of ", width, " x ", height);
  Image image(width, height);
  // The comparison is false for NaN, which so becomes 0.
  auto unit = [](float v) { return v > -1.f ? std::fmin(v * 0.5f + 0.5f, 1.f) : 0.f; };
  uint8_t* p = image.rgba.data();
  for (size_t i = 0; i < image.rgba.size(); i += 4, p += 4, in += 4) {
    const float alpha = unit(in[3]);
    if (alpha <= 2.f / 255.f) continue;
    for (int c = 0; c < 3; ++c) p[c] = uint8_t(std::lround(std::fmin(unit(in[c]) / alpha, 1.f) * 255.f));
    p[3] = uint8_t(std::lround(alpha * 255.f));
  }
  return image;
}

}  // namespace duet
