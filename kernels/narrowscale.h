// One scale for numbers that become small ones, so that the largest of them becomes kMost: w = q scale.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

namespace duet {

template <int kMost>
struct NarrowScale {
  float scale, step;  // step = 1 / scale, or 0 for numbers that are as good as zeros
  explicit NarrowScale(float largest)
      : scale(largest * (1.0f / float(kMost))), step(largest > 1e-30f ? float(kMost) / largest : 0.0f) {}
  static NarrowScale of(const float* w, int64_t n) {
    float largest = 0;
    for (int64_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(w[i]));
    return NarrowScale(largest);
  }
  int8_t operator()(float w) const {  // nearest whole number, -kMost .. kMost
    static_assert(kMost <= 127);
    return int8_t(std::clamp<long>(std::lrint(w * step), -kMost, kMost));
  }
};
using Int8Scale = NarrowScale<127>;
using Int4Scale = NarrowScale<7>;

}  // namespace duet
