// Covering parts of a picture, with a classifier of which it is known where it looks.
#include "infer/occlusion.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/error.h"

namespace duet {
namespace {

// As likely 0 as the cell (2, 1) of 8 pixels is red beside the rest.
std::vector<std::vector<double>> looks_at_one_cell(std::span<const Image> views) {
  std::vector<std::vector<double>> out;
  for (const Image& v : views) {
    double red = 0;
    for (int y = 8; y < 16; ++y)
      for (int x = 16; x < 24; ++x) red += v.at(x, y)[0] / 255.0 / 64;
    const double p = 0.1 + 0.8 * red;
    out.push_back({p, 1 - p});
  }
  return out;
}

Image red_cell() {
  Image image(32, 32);
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 32; ++x) {
      const bool red = x >= 16 && x < 24 && y >= 8 && y < 16;
      uint8_t* p = image.at(x, y);
      p[0] = red ? 255 : 0, p[1] = p[2] = 0, p[3] = 255;
    }
  return image;
}

TEST(Occlusion, FindsWhereItLooks) {
  const Heat h = occlusion(looks_at_one_cell, red_cell(), 0, 8);
  ASSERT_EQ(h.side, 4);
  // Of the nine covers four lie on that cell; each turns 0.9 to 0.1 + 0.8 / 16, the mean red of the picture.
  const double fall = std::log(0.9 / 0.1) - std::log((0.1 + 0.8 * 16 / 255) / (0.9 - 0.8 * 16 / 255));
  EXPECT_NEAR(h.cells[1 * 4 + 2], fall, 1e-9);
  EXPECT_NEAR(h.cells[1 * 4 + 1], fall / 2, 1e-9) << "two of the four covers on it";
  EXPECT_NEAR(h.cells[3 * 4 + 0], 0, 1e-9);
  const Heat other = occlusion(looks_at_one_cell, red_cell(), 1, 8);
  for (size_t i = 0; i < h.cells.size(); ++i) EXPECT_NEAR(other.cells[i], -h.cells[i], 1e-9) << "of two, the other";
  EXPECT_THROW(occlusion(looks_at_one_cell, red_cell(), 0, 12), Error);
}

TEST(Occlusion, TheOutlineOfACutOutStays) {
  Image cut = red_cell();
  for (size_t i = 3; i < cut.rgba.size(); i += 4) cut.rgba[i] = i % 8 == 3 ? 0 : 255;
  std::vector<uint8_t> alphas;
  occlusion(
      [&](std::span<const Image> views) {
        for (const Image& v : views)
          for (size_t i = 3; i < v.rgba.size(); i += 4) EXPECT_EQ(v.rgba[i], cut.rgba[i]);
        return looks_at_one_cell(views);
      },
      cut, 0, 8);
}

TEST(Occlusion, TheOverlayIsOrangeForAndBlueAgainst) {
  Heat h{.side = 2, .cells = {1, 0, 0, -1}};
  Image grey(8, 8);
  for (size_t i = 0; i < grey.rgba.size(); ++i) grey.rgba[i] = i % 4 == 3 ? 255 : 128;
  const Image o = overlay(grey, h, "a cat 0.900");
  EXPECT_GT(o.at(100, 100)[0], o.at(100, 100)[2] + 100);
  EXPECT_GT(o.at(400, 400)[2], o.at(400, 400)[0] + 60);
  for (int c = 0; c < 3; ++c) EXPECT_EQ(o.at(400, 100)[c], 128);
  EXPECT_GT(o.height, o.width) << "words below";
  h.cells = {1e-4, 0, 0, 0};
  EXPECT_NEAR(overlay(grey, h, "").at(100, 100)[0], 128, 1) << "next to nothing gets next to no colour";
}

}  // namespace
}  // namespace duet
