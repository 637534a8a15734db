#include "train/optimizer.h"

#include <cmath>
#include <map>

#include "kernels/device.h"

namespace duet {

static bool is_block_matrix(const Flat::Entry& e) {
  const auto ends = [&](const char* s) { return e.name.ends_with(s); };
  return e.shape.size() == 2 && (ends(".qkv.weight") || ends(".proj.weight") || ends(".up.weight") || ends(".down.weight"));
}

Optimizer::Optimizer(Flat& f, const OptimizerConfig& c)
    : m(Tensor::zeros({f.n}, DType::f32, f.values.device())), v(m.clone()), ema(f.values.clone()), f_(f), c_(c) {
  CHECK(f.n < int64_t(1) << 31, f.n, " parameters in one buffer; there is room for 2^31");
  std::map<std::pair<int64_t, int64_t>, std::vector<int32_t>> matrices;
  for (const auto& e : f.entries) {
    if (c.muon && is_block_matrix(e)) {
      // q, k and v, and the two halves of SwiGLU, are matrices of their own
      const int64_t parts = e.name.ends_with(".qkv.weight") ? 3 : e.name.ends_with(".up.weight") ? 2 : 1;
      const int64_t rows = e.shape[0] / parts, cols = e.shape[1];
      for (int64_t p = 0; p < parts; ++p) matrices[{rows, cols}].push_back(int32_t(e.first + p * rows * cols));
    } else {
      rest_.push_back({e.first, e.shape.count(), e.shape.size() == 2 && e.name.ends_with(".weight")});
    }
  }
  for (const auto& [shape, at] : matrices) matrices_.push_back({shape.first, shape.second, Tensor::ints(at)});
}

Tensor Optimizer::apply(int64_t step, double lr, const Tensor& loss, float scale) {
  const Kernels& k = kernels(f_.values);
  const Tensor stats({2}, DType::f32, f_.values.device());
  if (scale != 1)
    for (float& g : f_.grads.floats()) g /= scale;  // on the CPU: no card has fp16 here
  k.clip_factor(stats, f_.grads, loss, float(c_.clip));
  for (const Range& r : rest_) {
    const auto part = [&](const Tensor& t) { return t.slice(r.first, {r.n}); };
    k.adamw(part(f_.values), part(m), part(v), part(f_.grads), stats, float(lr * c_.adam), float(c_.beta1), float(c_.beta2),
            float(c_.eps), float(r.decay ? c_.decay : 0), step);
  }
  for (const Matrices& x : matrices_)
    k.muon(f_.values, m, f_.grads, stats, x.at, x.rows, x.cols, float(c_.momentum),
           float(lr * 0.2 * std::sqrt(double(std::max(x.rows, x.cols)))), float(1 - lr * c_.decay));
  k.lerp(ema, f_.values, stats, float(1 - std::min(c_.ema, double(step) / double(step + 9))));
  f_.changed();
  k.memory.zero(f_.grads.data<void>(), f_.grads.bytes());
  return stats;
}

Optimizer::Result Optimizer::step(int64_t step, double lr) {
  const Tensor stats = apply(step, lr).to(Device::cpu);
  return {stats.data()[0], stats.data()[1] != 0};
}

}  // namespace duet
