#include "vision/finish.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/error.h"
#include "kernels/random.h"
#include "vision/patch.h"

namespace duet {
namespace {

constexpr int kSide = 40;

// A disc of one colour on nothing, each channel off by noise of `mottle` (of 0..1).
std::vector<float> disc(float mottle, float inside = 1, float outside = 0) {
  std::vector<float> out;
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x) {
      const float alpha = std::hypot(x - 19.5f, y - 19.5f) < 12 ? inside : outside;
      for (int c = 0; c < 4; ++c) {
        const float colour = c == 0 ? 0.8f : c == 1 ? 0.3f : c == 2 ? 0.1f : 1;
        out.push_back((alpha * colour + mottle * normal(5, out.size())) * 2 - 1);
      }
    }
  return out;
}
Image clean(const std::vector<float>& p, int w = kSide, int h = kSide) { return finished(p.data(), w, h, Finish::clean); }
bool in_body(int x, int y) { return std::hypot(x - 19.5, y - 19.5) < 10; }
bool beside(int x, int y) { return std::hypot(x - 19.5, y - 19.5) > 14; }

TEST(Finish, MottleGoesAndTheEdgeStays) {
  const Image truth = from_pixels(disc(0).data(), kSide, kSide), raw = from_pixels(disc(0.04f).data(), kSide, kSide),
              made = clean(disc(0.04f));
  double before = 0, after = 0, edge = 0;
  int body = 0, ring = 0;
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x) {
      const auto off = [&](const Image& i) { return std::pow(double(i.at(x, y)[0]) - truth.at(x, y)[0], 2); };
      if (in_body(x, y)) before += off(raw), after += off(made), ++body;
      else if (!beside(x, y)) edge += std::abs(int(made.at(x, y)[3]) - int(truth.at(x, y)[3])), ++ring;
    }
  EXPECT_LT(std::sqrt(after / body), 0.4 * std::sqrt(before / body));
  EXPECT_LT(edge / ring, 0.03 * 255) << "alpha next to the edge";
}

TEST(Finish, NoHazeBesideAndNoHoleWithin) {
  const Image made = clean(disc(0.01f, 0.96f, 0.03f)), raw = from_pixels(disc(0.01f, 0.96f, 0.03f).data(), kSide, kSide);
  int hazy = 0, thin = 0;
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x) {
      if (beside(x, y)) {
        EXPECT_EQ(made.at(x, y)[3], 0) << x << "," << y;
        hazy += raw.at(x, y)[3] > 0;
      }
      if (in_body(x, y)) {
        EXPECT_EQ(made.at(x, y)[3], 255) << x << "," << y;
        thin += raw.at(x, y)[3] < 255;
      }
    }
  EXPECT_GT(hazy, 500);
  EXPECT_GT(thin, 200);
}

TEST(Finish, ColourIsKeptWhereAlphaIsSpread) {
  const Image made = clean(disc(0, 0.97f)), truth = from_pixels(disc(0).data(), kSide, kSide);
  for (int c = 0; c < 3; ++c) EXPECT_NEAR(made.at(20, 20)[c], truth.at(20, 20)[c], 1) << c;
}

TEST(Finish, RawIsWhatThePixelsSay) {
  const auto p = disc(0.05f);
  EXPECT_EQ(finished(p.data(), kSide, kSide, Finish::raw).rgba, from_pixels(p.data(), kSide, kSide).rgba);
  EXPECT_NE(clean(p).rgba, from_pixels(p.data(), kSide, kSide).rgba);
}

// A pixel is made of those within two steps of two, whatever the width: lines are worked on sixteen pixels at a time.
TEST(Finish, APixelDependsOnItsNeighboursAlone) {
  std::vector<float> p(size_t(kSide) * kSide * 4);
  for (size_t i = 0; i < p.size(); ++i) p[i] = 0.4f * normal(9, i);
  const Image whole = clean(p);
  const int w = 23, h = 17, x0 = 7, y0 = 11;
  std::vector<float> part;
  for (int y = 0; y < h; ++y)
    part.insert(part.end(), p.begin() + ((y0 + y) * kSide + x0) * 4, p.begin() + ((y0 + y) * kSide + x0 + w) * 4);
  const Image cut = clean(part, w, h);
  for (int y = 4; y < h - 4; ++y)
    for (int x = 4; x < w - 4; ++x)
      for (int c = 0; c < 4; ++c) ASSERT_EQ(cut.at(x, y)[c], whole.at(x0 + x, y0 + y)[c]) << x << "," << y;
}

// A disc at 128 pixels whose radius jumps by `ragged` pixels every tenth of a radian, a hairline and a star's worth of thin
// line beside it.
std::vector<float> large(float mottle, float ragged) {
  constexpr int side = 128;
  std::vector<float> out;
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x) {
      const double dx = x - 63.5, dy = y - 70.5, turn = std::atan2(dy, dx);
      const float radius = 40 + ragged * normal(3, uint64_t(std::floor(turn * 10) + 100));
      const bool inside = std::hypot(dx, dy) < radius, hairline = y == 12 && x > 20 && x < 100;
      const float alpha = inside || hairline ? 1.0f : 0.0f;
      for (int c = 0; c < 4; ++c) {
        const float colour = c == 0 ? 0.8f : c == 1 ? 0.3f : c == 2 ? 0.1f : 1;
        out.push_back((alpha * colour + (alpha > 0 ? mottle * normal(5, out.size() / 16) : 0)) * 2 - 1);  // four pixels wide
      }
    }
  return out;
}

TEST(Finish, LargePicturesLoseWiderMottleAndRaggedOutlines) {
  const Image truth = from_pixels(large(0, 0).data(), 128, 128), raw = from_pixels(large(0.04f, 1.5f).data(), 128, 128);
  const Image made = clean(large(0.04f, 1.5f), 128, 128);
  double mottle[2] = {}, outline[2] = {}, colour = 0;
  int body = 0, edge = 0;
  for (int y = 20; y < 128; ++y)
    for (int x = 0; x < 128; ++x) {
      const double r = std::hypot(x - 63.5, y - 70.5);
      const auto off = [&](const Image& i, int c) { return double(i.at(x, y)[c]) - truth.at(x, y)[c]; };
      if (r < 34) mottle[0] += std::pow(off(raw, 0), 2), mottle[1] += std::pow(off(made, 0), 2), ++body;
      else outline[0] += std::abs(off(raw, 3)), outline[1] += std::abs(off(made, 3));
      if (r > 34 && made.at(x, y)[3] > 0) colour += std::abs(off(made, 0)) * (truth.at(x, y)[3] > 0), ++edge;
    }
  EXPECT_LT(std::sqrt(mottle[1] / body), 0.5 * std::sqrt(mottle[0] / body));
  EXPECT_LT(outline[1], 0.9 * outline[0]);
  EXPECT_LT(colour / edge, 6) << "the outline has the body's colour";
}

TEST(Finish, LargePicturesKeepCleanShapesAndHairlines) {
  const Image truth = from_pixels(large(0, 0).data(), 128, 128), made = clean(large(0, 0), 128, 128);
  int moved = 0, hairline = 0;
  for (int y = 0; y < 128; ++y)
    for (int x = 0; x < 128; ++x) {
      moved += y > 20 && std::abs(int(made.at(x, y)[3]) - int(truth.at(x, y)[3])) > 128;
      hairline += y == 12 && x > 20 && x < 100 && made.at(x, y)[3] > 60;
    }
  EXPECT_EQ(moved, 0);
  EXPECT_GT(hairline, 70) << "of 79";
}

TEST(Finish, LargePicturesOfAnySizeStayFlat) {
  for (const auto& [w, h] : {std::pair{96, 96}, {97, 300}, {512, 100}, {200, 161}})
    for (const float value : {0.5f, -1.0f, 1.0f}) {
      std::vector<float> p(size_t(w) * size_t(h) * 4, value);
      const Image flat = clean(p, w, h);
      for (size_t i = 0; i < flat.rgba.size(); ++i)
        ASSERT_EQ(flat.rgba[i], flat.rgba[i % 4]) << w << "x" << h << " of " << value;
      EXPECT_EQ(flat.rgba[3], value < 0 ? 0 : value == 1 ? 255 : flat.rgba[3]);
    }
}

TEST(Finish, AnySizeAndAnyNumber) {
  for (const auto& [w, h] : {std::pair{1, 1}, {3, 5}, {16, 1}, {17, 2}, {1, 33}}) {
    std::vector<float> p(size_t(w) * size_t(h) * 4, 0.5f);
    const Image flat = clean(p, w, h);
    EXPECT_EQ(flat.width, w);
    EXPECT_EQ(flat.height, h);
    for (size_t i = 0; i < flat.rgba.size(); ++i) ASSERT_EQ(flat.rgba[i], flat.rgba[i % 4]) << w << "x" << h;
    p[0] = NAN, p.back() = INFINITY;
    EXPECT_EQ(clean(p, w, h).rgba.size(), p.size());
  }
}

TEST(Finish, Names) {
  for (const Finish f : {Finish::raw, Finish::clean}) EXPECT_EQ(finish_of(name_of(f)), f);
  EXPECT_THROW(finish_of("shiny"), Error);
}

}  // namespace
}  // namespace duet
