#include "infer/setdistance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/random.h"
#include "vision/draw.h"
#include "vision/scene.h"
#include "vision/transform.h"

namespace duet {
namespace {

constexpr int D = kFeatureSize;

Image uniform_picture(uint32_t rgba, int side = 64) {
  Image image(side, side);
  fill(image, 0, 0, side, side, rgba);
  return image;
}

std::vector<Image> gallery(int n, uint64_t seed) {
  std::vector<Image> out;
  for (int i = 0; i < n; ++i) out.push_back(render(random_scene(seed + uint64_t(i), SceneSplit::train), 64));
  return out;
}

FeatureSet featured(const std::vector<Image>& images) {
  std::vector<const Image*> p;
  for (const auto& i : images) p.push_back(&i);
  return features(p);
}

FeatureSet random_set(int n, uint64_t seed, double scale = 1) {
  FeatureSet out(static_cast<size_t>(n));
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < D; ++j) out[size_t(i)][size_t(j)] = scale * double(normal(seed, uint64_t(i * D + j))) * (1 + j % 3);
  return out;
}

// Opaque white has no edge; all its colour is in the last bin; alpha is 1 everywhere, spread evenly: its variance is 1/12 of a
// side squared, less what lies within a pixel.
TEST(PictureFeature, UniformPicturesByHand) {
  const auto white = feature(uniform_picture(0xffffffff)), clear = feature(uniform_picture(0xff00ff00));
  for (int i = 0; i < 96; ++i) EXPECT_EQ(white[size_t(i)], 0);
  double colour = 0, outline = 0;
  for (int i = 96; i < 123; ++i) (i == 122 ? colour : outline) += std::abs(white[size_t(i)]);
  EXPECT_EQ(outline, 0);
  EXPECT_GT(colour, 0);
  const double cell = white[123];  // a mean alpha of 1, times the weight
  for (int i = 123; i < 139; ++i) EXPECT_NEAR(white[size_t(i)], cell, 1e-9);
  EXPECT_NEAR(white[139] / cell, 0, 1e-9);
  EXPECT_NEAR(white[141] / cell, (1 - 1.0 / (64 * 64)) / 12, 1e-9);
  EXPECT_NEAR(white[143] / cell, 0, 1e-9);
  for (double x : clear) EXPECT_EQ(x, 0) << "what is under alpha 0 is not seen";
}

// A step of luma 1 in one column: only the direction along x, in the cells that hold it.
TEST(PictureFeature, AnEdgeIsCountedWhereItIs) {
  Image halves = uniform_picture(0x000000ff);
  fill(halves, 40, 0, 24, 64, 0xffffffff);
  const auto f = feature(halves);
  for (int cell = 0; cell < 16; ++cell)
    for (int d = 0; d < 6; ++d) {
      const double x = f[size_t(cell * 6 + d)];
      if (cell % 4 == 2 && d == 0) EXPECT_GT(x, 0) << cell;
      else EXPECT_NEAR(x, 0, 1e-6) << cell << ' ' << d;
    }
  EXPECT_NEAR(f[2 * 6] / f[14 * 6], std::sqrt(16.0 / 15), 1e-9) << "the last row has no step";
}

TEST(SetDistance, EigenvaluesMakeTheMatrix) {
  const int n = 23;
  std::vector<double> m(n * n);
  for (int i = 0; i < n; ++i)
    for (int j = 0; j <= i; ++j) m[size_t(i * n + j)] = m[size_t(j * n + i)] = double(normal(1, uint64_t(i * n + j)));
  std::vector<double> v;
  const auto values = eigenvalues(m, n, &v);
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) {
      double sum = 0, unit = 0;
      for (int k = 0; k < n; ++k) {
        sum += values[size_t(k)] * v[size_t(i * n + k)] * v[size_t(j * n + k)];
        unit += v[size_t(k * n + i)] * v[size_t(k * n + j)];
      }
      EXPECT_NEAR(sum, m[size_t(i * n + j)], 1e-10);
      EXPECT_NEAR(unit, i == j, 1e-12);
    }
  EXPECT_EQ(eigenvalues({5}, 1), std::vector<double>{5});
  EXPECT_EQ(eigenvalues({0, 0, 0, 0}, 2), (std::vector<double>{0, 0}));
}

// Two pictures each: the covariances are u u^T / 2 and v v^T / 2, and the trace of the root is |u.v| / 2.
TEST(SetDistance, FrechetOfTwoAndTwoByHand) {
  const auto a = random_set(2, 1), b = random_set(2, 2, 0.5);
  double mean = 0, uu = 0, vv = 0, uv = 0;
  for (size_t i = 0; i < size_t(D); ++i) {
    const double u = a[0][i] - a[1][i], v = b[0][i] - b[1][i], m = (a[0][i] + a[1][i] - b[0][i] - b[1][i]) / 2;
    mean += m * m, uu += u * u, vv += v * v, uv += u * v;
  }
  // A root is taken of a value that rounding may have moved by 1e-16 of the largest.
  EXPECT_NEAR(FrechetReference(a).distance(b), mean + uu / 2 + vv / 2 - std::abs(uv), 1e-5 * uu);
}

// Diagonal covariances: each number for itself, (m1 - m2)^2 + (s1 - s2)^2.
TEST(SetDistance, FrechetOfIndependentNumbers) {
  FeatureSet a(2 * D), b(2 * D);  // number j stands at +-s in two pictures and at 0 elsewhere
  double want = 0;
  for (size_t j = 0; j < size_t(D); ++j) {
    const double s = 1 + 0.1 * double(j % 7), r = 2 - 0.2 * double(j % 5), shift = 0.01 * double(j);
    for (auto& f : b) f[j] = shift;
    a[2 * j][j] = s, a[2 * j + 1][j] = -s;
    b[2 * j][j] += r, b[2 * j + 1][j] -= r;
    const double root = std::sqrt(2.0 / (2 * D - 1));
    want += shift * shift + (s - r) * (s - r) * root * root;
  }
  EXPECT_NEAR(FrechetReference(a).distance(b), want, 1e-9);
}

TEST(SetDistance, KernelIsThePlainFormula) {
  const auto a = random_set(7, 1), b = random_set(5, 2, 0.7);
  const auto k = [](const PictureFeature& x, const PictureFeature& y) {
    double dot = 0;
    for (size_t i = 0; i < size_t(D); ++i) dot += x[i] * y[i];
    return std::pow(dot / D + 1, 3);
  };
  double aa = 0, bb = 0, ab = 0;
  for (size_t i = 0; i < 7; ++i)
    for (size_t j = 0; j < 7; ++j) aa += i != j ? k(a[i], a[j]) / 42 : 0;
  for (size_t i = 0; i < 5; ++i)
    for (size_t j = 0; j < 5; ++j) bb += i != j ? k(b[i], b[j]) / 20 : 0;
  for (const auto& x : a)
    for (const auto& y : b) ab += k(x, y) / 35;
  const KernelReference reference(a);
  EXPECT_NEAR(reference.distance(b), aa + bb - 2 * ab, 1e-12 * (aa + bb));
  // Weights are counts, a picture's copies not compared with each other.
  const FeatureSet three{b[0], b[2], b[4]};
  EXPECT_NEAR(reference.distance(reference.sample(b), std::vector<double>{1, 0, 1, 0, 1}), reference.distance(three),
              1e-12 * (aa + bb));
  EXPECT_NEAR(reference.distance(reference.sample(three), std::vector<double>{2, 2, 2}), reference.distance(three),
              1e-12 * (aa + bb));
}

TEST(SetDistance, ManifoldByHand) {
  FeatureSet line(5), of(5);
  const double at[5] = {0, 1, 2, 10, 11}, asked[5] = {-1.5, 1.5, 4.5, 19, 21};
  for (size_t i = 0; i < 5; ++i) line[i][3] = at[i], of[i][3] = asked[i];
  // 2nd nearest others: 2, 1, 2, 8, 9: the balls reach [-2, 2], [0, 2], [0, 4], [2, 18], [2, 20]
  EXPECT_EQ(in_manifold(of, line, 2), (std::vector<char>{1, 1, 1, 1, 0}));
  EXPECT_EQ(in_manifold(of, line, 1), (std::vector<char>{0, 1, 0, 0, 0}));
}

// Another sample of the same source, and that sample damaged: the more, the further.
TEST(SetDistance, GrowsWithDamage) {
  const auto images = gallery(140, 5000);
  const auto reference = featured(gallery(140, 1)), same = featured(images);
  const auto changed = [&](auto change) {
    std::vector<Image> out;
    for (size_t i = 0; i < images.size(); ++i) out.push_back(change(images[i], i));
    return featured(out);
  };
  const auto blur = [&](int side) {
    return changed([&](const Image& image, size_t) { return resize(resize(image, side, side), 64, 64); });
  };
  const auto noise = [&](double size) {
    return changed([&](Image image, size_t n) {
      for (size_t i = 0; i < image.rgba.size(); ++i)
        image.rgba[i] = uint8_t(std::clamp(image.rgba[i] + size * double(normal(n, i)), 0.0, 255.0));
      return image;
    });
  };
  const auto other =
      changed([](const Image& image, size_t) { return over(mirror(crop(image, 20, 20, 24, 24)), 250, 240, 90); });
  const FrechetReference frechet(reference);
  const KernelReference kernel(reference);
  const std::vector<FeatureSet> softer{same, blur(16), blur(6)}, noisier{same, noise(20), noise(60)}, foreign{blur(6), other};
  for (const auto* sets : {&softer, &noisier, &foreign})
    for (size_t i = 1; i < sets->size(); ++i) {
      EXPECT_GT(frechet.distance((*sets)[i]), 1.02 * frechet.distance((*sets)[i - 1])) << i;
      EXPECT_GT(kernel.distance((*sets)[i]), kernel.distance((*sets)[i - 1])) << i;
    }
  EXPECT_NEAR(frechet.distance(reference), 0, 1e-6);
  EXPECT_LE(kernel.distance(reference), 0);  // unbiased: below 0 for the set itself
  const auto share = [](const std::vector<char>& v) { return double(std::count(v.begin(), v.end(), 1)) / double(v.size()); };
  EXPECT_EQ(share(in_manifold(reference, reference)), 1);
  EXPECT_GT(share(in_manifold(same, reference)), share(in_manifold(noisier[2], reference)) + 0.3);
  EXPECT_GT(share(in_manifold(reference, same)), share(in_manifold(reference, noisier[2])) + 0.3);
}

}  // namespace
}  // namespace duet
