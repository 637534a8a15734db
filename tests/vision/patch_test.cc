#include "vision/patch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace duet {
namespace {

TEST(Patch, ValuesByHand) {
  Image image(3, 1);
  image.rgba = {255, 0, 51, 255, 255, 0, 51, 51, 90, 80, 70, 0};
  float out[12];
  to_pixels(image, out);
  const float want[12] = {1, -1, -0.6f, 1, -0.6f, -1, -0.92f, -0.6f, -1, -1, -1, -1};
  for (int i = 0; i < 12; ++i) EXPECT_NEAR(out[i], want[i], 1e-6) << i;
}

TEST(Patch, OpaqueReturnsExactly) {
  Image image(256, 1);
  for (int i = 0; i < 256; ++i) image.at(i, 0)[0] = uint8_t(i), image.at(i, 0)[1] = uint8_t(255 - i), image.at(i, 0)[3] = 255;
  std::vector<float> pixels(image.rgba.size());
  to_pixels(image, pixels.data());
  EXPECT_EQ(from_pixels(pixels.data(), 256, 1).rgba, image.rgba);
}

TEST(Patch, EveryAlphaReturns) {
  Image image(256, 256);
  for (int a = 0; a < 256; ++a) {
    for (int v = 0; v < 256; ++v) image.at(v, a)[0] = uint8_t(v), image.at(v, a)[3] = uint8_t(a);
  }
  std::vector<float> pixels(image.rgba.size());
  to_pixels(image, pixels.data());
  Image back = from_pixels(pixels.data(), 256, 256);
  for (int a = 0; a < 256; ++a) {
    for (int v = 0; v < 256; ++v) {
      EXPECT_EQ(back.at(v, a)[3], a > 2 ? a : 0);
      EXPECT_EQ(back.at(v, a)[0], a > 2 ? v : 0);
    }
  }
}

TEST(Patch, WildValuesAreTamed) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const float in[] = {5, -5, 0, 2, inf, -inf, nan, inf, 1, 1, 1, nan, 1, -1, -0.5f, -0.5f, 1, 1, 1, -0.985f};
  Image image = from_pixels(in, 5, 1);
  const std::vector<uint8_t> want = {255, 0, 128, 255, 255, 0, 0, 255, 0, 0, 0, 0, 255, 0, 255, 64, 0, 0, 0, 0};
  EXPECT_EQ(image.rgba, want);
}

}  // namespace
}  // namespace duet
