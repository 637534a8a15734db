#include "vision/finish.h"

#include <gtest/gtest.h>

#include <array>
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

// Pictures at 128 pixels. f(x, y): colour, alpha not yet in it
using Pixel = std::array<float, 4>;
template <class F>
std::vector<float> large(F f, float mottle = 0) {
  std::vector<float> out;
  for (int y = 0; y < 128; ++y)
    for (int x = 0; x < 128; ++x) {
      const Pixel p = f(x, y);
      for (int c = 0; c < 4; ++c)  // mottle is four pixels wide
        out.push_back((p[3] * (c < 3 ? p[size_t(c)] : 1) + p[3] * mottle * normal(5, out.size() / 16)) * 2 - 1);
    }
  return out;
}
constexpr Pixel kNothing{0, 0, 0, 0}, kRed{0.8f, 0.3f, 0.1f, 1}, kGreen{0, 0.6f, 0, 1};

// A disc whose radius jumps every tenth of a radian
std::vector<float> ragged(float by, float mottle) {
  return large(
      [&](int x, int y) {
        const double dx = x - 63.5, dy = y - 63.5, turn = std::atan2(dy, dx);
        return std::hypot(dx, dy) < 40 + by * normal(3, uint64_t(std::floor(turn * 10) + 100)) ? kRed : kNothing;
      },
      mottle);
}
Image clean128(const std::vector<float>& p) { return clean(p, 128, 128); }

TEST(Finish, LargePicturesLoseWiderMottleAndRaggedOutlines) {
  const Image truth = from_pixels(ragged(0, 0).data(), 128, 128), raw = from_pixels(ragged(1.5f, 0.04f).data(), 128, 128);
  const Image made = clean128(ragged(1.5f, 0.04f));
  double mottle[2] = {}, outline[2] = {};
  for (int y = 0; y < 128; ++y)
    for (int x = 0; x < 128; ++x) {
      const auto off = [&](const Image& i, int c) { return double(i.at(x, y)[c]) - truth.at(x, y)[c]; };
      if (std::hypot(x - 63.5, y - 63.5) < 34) mottle[0] += std::pow(off(raw, 0), 2), mottle[1] += std::pow(off(made, 0), 2);
      else outline[0] += std::abs(off(raw, 3)), outline[1] += std::abs(off(made, 3));
    }
  EXPECT_LT(std::sqrt(mottle[1]), 0.5 * std::sqrt(mottle[0]));
  EXPECT_LT(outline[1], 0.9 * outline[0]);
}

// What a drawing has at its edge is often darker or of another colour, half a pixel wide.
TEST(Finish, LargePicturesHaveTheBodysColourAtTheOutline) {
  const Image made = clean128(large([](int x, int y) {
    const double r = std::hypot(x - 63.5, y - 63.5);
    return r < 39.5 ? kRed : r < 41 ? Pixel{0, 0, 0, 0.6f} : kNothing;
  }));
  int edge = 0;
  for (int y = 0; y < 128; ++y)
    for (int x = 0; x < 128; ++x)
      if (std::hypot(x - 63.5, y - 63.5) > 39.5 && made.at(x, y)[3] > 20) {
        ++edge;
        EXPECT_GT(made.at(x, y)[0], 120) << x << "," << y << ": black, red is 204";
      }
  EXPECT_GT(edge, 100);
}

TEST(Finish, LargePicturesKeepLinesGapsHolesAndTheirColours) {
  for (const int wide : {1, 2, 3, 4}) {
    const Image stem = clean128(large([&](int x, int y) {
      if (std::hypot(x - 63.5, y - 80.5) < 30) return kRed;
      return y > 10 && y < 80 && x >= 64 && x < 64 + wide ? kGreen : kNothing;
    }));
    for (int y = 12; y < 50; ++y) {
      EXPECT_GT(stem.at(64 + wide / 2, y)[3], 150) << "a stem " << wide << " wide at " << y;
      if (y < 44) {
        EXPECT_GT(stem.at(64 + wide / 2, y)[1], 100) << "green is 153, at " << y;
      }
    }
    const Image gap = clean128(large(
        [&](int x, int y) { return y > 20 && y < 110 && x > 20 && x < 110 && (x < 60 || x >= 60 + wide) ? kRed : kNothing; }));
    for (int y = 26; y < 104; ++y) EXPECT_LT(gap.at(60 + wide / 2, y)[3], 60) << "a gap " << wide << " wide at " << y;
    const Image hole = clean128(large(
        [&](int x, int y) { return std::hypot(x - 64, y - 64) >= wide && std::hypot(x - 64, y - 64) < 40 ? kRed : kNothing; }));
    EXPECT_LT(hole.at(64, 64)[3], 20) << "a hole of radius " << wide;
  }
}

TEST(Finish, LargePicturesKeepCleanShapesAndWhatIsTranslucent) {
  const Image truth = from_pixels(ragged(0, 0).data(), 128, 128), made = clean128(ragged(0, 0));
  for (int y = 0; y < 128; ++y)
    for (int x = 0; x < 128; ++x) ASSERT_LE(std::abs(int(made.at(x, y)[3]) - int(truth.at(x, y)[3])), 128) << x << "," << y;
  uint8_t before = 0;
  for (const float alpha : {0.2f, 0.3f, 0.4f, 0.5f, 0.6f, 0.7f}) {
    const Image glass = clean128(large([&](int x, int y) {
      return x > 20 && x < 100 && y > 20 && y < 100 ? Pixel{0.8f, 0.3f, 0.1f, alpha} : kNothing;
    }));
    EXPECT_NEAR(glass.at(60, 60)[3], 255 * (alpha - 0.06f) / 0.88f, 1.5) << alpha;
    EXPECT_GT(glass.at(60, 60)[3], before);
    before = glass.at(60, 60)[3];
  }
}

TEST(Finish, LargePicturesOfAnySizeStayFlatAndFinite) {
  for (const auto& [w, h] : {std::pair{96, 96}, {97, 300}, {512, 100}, {200, 161}}) {
    for (const float value : {0.4f, -1.0f, 1.0f}) {
      std::vector<float> p(size_t(w) * size_t(h) * 4, value);
      const Image flat = clean(p, w, h);
      for (size_t i = 0; i < flat.rgba.size(); ++i)
        ASSERT_EQ(flat.rgba[i], flat.rgba[i % 4]) << w << "x" << h << " of " << value;
      EXPECT_NEAR(flat.rgba[3], value < 0 ? 0 : value == 1 ? 255 : 255 * (0.7f - 0.06f) / 0.88f, 1.5);
    }
    std::vector<float> odd(size_t(w) * size_t(h) * 4, 1.0f);
    odd[0] = NAN, odd.back() = INFINITY, odd[size_t(w) * 4 + 3] = -INFINITY;
    const Image made = clean(odd, w, h);
    EXPECT_EQ(made.at(w / 2, h / 2)[3], 255);
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
