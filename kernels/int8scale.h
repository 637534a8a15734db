// One scale for a row of numbers, so that the largest becomes 127: w = q scale, q = round(w / scale), -127 .. 127.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

namespace duet {

struct Int8Scale {
  float scale, step;  // step = 1 / scale, or 0 for a row that is as good as zeros
  explicit Int8Scale(float largest) : scale(largest * (1.0f / 127.0f)), step(largest > 1e-30f ? 127.0f / largest : 0.0f) {}
  static Int8Scale of(const float* w, int64_t n) {
    float largest = 0;
    for (int64_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(w[i]));
    return Int8Scale(largest);
  }
  int8_t operator()(float w) const { return int8_t(std::clamp<long>(std::lrint(w * step), -127, 127)); }
};

}  // namespace duet
