#include "infer/imagedistance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "vision/draw.h"
#include "vision/scene.h"
#include "vision/transform.h"

namespace duet {
namespace {

constexpr int kPictures = 120;

std::vector<Image> gallery() {
  std::vector<Image> out;
  for (int i = 0; i < kPictures; ++i) out.push_back(render(random_scene(uint64_t(i) + 1, SceneSplit::train), 64));
  return out;
}

std::vector<PictureDescriptor> described(const std::vector<Image>& images) {
  std::vector<PictureDescriptor> out;
  for (const auto& i : images) out.push_back(describe(i));
  return out;
}

Image uniform_picture(uint8_t r, uint8_t g, uint8_t b, uint8_t a) {
  Image image(64, 64);
  for (size_t i = 0; i < image.rgba.size(); i += 4)
    image.rgba[i] = r, image.rgba[i + 1] = g, image.rgba[i + 2] = b, image.rgba[i + 3] = a;
  return image;
}

Image blurred(const Image& image) { return resize(resize(image, 21, 21), 64, 64); }

int rank(const std::vector<PictureDescriptor>& all, const PictureDescriptor& query, size_t own) {
  int ahead = 0;
  for (const auto& d : all) ahead += distance(query, d) < distance(query, all[own]);
  return 1 + ahead;
}

// Uniform pictures have no steps inside, so every scale gives the same and the formula can be done by hand.
TEST(ImageDistance, FormulaOnUniformPictures) {
  const auto black = describe(uniform_picture(0, 0, 0, 255)), white = describe(uniform_picture(255, 255, 255, 255));
  const auto red = describe(uniform_picture(255, 0, 0, 255)), clear = describe(uniform_picture(0, 0, 0, 0));
  EXPECT_NEAR(distance(black, white), 1, 1e-5);                 // 1/2 (3 + 3) / 3
  EXPECT_NEAR(distance(black, red), std::sqrt(1 / 3.0), 1e-5);  // 1/2 (1 + 1) / 3
  EXPECT_NEAR(distance(clear, black), std::sqrt(0.75), 1e-5);   // on black 0, on white 3: 1/2 * 3 / 3 + 1/4
  EXPECT_NEAR(distance(clear, white), std::sqrt(0.75), 1e-5);
  EXPECT_EQ(distance(clear, describe(uniform_picture(255, 0, 255, 0))), 0);  // what is under alpha 0 is not seen
}

// Half black, half white against all mid-grey: one step of luma 1 in each row, counted at each scale.
TEST(ImageDistance, GradientCounts) {
  Image halves = uniform_picture(0, 0, 0, 255);
  fill(halves, 32, 0, 32, 64, 0xffffffff);
  const double grey = 127.5 / 255;
  double want = 0;
  for (int s : {64, 32, 16, 8}) want += 0.25 * (grey * grey + 1.0 / s);
  EXPECT_NEAR(distance(describe(halves), describe(uniform_picture(128, 128, 128, 255))), std::sqrt(want), 1e-3);
}

TEST(ImageDistance, TrueSourceIsFirst) {
  const auto images = gallery();
  const auto all = described(images);
  for (size_t i = 0; i < images.size(); ++i) {
    EXPECT_EQ(distance(all[i], describe(images[i])), 0);
    EXPECT_EQ(rank(all, describe(images[i]), i), 1);
  }
}

TEST(ImageDistance, BlurredAndShiftedStayNear) {
  const auto images = gallery();
  const auto all = described(images);
  int near = 0, first = 0;
  for (size_t i = 0; i < images.size(); ++i)
    for (const Image& changed : {blurred(images[i]), crop(images[i], 1, 0, 64, 64), crop(images[i], -2, 1, 64, 64)}) {
      const int r = rank(all, describe(changed), i);
      near += r <= 10, first += r == 1;
    }
  EXPECT_GE(near, 3 * kPictures * 98 / 100);
  EXPECT_GE(first, 3 * kPictures * 90 / 100);
}

TEST(ImageDistance, StrangersAreAtChance) {
  const auto all = described(gallery());
  int near = 0;
  for (int i = 0; i < kPictures; ++i)
    near += rank(all, describe(render(random_scene(uint64_t(9000 + i), SceneSplit::train), 64)), size_t(i)) <= 10;
  EXPECT_LT(near, kPictures / 4);  // 10 of 120 are expected
}

TEST(ImageDistance, ManyAtOnceEqualsOneByOneAndAnySize) {
  auto images = gallery();
  images.resize(21);
  const auto all = described(images);
  const std::vector<PictureDescriptor> some(all.begin(), all.begin() + 3);
  const auto d = distances(some, all);
  ASSERT_EQ(d.size(), 63u);
  for (size_t i = 0; i < 3; ++i)
    for (size_t j = 0; j < all.size(); ++j) EXPECT_EQ(d[i * all.size() + j], float(distance(some[i], all[j])));
  const Image large = render(random_scene(1, SceneSplit::train), 128);
  EXPECT_LT(distance(describe(large), all[0]), 0.05);
  EXPECT_GT(distance(describe(Image(3, 1)), all[0]), 0.05);
}

}  // namespace
}  // namespace duet
