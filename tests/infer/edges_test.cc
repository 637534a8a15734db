// How cleanly a picture is cut out: squares whose pixels can be counted, and discs with harder and softer edges.
#include "infer/edges.h"

#include <gtest/gtest.h>

#include <cmath>

#include "vision/transform.h"

namespace duet {
namespace {

// 64 x 64: alpha `in` in columns and rows 20 to 39, `out` elsewhere. Its outline has 76 pixels.
Image square(uint8_t in, uint8_t out) {
  Image image(64, 64);
  for (int y = 0; y < 64; ++y)
    for (int x = 0; x < 64; ++x) image.at(x, y)[3] = x >= 20 && x < 40 && y >= 20 && y < 40 ? in : out;
  return image;
}

Image disc(int side) {
  Image image(side, side);
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x)
      image.at(x, y)[3] = std::hypot(x + 0.5 - side / 2.0, y + 0.5 - side / 2.0) < side * 0.35 ? 255 : 0;
  return image;
}

TEST(Edges, OfAHardCutNothingIsPartlyTransparent) {
  const auto e = edges_of(square(255, 0));
  EXPECT_EQ(e.stray, 0);
  EXPECT_EQ(e.width, 0);
}

TEST(Edges, HazeIsCountedOffTheOutlineAndAlongIt) {
  const auto e = edges_of(square(255, 9));
  const int near = 24 * 24 - 20 * 20;  // a frame two pixels wide around the square
  EXPECT_DOUBLE_EQ(e.stray, (4096 - 400 - near) / 4096.0);
  EXPECT_DOUBLE_EQ(e.width, near / 76.0);
}

TEST(Edges, ABodyThatIsNotQuiteOpaqueIsCounted) {
  const auto e = edges_of(square(250, 0));
  EXPECT_DOUBLE_EQ(e.stray, 14 * 14 / 4096.0);  // what is more than two pixels inside the outline
  EXPECT_DOUBLE_EQ(e.width, (400 - 14 * 14) / 76.0);
}

TEST(Edges, ThePicturesBorderIsNoOutline) {
  const auto opaque = edges_of(square(255, 255));
  EXPECT_EQ(opaque.stray, 0);
  EXPECT_TRUE(std::isnan(opaque.width));
  const auto faint = edges_of(square(100, 100));  // nothing reaches one half
  EXPECT_EQ(faint.stray, 1);
  EXPECT_TRUE(std::isnan(faint.width));
}

TEST(Edges, ABlurredEdgeIsWiderThanAnAntialiasedOne) {
  const auto sharp = edges_of(resize(disc(256), 64, 64)), soft = edges_of(resize(resize(disc(256), 16, 16), 64, 64));
  EXPECT_EQ(sharp.stray, 0);
  EXPECT_GT(sharp.width, 0.5);
  EXPECT_LE(sharp.width, 2);
  EXPECT_GT(soft.width, 1.5 * sharp.width);
}

}  // namespace
}  // namespace duet
