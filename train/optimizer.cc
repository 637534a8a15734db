#include "train/optimizer.h"

#include <cmath>

#include "kernels/parallel.h"
#include "kernels/table.h"

namespace duet {

static bool is_block_matrix(const Flat::Entry& e) {
  const auto ends = [&](const char* s) { return e.name.ends_with(s); };
  return e.shape.size() == 2 && (ends(".qkv.weight") || ends(".proj.weight") || ends(".up.weight") || ends(".down.weight"));
}

Optimizer::Optimizer(Flat& f, const OptimizerConfig& c)
    : m(Tensor::zeros({f.n})), v(Tensor::zeros({f.n})), ema(f.values.clone()), f_(f), c_(c) {
  for (const auto& e : f.entries) {
    if (c.muon && is_block_matrix(e)) {
      // q, k and v, and the two halves of SwiGLU, are matrices of their own
      const int64_t parts = e.name.ends_with(".qkv.weight") ? 3 : e.name.ends_with(".up.weight") ? 2 : 1;
      const int64_t rows = e.shape[0] / parts, cols = e.shape[1];
      for (int64_t p = 0; p < parts; ++p) matrices_.push_back({e.first + p * rows * cols, rows, cols});
    } else {
      rest_.push_back({e.first, e.shape.count(), e.shape.size() == 2 && e.name.ends_with(".weight")});
    }
  }
}

Optimizer::Result Optimizer::step(int64_t step, double lr) {
  float* g = f_.grads.data();
  const double norm = std::sqrt(cpu::square_sum(g, f_.n));
  if (!std::isfinite(norm)) {
    std::fill_n(g, f_.n, 0.0f);
    return {norm, false};
  }
  if (c_.clip > 0 && norm > c_.clip) {
    const float k = float(c_.clip / norm);
    for (auto& x : f_.grads.floats()) x *= k;
  }
  float *w = f_.values.data(), *mm = m.data();
  for (const Range& r : rest_)
    cpu::adamw(w + r.first, mm + r.first, v.data() + r.first, g + r.first, float(lr * c_.adam), float(c_.beta1), float(c_.beta2),
               float(c_.eps), float(r.decay ? c_.decay : 0), step, r.n);
  // A matrix a job: each is small enough for one core's cache.
  parallel_for(int64_t(matrices_.size()), [&](int64_t j) {
    const Matrix& x = matrices_[size_t(j)];
    const int64_t n = x.rows * x.cols;
    const float mu = float(c_.momentum);
    const Tensor u({n});
    float *ud = u.data(), *md = mm + x.first, *wd = w + x.first;
    const float* gd = g + x.first;
    for (int64_t i = 0; i < n; ++i) {
      md[i] = mu * md[i] + gd[i];
      ud[i] = gd[i] + mu * md[i];
    }
    cpu::newton_schulz(ud, x.rows, x.cols);
    const float k = float(lr * 0.2 * std::sqrt(double(std::max(x.rows, x.cols)))), keep = float(1 - lr * c_.decay);
    for (int64_t i = 0; i < n; ++i) wd[i] = wd[i] * keep - k * ud[i];
  });
  cpu::lerp(ema.data(), w, float(1 - std::min(c_.ema, double(step) / double(step + 9))), f_.n);
  std::fill_n(g, f_.n, 0.0f);
  return {norm, true};
}

}  // namespace duet
