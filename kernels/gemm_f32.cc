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

// Panel of A: for each k, kRows values; missing rows are zeros.
void pack_a(void* out, Mat a, int64_t row, int64_t rows, int64_t k0, int64_t ks) {
  float* d = static_cast<float*>(out);
  if (rows < kRows) std::memset(d, 0, size_t(ks) * kRows * 4);
  if (a.transposed) {
    for (int64_t k = 0; k < ks; ++k)
      for (int64_t r = 0; r < rows; ++r) d[k * kRows + r] = a.p[(k0 + k) * a.ld + row + r];
  } else {
    for (int64_t r = 0; r < rows; ++r) {
      const float* s = a.p + (row + r) * a.ld + k0;
      for (int64_t k = 0; k < ks; ++k) d[k * kRows + r] = s[k];
    }
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
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v)
      acc[r][v] = load ? *reinterpret_cast<const vec*>(C + r * ldc + v * kLanes) : vec{};
  for (int64_t k = 0; k < ks; ++k, a += kRows, b += kCols) {
    vec bv[kVecs];
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

const TileEngine kF32Tiles{kRows, kCols, 1, 384, kRows * 16, 4, pack_a, pack_b, multiply};

}  // namespace duet
