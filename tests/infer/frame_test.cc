#include "infer/frame.h"

#include <gtest/gtest.h>

#include "tests/infer/tiny.h"

namespace duet {
namespace {

Image plain(int w, int h, std::array<uint8_t, 4> c) {
  Image im(w, h);
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x) std::copy_n(c.data(), 4, im.at(x, y));
  return im;
}
constexpr std::array<uint8_t, 4> kGrey{150, 155, 160, 255}, kRed{255, 0, 0, 255}, kNone{0, 0, 0, 0};
std::array<uint8_t, 4> pixel(const Image& im, int x, int y) {
  std::array<uint8_t, 4> p;
  std::copy_n(im.at(x, y), 4, p.data());
  return p;
}
// A red block in the middle of a ground
Image block(int side, std::array<uint8_t, 4> ground) {
  Image im = plain(side, side, ground);
  for (int y = side / 4; y < side - side / 4; ++y)
    for (int x = side / 4; x < side - side / 4; ++x) std::copy_n(kRed.data(), 4, im.at(x, y));
  return im;
}
std::pair<int, int> extent(const Image& im) {  // of what is red and opaque
  int x0 = im.width, x1 = -1, y0 = im.height, y1 = -1;
  for (int y = 0; y < im.height; ++y)
    for (int x = 0; x < im.width; ++x)
      if (const auto p = pixel(im, x, y); p[0] > 200 && p[3] > 128)
        x0 = std::min(x0, x), x1 = std::max(x1, x), y0 = std::min(y0, y), y1 = std::max(y1, y);
  return {x1 - x0 + 1, y1 - y0 + 1};
}

TEST(Frame, WhatCanBeAskedFor) {
  EXPECT_TRUE(can_frame(8, 8) && can_frame(2048, 2048) && can_frame(2048, 512) && can_frame(100, 25));
  EXPECT_FALSE(can_frame(7, 8) || can_frame(8, 7) || can_frame(2049, 2048) || can_frame(2048, 511) || can_frame(25, 101));
  EXPECT_FALSE(can_frame(0, 0) || can_frame(-8, 8));
}

TEST(Frame, ASquareOfItsOwnSizeStaysByteForByte) { EXPECT_EQ(framed(block(32, kGrey), 32, 32).rgba, block(32, kGrey).rgba); }

TEST(Frame, ThingsKeepTheirShapeInTheMiddle) {
  for (const auto& [w, h] : {std::pair(96, 48), std::pair(48, 96), std::pair(64, 64), std::pair(20, 16), std::pair(128, 32)}) {
    const Image im = framed(block(32, kNone), w, h);
    ASSERT_EQ(std::pair(im.width, im.height), std::pair(w, h));
    const auto [ew, eh] = extent(im);
    EXPECT_NEAR(ew, std::min(w, h) / 2, 2) << w << 'x' << h;
    EXPECT_NEAR(eh, ew, 1) << w << 'x' << h;
    EXPECT_EQ(pixel(im, w / 2, h / 2), kRed);
    EXPECT_EQ(pixel(im, 0, 0)[3], 0);
    EXPECT_EQ(pixel(im, w - 1, h - 1)[3], 0);
  }
}

TEST(Frame, AnOpaqueGroundGoesOn) {
  for (const auto& [w, h] : {std::pair(90, 30), std::pair(30, 90)}) {
    const Image im = framed(block(32, kGrey), w, h);
    for (int i : {0, 5, 29}) {
      EXPECT_EQ(pixel(im, w > h ? 0 : i, w > h ? i : 0), kGrey);
      EXPECT_EQ(pixel(im, w > h ? w - 1 : i, w > h ? i : h - 1), kGrey);
    }
  }
  // Each side for itself; a thing that touches the border is not drawn out to the margin's end.
  Image half = plain(32, 32, kNone);
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 10; ++x) std::copy_n(kGrey.data(), 4, half.at(x, y));
  for (int y = 10; y < 20; ++y) std::copy_n(kRed.data(), 4, half.at(31, y));
  const Image im = framed(half, 96, 32);
  EXPECT_EQ(pixel(im, 3, 16), kGrey);
  EXPECT_EQ(pixel(im, 90, 16)[3], 0);
}

TEST(Frame, APictureComesBackFromItsSquare) {
  for (const auto& [w, h] : {std::pair(50, 40), std::pair(40, 50), std::pair(24, 24), std::pair(64, 17)}) {
    const Image p = tiny_picture(5, w, h, true);
    const int side = std::max(w, h);
    const Image s = squared(p, side);
    ASSERT_EQ(std::pair(s.width, s.height), std::pair(side, side));
    EXPECT_EQ(unsquared(s, w, h).rgba, p.rgba) << w << 'x' << h;
    EXPECT_EQ(unsquared(squared(p, 24), w, h).width, w);
  }
}

TEST(Frame, BesideAnOpaquePictureItsBorderGoesOn) {
  const Image s = squared(plain(40, 20, kGrey), 40);
  for (int y : {0, 9, 20, 39}) EXPECT_EQ(pixel(s, 5, y), kGrey) << y;
  EXPECT_EQ(pixel(squared(plain(40, 20, kNone), 40), 5, 0)[3], 0);
}

TEST(Frame, WhatMayChangeLiesWhereThePictureLies) {
  // 40 x 20 in 24 x 24: 12 lines in the middle
  std::vector<uint8_t> change(40 * 20, 0);
  for (int y = 0; y < 20; ++y)
    for (int x = 20; x < 40; ++x) change[size_t(y) * 40 + size_t(x)] = 1;
  const auto s = squared(change, 40, 20, 24);
  for (int y = 0; y < 24; ++y)
    for (int x = 0; x < 24; ++x) EXPECT_EQ(s[size_t(y) * 24 + size_t(x)], x >= 12 && y >= 6 && y < 18) << x << ' ' << y;
  // One pixel of many is not lost.
  std::vector<uint8_t> one(100 * 100, 0);
  one[57 * 100 + 33] = 1;
  EXPECT_EQ(std::count(one.begin(), one.end(), 1), 1);
  const auto small = squared(one, 100, 100, 24);
  EXPECT_EQ(std::count(small.begin(), small.end(), 1), 1);
}

}  // namespace
}  // namespace duet
