#include "infer/imagedistance.h"

#include <cmath>

#include "kernels/error.h"
#include "kernels/parallel.h"
#include "vision/transform.h"

namespace duet {
namespace {

constexpr int kLargest = 64, kSmallest = 8, kScales = 4;

// Sums of squares in sixteen lanes: the order of addition is fixed, and the compiler keeps them in registers.
float square_distance(const float* a, const float* b, size_t n) {
  constexpr size_t kLanes = 16;
  float lane[kLanes] = {};
  for (size_t i = 0; i < n; i += kLanes)
    for (size_t j = 0; j < kLanes; ++j) {
      const float d = a[i + j] - b[i + j];
      lane[j] += d * d;
    }
  float sum = 0;
  for (float l : lane) sum += l;
  return sum;
}

}  // namespace

PictureDescriptor describe(const Image& image) {
  const Image square = fit_square(image, kLargest);
  std::vector<float> p(size_t(kLargest) * kLargest * 4);  // premultiplied
  for (size_t i = 0; i < p.size(); i += 4) {
    const float a = square.rgba[i + 3] / 255.0f;
    for (size_t c = 0; c < 3; ++c) p[i + c] = square.rgba[i + c] / 255.0f * a;
    p[i + 3] = a;
  }
  PictureDescriptor out;
  for (int s = kLargest; s >= kSmallest; s /= 2) {
    const float scale = float(std::sqrt(1.0 / kScales) / s), colour = scale * std::sqrt(1 / 3.0f);
    std::vector<float> luma(size_t(s) * s);
    for (size_t i = 0; i < luma.size(); ++i) {
      const float a = p[i * 4 + 3], ground = (1 - a) / 2;
      for (size_t c = 0; c < 3; ++c) out.push_back(colour * (p[i * 4 + c] + ground));
      out.push_back(scale * std::sqrt(0.5f) * a);  // a quarter from the two grounds, a quarter of its own
      luma[i] = 0.299f * p[i * 4] + 0.587f * p[i * 4 + 1] + 0.114f * p[i * 4 + 2] + ground;
    }
    for (int y = 0; y < s; ++y)
      for (int x = 0; x < s; ++x) {
        const size_t i = size_t(y) * s + x, right = x + 1 < s ? i + 1 : i, below = y + 1 < s ? i + s : i;
        for (size_t j : {right, below}) {
          out.push_back(scale * (luma[j] - luma[i]));
          out.push_back(scale * (p[j * 4 + 3] - p[i * 4 + 3]));
        }
      }
    const int half = s / 2;
    std::vector<float> next(size_t(half) * half * 4);
    for (int y = 0; y < half; ++y)
      for (int x = 0; x < half; ++x)
        for (int c = 0; c < 4; ++c) {
          const float* at = &p[(size_t(2 * y) * s + 2 * x) * 4 + c];
          next[(size_t(y) * half + x) * 4 + c] = (at[0] + at[4] + at[s * 4] + at[s * 4 + 4]) / 4;
        }
    p = std::move(next);
  }
  return out;
}

double distance(const PictureDescriptor& a, const PictureDescriptor& b) {
  CHECK(a.size() == b.size(), a.size(), " and ", b.size());
  return std::sqrt(double(square_distance(a.data(), b.data(), a.size())));
}

std::vector<float> distances(std::span<const PictureDescriptor> a, std::span<const PictureDescriptor> b) {
  std::vector<float> out(a.size() * b.size());
  constexpr size_t kPiece = 8;  // descriptors of b, 170 kB each, that wait in the cache while all of a passes by
  const int64_t pieces = int64_t((b.size() + kPiece - 1) / kPiece);
  parallel_for(pieces, [&](int64_t piece) {
    const size_t first = size_t(piece) * kPiece, last = std::min(first + kPiece, b.size());
    for (size_t i = 0; i < a.size(); ++i)
      for (size_t j = first; j < last; ++j) out[i * b.size() + j] = float(distance(a[i], b[j]));
  });
  return out;
}

}  // namespace duet
