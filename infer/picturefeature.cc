#include "infer/picturefeature.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/parallel.h"
#include "vision/transform.h"

namespace duet {
namespace {

constexpr int kSide = 64, kCells = 4, kCell = kSide / kCells, kDirections = 6, kBins = 3;
// Each part varies alike over Noto's 1943 training emoji (summed variances 0.182, 0.438, 1.128 without the weights), and the
// mean square of a number is about one, as the kernel of infer/setdistance.h likes it.
constexpr double kEdges = 8.4, kColours = 5.4, kOutline = 3.4;

struct Pixel {
  double r, g, b, a;  // premultiplied
  double luma() const { return 0.299 * r + 0.587 * g + 0.114 * b + (1 - a) / 2; }
};
using Pixels = std::vector<Pixel>;  // (64, 64)

void count_edges(const Pixels& p, double* out) {
  for (int y = 0; y + 1 < kSide; ++y)
    for (int x = 0; x + 1 < kSide; ++x) {
      const double at = p[size_t(y * kSide + x)].luma();
      const double dx = p[size_t(y * kSide + x + 1)].luma() - at, dy = p[size_t((y + 1) * kSide + x)].luma() - at;
      const double length = std::hypot(dx, dy);
      if (length == 0) continue;
      double angle = std::atan2(dy, dx) / std::numbers::pi * kDirections;  // [-6, 6]; a step up and one down are alike
      if (angle < 0) angle += kDirections;
      const int low = int(angle);
      const double share = angle - low;
      double* cell = out + (y / kCell * kCells + x / kCell) * kDirections;
      cell[low % kDirections] += length * (1 - share), cell[(low + 1) % kDirections] += length * share;
    }
  for (int i = 0; i < kCells * kCells * kDirections; ++i) out[i] = kEdges * std::sqrt(out[i] / (kCell * kCell));
}

void count_colours(const Pixels& p, double* out) {
  double all = 0;
  for (const Pixel& c : p) {
    if (c.a == 0) continue;
    all += c.a;
    const double straight[3] = {c.r / c.a, c.g / c.a, c.b / c.a};
    int low[3];
    double share[3];
    for (int i = 0; i < 3; ++i) {
      const double at = std::clamp(straight[i], 0.0, 1.0) * (kBins - 1);
      low[i] = std::min(int(at), kBins - 2), share[i] = at - low[i];
    }
    for (int corner = 0; corner < 8; ++corner) {
      double weight = c.a;
      int bin = 0;
      for (int i = 0; i < 3; ++i) {
        const int up = corner >> i & 1;
        weight *= up ? share[i] : 1 - share[i];
        bin = bin * kBins + low[i] + up;
      }
      out[bin] += weight;
    }
  }
  for (int i = 0; i < kBins * kBins * kBins; ++i) out[i] = all > 0 ? kColours * std::sqrt(out[i] / all) : 0;
}

void count_outline(const Pixels& p, double* out) {
  double all = 0, cx = 0, cy = 0, xx = 0, yy = 0, xy = 0, half = 0;
  const auto place = [](int i) { return (i + 0.5) / kSide - 0.5; };
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x) {
      const double a = p[size_t(y * kSide + x)].a;
      out[y / kCell * kCells + x / kCell] += a / (kCell * kCell);
      all += a, cx += a * place(x), cy += a * place(y);
      half += a > 0.1 && a < 0.9;
    }
  if (all > 0) cx /= all, cy /= all;
  for (int y = 0; all > 0 && y < kSide; ++y)
    for (int x = 0; x < kSide; ++x) {
      const double a = p[size_t(y * kSide + x)].a / all, dx = place(x) - cx, dy = place(y) - cy;
      xx += a * dx * dx, yy += a * dy * dy, xy += a * dx * dy;
    }
  const double moments[6] = {cx, cy, xx, yy, xy, half / (kSide * kSide)};
  std::copy_n(moments, 6, out + kCells * kCells);
  for (int i = 0; i < kCells * kCells + 6; ++i) out[i] *= kOutline;
}

}  // namespace

PictureFeature feature(const Image& image) {
  const Image square = fit_square(image, kSide);
  Pixels p(size_t(kSide) * kSide);
  for (size_t i = 0; i < p.size(); ++i) {
    const uint8_t* c = square.rgba.data() + 4 * i;
    const double a = c[3] / 255.0;
    p[i] = {c[0] / 255.0 * a, c[1] / 255.0 * a, c[2] / 255.0 * a, a};
  }
  PictureFeature f{};
  double* colours = f.data() + kCells * kCells * kDirections;
  count_edges(p, f.data()), count_colours(p, colours), count_outline(p, colours + kBins * kBins * kBins);
  return f;
}

std::vector<PictureFeature> features(std::span<const Image* const> pictures) {
  std::vector<PictureFeature> out(pictures.size());
  parallel_for(int64_t(pictures.size()), [&](int64_t i) { out[size_t(i)] = feature(*pictures[size_t(i)]); });
  return out;
}

}  // namespace duet
