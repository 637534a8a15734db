#include "fusion/finer.h"

#include <algorithm>
#include <vector>

namespace duet {
namespace {

// t with rows (columns) from[i] of its own, each `times` what it was.
Tensor rows_of(const Tensor& t, const std::vector<int64_t>& from) {
  const int64_t each = t.count() / t.dim(0);
  Shape shape = t.shape();
  shape[0] = int64_t(from.size());
  Tensor out(shape);
  for (size_t i = 0; i < from.size(); ++i) std::copy_n(t.data() + from[i] * each, each, out.data() + int64_t(i) * each);
  return out;
}
Tensor columns_of(const Tensor& t, const std::vector<int64_t>& from, float times) {
  const int64_t N = t.dim(0), W = t.dim(1), n = int64_t(from.size());
  Tensor out({N, n});
  for (int64_t r = 0; r < N; ++r)
    for (int64_t i = 0; i < n; ++i) out.data()[r * n + i] = times * t.data()[r * W + from[size_t(i)]];
  return out;
}

// Where the values (y, x, channel) of a patch k times finer come from.
std::vector<int64_t> pixels(int64_t patch, int64_t k, int64_t channels) {
  std::vector<int64_t> from;
  for (int64_t y = 0; y < patch * k; ++y)
    for (int64_t x = 0; x < patch * k; ++x)
      for (int64_t c = 0; c < channels; ++c) from.push_back((y / k * patch + x / k) * channels + c);
  return from;
}

// The rows of head.masks: for each mask its pixels, then its colour.
std::vector<int64_t> masks(int64_t rows, int64_t patch, int64_t k) {
  const int64_t colours = 4, each = patch * patch + colours;
  const auto area = pixels(patch, k, 1);
  std::vector<int64_t> from;
  for (int64_t first = 0; first < rows; first += each) {
    for (int64_t a : area) from.push_back(first + a);
    for (int64_t c = 0; c < colours; ++c) from.push_back(first + patch * patch + c);
  }
  return from;
}

}  // namespace

Tensor finer_parameter(const std::string& name, const Tensor& t, int64_t patch, int64_t k) {
  if (name == "vision.patch_in.weight") return columns_of(t, pixels(patch, k, 4), 1 / float(k * k));
  if (name == "head.flow.weight" || name == "head.flow.bias" || name == "time.skip.weight")
    return rows_of(t, pixels(patch, k, 4));
  if (name == "head.skip.own") return columns_of(t, pixels(patch, k, 4), 1);
  if (name == "head.masks.weight") return rows_of(t, masks(t.dim(0), patch, k));
  return t;
}

}  // namespace duet
