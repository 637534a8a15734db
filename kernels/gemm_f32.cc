#include <cstring>

#include "kernels/gemm_tiles.h"
#include "kernels/vec.h"

namespace duet {
namespace {

#if defined(__AVX512F__)
constexpr int kRows = 12, kCols = 32;
typedef v16 vec;
#else
constexpr int kRows = 6, kCols = 16;
typedef float vec __attribute__((vector_size(32), aligned(4), may_alias));
#endif
constexpr int kLanes = sizeof(vec) / 4, kVecs = kCols / kLanes;

#if defined(__AVX512F__)
// 16 lines of 16 values, turned: four rounds in which lines at distance 8, 4, 2, 1 swap halves
inline void transpose(v16 r[16]) {
  for (int i = 0; i < 8; ++i) {
    const v16 a = r[i], b = r[i + 8];
    r[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
    r[i + 8] = __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  }
  for (int h = 0; h < 16; h += 8)
    for (int i = h; i < h + 4; ++i) {
      const v16 a = r[i], b = r[i + 4];
      r[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
      r[i + 4] = __builtin_shufflevector(a, b, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
    }
  for (int h = 0; h < 16; h += 4)
    for (int i = h; i < h + 2; ++i) {
      const v16 a = r[i], b = r[i + 2];
      r[i] = __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
      r[i + 2] = __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    }
  for (int i = 0; i < 16; i += 2) {
    const v16 a = r[i], b = r[i + 1];
    r[i] = __builtin_shufflevector(a, b, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30);
    r[i + 1] = __builtin_shufflevector(a, b, 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31);
  }
}
#endif

// Panel of A: for each k, kRows values; missing rows are zeros.
void pack_a(void* out, Mat a, int64_t row, int64_t rows, int64_t k0, int64_t ks) {
  float* d = static_cast<float*>(out);
  if (rows < kRows) std::memset(d, 0, size_t(ks) * kRows * 4);
  if (a.transposed) {
    for (int64_t k = 0; k < ks; ++k)
      for (int64_t r = 0; r < rows; ++r) d[k * kRows + r] = a.p[(k0 + k) * a.ld + row + r];
  } else {
    int64_t k = 0;
    const float* s = a.p + row * a.ld + k0;
#if defined(__AVX512F__)
    for (; k + 16 <= ks; k += 16) {
      v16 t[16] = {};
      for (int64_t r = 0; r < rows; ++r) t[r] = load16(s + r * a.ld + k);
      transpose(t);
      for (int j = 0; j < 16; ++j) std::memcpy(d + (k + j) * kRows, &t[j], kRows * 4);
    }
#endif
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = k; i < ks; ++i) d[i * kRows + r] = s[r * a.ld + i];
  }
}

// Panel of B: for each k, kCols values; missing columns are zeros.
void pack_b(void* out, Mat b, int64_t col, int64_t cols, int64_t k0, int64_t ks) {
  float* d = static_cast<float*>(out);
  if (cols < kCols) std::memset(d, 0, size_t(ks) * kCols * 4);
  if (b.transposed) {
    for (int64_t c = 0; c < cols; ++c) {
      const float* s = b.p + (col + c) * b.ld + k0;
      for (int64_t k = 0; k < ks; ++k) d[k * kCols + c] = s[k];
    }
  } else {
    for (int64_t k = 0; k < ks; ++k) std::memcpy(d + k * kCols, b.p + (k0 + k) * b.ld + col, size_t(cols) * 4);
  }
}

void multiply(float* C, int64_t ldc, const void* ap, const void* bp, int64_t ks, bool load) {
  const float *a = static_cast<const float*>(ap), *b = static_cast<const float*>(bp);
  vec acc[kRows][kVecs];
  // The block's lines of C come in while it is computed, and A and B a little ahead of their use.
  for (int r = 0; r < kRows; ++r) __builtin_prefetch(C + r * ldc, 1), __builtin_prefetch(C + r * ldc + kCols - 1, 1);
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) acc[r][v] = load ? *reinterpret_cast<const vec*>(C + r * ldc + v * kLanes) : vec{};
  for (int64_t k = 0; k < ks; ++k, a += kRows, b += kCols) {
    vec bv[kVecs];
    __builtin_prefetch(a + kRows * 16), __builtin_prefetch(b + kCols * 12), __builtin_prefetch(b + kCols * 12 + kCols / 2);
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) bv[v] = *reinterpret_cast<const vec*>(b + v * kLanes);
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < kVecs; ++v) acc[r][v] += a[r] * bv[v];
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) *reinterpret_cast<vec*>(C + r * ldc + v * kLanes) = acc[r][v];
}

}  // namespace

const TileEngine kF32Tiles{kRows, kCols, 1, 384, kRows * 16, 2, 4, 4, pack_a, pack_b, multiply};

}  // namespace duet
