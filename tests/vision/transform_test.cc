#include "vision/transform.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>

#include "kernels/error.h"

namespace duet {
namespace {

Image noise(int w, int h, bool alpha, int seed = 1) {
  Image image(w, h);
  std::mt19937 rng(seed);
  for (auto& v : image.rgba) v = uint8_t(rng());
  for (size_t i = 3; !alpha && i < image.rgba.size(); i += 4) image.rgba[i] = 255;
  return image;
}

Image flat(int w, int h, std::vector<uint8_t> rgba) {
  Image image(w, h);
  for (size_t i = 0; i < image.rgba.size(); ++i) image.rgba[i] = rgba[i % 4];
  return image;
}

TEST(Resize, ShrinkingAveragesAreas) {
  for (bool alpha : {false, true}) {
    Image image = noise(35, 21, alpha), small = resize(image, 5, 3);
    for (int y = 0; y < 3; ++y) {
      for (int x = 0; x < 5; ++x) {
        double sum[4] = {};
        for (int j = 0; j < 7; ++j) {
          for (int i = 0; i < 7; ++i) {
            const uint8_t* p = image.at(x * 7 + i, y * 7 + j);
            for (int c = 0; c < 3; ++c) sum[c] += p[c] * p[3];
            sum[3] += p[3];
          }
        }
        for (int c = 0; c < 3; ++c) EXPECT_NEAR(small.at(x, y)[c], sum[c] / sum[3], 1) << alpha;
        EXPECT_NEAR(small.at(x, y)[3], sum[3] / 49, 0.51);
      }
    }
  }
}

TEST(Resize, FlatStaysFlat) {
  for (std::vector<uint8_t> colour : {std::vector<uint8_t>{200, 100, 50, 255}, {200, 100, 50, 40}, {0, 0, 0, 255}}) {
    Image image = flat(17, 23, colour);
    for (auto [w, h] : {std::pair{64, 64}, {5, 64}, {64, 5}, {1, 1}, {17, 23}, {16, 24}}) {
      Image out = resize(image, w, h);
      ASSERT_EQ(out.width, w);
      ASSERT_EQ(out.height, h);
      for (size_t i = 0; i < out.rgba.size(); ++i) EXPECT_NEAR(out.rgba[i], colour[i % 4], i % 4 == 3 ? 0 : 1);
    }
  }
}

TEST(Resize, HiddenColourNeverBleeds) {
  // Left half red, right half transparent with green hiding in it.
  Image image = flat(16, 16, {255, 0, 0, 255});
  for (int y = 0; y < 16; ++y) {
    for (int x = 8; x < 16; ++x) image.at(x, y)[0] = 0, image.at(x, y)[1] = 255, image.at(x, y)[3] = 0;
  }
  for (int size : {3, 7, 50}) {
    Image out = resize(image, size, size);
    int half_seen = 0;
    for (size_t i = 0; i < out.rgba.size(); i += 4) {
      if (out.rgba[i + 3] == 0) continue;
      EXPECT_EQ(out.rgba[i + 1], 0);
      EXPECT_GE(out.rgba[i], 254);
      half_seen += out.rgba[i + 3] < 255;
    }
    EXPECT_GT(half_seen, 0);
  }
}

TEST(Resize, GrowingAndShrinkingReturns) {
  Image image = flat(9, 7, {128, 128, 128, 255});
  for (int y = 0; y < 7; ++y) {
    for (int x = 0; x < 9; ++x) image.at(x, y)[0] = uint8_t(20 + 25 * x), image.at(x, y)[1] = uint8_t(200 - 30 * y);
  }
  Image back = resize(resize(image, 72, 56), 9, 7);
  double sum = 0;
  for (size_t i = 0; i < image.rgba.size(); ++i) sum += std::abs(image.rgba[i] - back.rgba[i]);
  EXPECT_LT(sum / double(image.rgba.size()), 0.5);
}

TEST(FitSquare, KeepsAspectAndCentres) {
  Image out = fit_square(flat(40, 10, {9, 8, 7, 255}), 32);
  ASSERT_EQ(out.width, 32);
  ASSERT_EQ(out.height, 32);
  for (int y = 0; y < 32; ++y) EXPECT_EQ(out.at(16, y)[3], y >= 12 && y < 20 ? 255 : 0) << y;
  out = fit_square(flat(10, 40, {9, 8, 7, 255}), 32);
  for (int x = 0; x < 32; ++x) EXPECT_EQ(out.at(x, 16)[3], x >= 12 && x < 20 ? 255 : 0) << x;
  out = fit_square(flat(1000, 1, {9, 8, 7, 255}), 32);  // thinner than a pixel: still seen
  EXPECT_EQ(out.at(5, 15)[3], 255);
  Image same = noise(32, 32, true);
  EXPECT_EQ(fit_square(same, 32).rgba, same.rgba);
}

TEST(Crop, InsideAndBeyond) {
  Image image = noise(6, 5, true), out = crop(image, 2, 1, 3, 2);
  for (int y = 0; y < 2; ++y) EXPECT_TRUE(std::equal(out.at(0, y), out.at(0, y) + 12, image.at(2, y + 1)));
  out = crop(image, -1, 4, 3, 3);
  EXPECT_TRUE(std::equal(out.at(1, 0), out.at(1, 0) + 8, image.at(0, 4)));
  EXPECT_EQ(out.at(0, 0)[3] + out.at(2, 1)[3] + out.at(1, 2)[3], 0);
  EXPECT_EQ(crop(image, 100, 100, 2, 2).rgba, Image(2, 2).rgba);
  EXPECT_EQ(crop(image, 2147483647, -2147483647, 2, 2).rgba, Image(2, 2).rgba);
  EXPECT_THROW(crop(image, 0, 0, 0, 1), Error);
}

TEST(Mirror, TwiceIsNothing) {
  Image image = noise(7, 3, true), once = mirror(image);
  EXPECT_TRUE(std::equal(once.at(0, 2), once.at(0, 2) + 4, image.at(6, 2)));
  EXPECT_EQ(mirror(once).rgba, image.rgba);
}

TEST(Trim, CutsTheTransparentBorder) {
  Image image(20, 10);
  image.at(4, 3)[3] = 1;
  image.at(11, 6)[3] = 255;
  Image out = trim(image);
  EXPECT_EQ(out.width, 8);
  EXPECT_EQ(out.height, 4);
  EXPECT_EQ(out.at(0, 0)[3], 1);
  EXPECT_EQ(out.at(7, 3)[3], 255);
  out = trim(Image(9, 9));
  EXPECT_EQ(out.width * out.height, 1);
}

TEST(Over, Composites) {
  Image image = flat(1, 1, {200, 100, 0, 51});
  EXPECT_EQ(over(image, 0, 100, 250).rgba, (std::vector<uint8_t>{40, 100, 200, 255}));
  EXPECT_EQ(over(Image(1, 1), 1, 2, 3).rgba, (std::vector<uint8_t>{1, 2, 3, 255}));
  Image board = checkerboard_under(Image(8, 8), 4);
  EXPECT_EQ(board.at(0, 0)[0], board.at(7, 7)[0]);
  EXPECT_NE(board.at(0, 0)[0], board.at(4, 0)[0]);
  EXPECT_EQ(board.at(4, 0)[3], 255);
  Image solid = noise(8, 8, false);
  EXPECT_EQ(checkerboard_under(solid, 2).rgba, solid.rgba);
}

}  // namespace
}  // namespace duet
