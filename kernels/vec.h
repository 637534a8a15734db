// Sixteen floats at a time, in the compiler's own vectors (AVX-512, two AVX2 halves or four SSE quarters),
// and the scalar functions that loops over them can vectorise. Sums have one fixed order, whatever the machine's threads.
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace duet {

typedef float v16 __attribute__((vector_size(64), aligned(4), may_alias));

inline v16 load16(const float* p) { return *reinterpret_cast<const v16*>(p); }
inline void store16(float* p, v16 v) { *reinterpret_cast<v16*>(p) = v; }
inline v16 splat(float x) { return v16{} + x; }

inline float sum16(v16 v) {
  float s[8];
  for (int i = 0; i < 8; ++i) s[i] = v[i] + v[i + 8];
  for (int i = 0; i < 4; ++i) s[i] += s[i + 4];
  return (s[0] + s[2]) + (s[1] + s[3]);
}

// sum over i < n of f(i..i+15) with lanes first; `f(v)` maps a vector, `g(i)` the scalar tail
inline float dot(const float* a, const float* b, int64_t n) {
  v16 s{};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) s += load16(a + i) * load16(b + i);
  float t = sum16(s);
  for (; i < n; ++i) t += a[i] * b[i];
  return t;
}
inline float sum_of(const float* a, int64_t n) {
  v16 s{};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) s += load16(a + i);
  float t = sum16(s);
  for (; i < n; ++i) t += a[i];
  return t;
}

// e^x to 2 ulp for finite x; underflows to 0, overflows to a large finite number. Branch-free, so loops over it vectorise.
inline float fast_exp(float x) {
  x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
  const float t = x * 1.44269504f + 12582912.0f;  // the sum's low bits hold round(x log2 e)
  const float n = t - 12582912.0f;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  return p * std::bit_cast<float>(int32_t(uint32_t(std::bit_cast<int32_t>(t) + 127) << 23));
}
inline float sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }

// Scratch of this thread that only grows. `slot` keeps users apart that nest inside one another.
void* scratch(int slot, size_t bytes);
template <class T>
T* scratch(int slot, int64_t count) {
  return static_cast<T*>(scratch(slot, size_t(count) * sizeof(T)));
}

}  // namespace duet
