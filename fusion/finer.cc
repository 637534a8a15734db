#include "fusion/finer.h"

#include <algorithm>
#include <map>

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

Tensor finer(const std::string& name, const Tensor& t, int64_t patch, int64_t k) {
  if (name == "vision.patch_in.weight") return columns_of(t, pixels(patch, k, 4), 1 / float(k * k));
  if (name == "head.flow.weight" || name == "head.flow.bias" || name == "time.skip.weight")
    return rows_of(t, pixels(patch, k, 4));
  if (name == "head.skip.own") return columns_of(t, pixels(patch, k, 4), 1);
  if (name == "head.masks.weight") return rows_of(t, masks(t.dim(0), patch, k));
  return t;
}

}  // namespace

void take_parameters(Model& to, Model& from, const std::string& name) {
  const int64_t patch = from.config.patch, k = to.config.patch / patch;
  const bool grows = k > 1 && to.config.patch == k * patch && to.config.size == k * from.config.size;
  std::map<std::string, Tensor> given;
  from.params([&](const std::string& n, Var& v) {
    const Tensor t = v.value().to(Device::cpu);
    given[n] = grows ? finer(n, t, patch, k) : t;
  });
  to.params([&](const std::string& n, Var& v) {
    const auto g = given.find(n);
    if (g == given.end()) return;
    if (g->second.shape() != v.shape())
      refuse(name, ": ", n, " is ", g->second.shape(), " there and ", v.shape(),
             " in the config's [model]; give both the same sizes (model.patch and model.size may both be a whole multiple)");
    std::copy_n(g->second.data(), v.value().count(), v.data());
    given.erase(g);
  });
  if (!given.empty())
    refuse(name, ": has ", given.begin()->first, ", which the config's [model] lacks; give both the same parts");
}

}  // namespace duet
