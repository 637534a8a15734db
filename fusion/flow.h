// The noise schedule that trainer and sampler share: rectified flow with x-prediction (arXiv 2209.03003, 2511.13720).
// z_t = t x + (1 - t) e, with t = 0 noise and t = 1 the picture. The model predicts x; the loss is the velocity's:
// v = (x - z) / (1 - t), so |v - v^|^2 = |x - x^|^2 / (1 - t)^2.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/random.h"

namespace duet {

inline constexpr float kLeastNoise = 0.05f;  // 1 - t is taken as at least this where it divides

// t of training sample i: logit-normal, more often near noise (mean < 0)
inline float sample_t(uint64_t seed, uint64_t i, float mean, float std) {
  const float u = mean + std * normal(seed, i);
  return 1 / (1 + std::exp(-u));
}
inline float flow_weight(float t) {
  const float s = std::max(1 - t, kLeastNoise);
  return 1 / (s * s);
}

// The time at which step s of `steps` of a sampler begins: 0 .. 1. shift > 1: more of the steps near noise, where the words
// decide what goes where (arXiv 2403.03206, 5.3.2).
inline float step_time(int s, int steps, double shift) { return float(s / (s + shift * (steps - s))); }

// Features of t for the model: cos and sin of 1000 t at n/2 frequencies, as transformers encode positions
inline void time_features(float* out, float t, int64_t n) {
  for (int64_t i = 0; i < n / 2; ++i) {
    const double a = 1000.0 * t * std::exp(-std::log(10000.0) * double(i) / double(n / 2));
    out[i] = float(std::cos(a)), out[n / 2 + i] = float(std::sin(a));
  }
}

}  // namespace duet
