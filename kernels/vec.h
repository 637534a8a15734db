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

// The same halves are added, whatever the vectors: 8 + 8, 4 + 4, then (0 + 2) + (1 + 3).
inline float sum16(v16 v) {
  typedef float v8 __attribute__((vector_size(32)));
  typedef float v4 __attribute__((vector_size(16)));
  const v8 a =
      __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) + __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  const v4 b = __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
  return (b[0] + b[2]) + (b[1] + b[3]);
}
inline float max16(v16 v) {
  typedef float v8 __attribute__((vector_size(32)));
  typedef float v4 __attribute__((vector_size(16)));
  const v8 l = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7),
           h = __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  const v8 a = l > h ? l : h;
  const v4 c = __builtin_shufflevector(a, a, 0, 1, 2, 3), d = __builtin_shufflevector(a, a, 4, 5, 6, 7);
  const v4 b = c > d ? c : d;
  return std::max(std::max(b[0], b[2]), std::max(b[1], b[3]));
}

// Sixteen running sums, then one; the rest after that.
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

// e^x to 2 ulp for finite x; clamped to [e^-87, e^88]. Without branches, for vectors (V = v16) and scalars alike.
template <class V, class I>
inline V exp_of(V x) {
  x = x < -87.0f ? V{} - 87.0f : x;
  x = x > 88.0f ? V{} + 88.0f : x;
  const V t = x * 1.44269504f + 12582912.0f;  // the sum's low bits hold round(x log2 e)
  const V n = t - 12582912.0f;
  const V r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  V p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  return p * std::bit_cast<V>((std::bit_cast<I>(t) + 127) << 23);
}
typedef uint32_t u16v __attribute__((vector_size(64)));
typedef float f16v __attribute__((vector_size(64)));
inline f16v exp16(f16v x) { return exp_of<f16v, u16v>(x); }
inline float fast_exp(float x) { return exp_of<float, uint32_t>(x); }
inline f16v sigmoid16(f16v x) { return 1.0f / (1.0f + exp16(-x)); }
inline float sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }

// f on sixteen values at a time: f(i, n) handles values i .. i + n, n = 16 but for the last
template <class F>
inline void by16(int64_t n, F f) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) f(i, 16);
  if (i < n) f(i, int(n - i));
}
inline f16v load_some(const float* p, int n) {
  if (n == 16) return load16(p);
  float t[16] = {};
  std::memcpy(t, p, size_t(n) * 4);
  return load16(t);
}
inline void store_some(float* p, f16v v, int n) {
  if (n == 16) return store16(p, v);
  float t[16];
  store16(t, v);
  std::memcpy(p, t, size_t(n) * 4);
}

// Scratch of this thread that only grows. `slot` keeps users apart that nest inside one another.
void* scratch(int slot, size_t bytes);
template <class T>
T* scratch(int slot, int64_t count) {
  return static_cast<T*>(scratch(slot, size_t(count) * sizeof(T)));
}

}  // namespace duet
