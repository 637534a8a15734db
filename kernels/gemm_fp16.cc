// fp16 products (AVX-512 FP16: Intel from Sapphire Rapids on): vfmadd231ph multiplies and adds 32 halves, at twice the rate of
// f32's. Its sums are halves too, so they are kept short: kShort products are summed as halves, and those sums as f32. That
// rounds about as much as bf16 inputs do. Halves reach from 6e-8 to 65504: gradients come scaled (TrainConfig::loss_scale).
#include <algorithm>
#include <cstring>

#include "kernels/bf16pack.h"  // transpose()
#include "kernels/gemm_tiles.h"

// A CPU with FP16 has BF16.
#if defined(__AVX512FP16__) && defined(__AVX512BF16__)
#include <cpuid.h>
#include <immintrin.h>

namespace duet {
namespace {

// A block of C is 24 x 32: 24 sums of 32 halves. A's values lie twice, as 32 bits, since a broadcast of 16 bits from memory
// takes a port that the products need.
constexpr int kRows = 24, kCols = 32;
constexpr int64_t kShort = 64;

inline __mmask16 first(int64_t n) { return n >= 16 ? __mmask16(0xffff) : __mmask16((1u << std::max<int64_t>(n, 0)) - 1); }
inline __m256i halves(__m512 x) { return _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
inline __m512i twice(__m512 x) {
  const __m512i h = _mm512_cvtepu16_epi32(halves(x));
  return _mm512_or_si512(h, _mm512_slli_epi32(h, 16));
}

// Hands `write(k, line)` the 16 values of `outer` rows or columns, from p on, for each of ks k's; missing ones are zeros.
template <class F>
inline void lines(const float* p, int64_t ld, bool consecutive, int64_t outer, int64_t ks, F&& write) {
  if (!consecutive) {
    for (int64_t k = 0; k < ks; ++k) write(k, _mm512_maskz_loadu_ps(first(outer), p + k * ld));
    return;
  }
  for (int64_t k = 0; k < ks; k += 16) {
    const int64_t n = std::min<int64_t>(16, ks - k);
    __m512i t[16];
    for (int i = 0; i < 16; ++i) t[i] = i < outer ? _mm512_maskz_loadu_epi32(first(n), p + i * ld + k) : _mm512_setzero_si512();
    transpose(t);
    for (int64_t j = 0; j < n; ++j) write(k + j, _mm512_castsi512_ps(t[j]));
  }
}

void pack_a(void* out, Mat a, int64_t row, int64_t rows, int64_t k0, int64_t ks) {
  uint32_t* d = static_cast<uint32_t*>(out);
  for (int64_t r = 0; r < kRows; r += 16) {
    const float* p = a.transposed ? a.p + k0 * a.ld + row + r : a.p + (row + r) * a.ld + k0;
    const __mmask16 wide = first(kRows - r);
    lines(p, a.ld, !a.transposed, rows - r, ks,
          [&](int64_t k, __m512 x) { _mm512_mask_storeu_epi32(d + k * kRows + r, wide, twice(x)); });
  }
}

void pack_b(void* out, Mat b, int64_t col, int64_t cols, int64_t k0, int64_t ks) {
  uint16_t* d = static_cast<uint16_t*>(out);
  for (int64_t c = 0; c < kCols; c += 16) {
    const float* p = b.transposed ? b.p + (col + c) * b.ld + k0 : b.p + k0 * b.ld + col + c;
    lines(p, b.ld, b.transposed, cols - c, ks,
          [&](int64_t k, __m512 x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(d + k * kCols + c), halves(x)); });
  }
}

void multiply(float* C, int64_t ldc, const void* ap, const void* bp, int64_t ks, bool load) {
  const uint32_t* a = static_cast<const uint32_t*>(ap);
  const uint16_t* b = static_cast<const uint16_t*>(bp);
  for (int r = 0; r < kRows; ++r) __builtin_prefetch(C + r * ldc, 1), __builtin_prefetch(C + r * ldc + kCols - 1, 1);
  for (int64_t k0 = 0; k0 < ks || k0 == 0; k0 += kShort) {
    __m512h sum[kRows];
#pragma GCC unroll 24
    for (int r = 0; r < kRows; ++r) sum[r] = _mm512_setzero_ph();
    for (int64_t n = std::min(kShort, ks - k0); n > 0; --n, a += kRows, b += kCols) {
      __builtin_prefetch(a + kRows * 8), __builtin_prefetch(a + kRows * 8 + 16), __builtin_prefetch(b + kCols * 12);
      const __m512h x = _mm512_loadu_ph(b);
#pragma GCC unroll 24
      for (int r = 0; r < kRows; ++r) sum[r] = _mm512_fmadd_ph((__m512h)_mm512_set1_epi32(int(a[r])), x, sum[r]);
    }
    const bool more = load || k0 > 0;
#pragma GCC unroll 24
    for (int r = 0; r < kRows; ++r) {
      float* c = C + r * ldc;
      const __m512i h = (__m512i)sum[r];
      __m512 lo = _mm512_cvtph_ps(_mm512_castsi512_si256(h)), hi = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(h, 1));
      if (more) lo = _mm512_add_ps(lo, _mm512_loadu_ps(c)), hi = _mm512_add_ps(hi, _mm512_loadu_ps(c + 16));
      _mm512_storeu_ps(c, lo), _mm512_storeu_ps(c + 16, hi);
    }
  }
}

}  // namespace

// Clang 14 does not know the name for __builtin_cpu_supports: leaf 7 of CPUID, bit 23 of EDX (Intel's manual, 2A, CPUID).
bool has_fp16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __builtin_cpu_supports("avx512bw") && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 23 & 1);
}

const TileEngine kFp16Tiles{kRows, kCols, 1, 256, kRows * 16, 2, 4, 2, pack_a, pack_b, multiply};

}  // namespace duet

#else

namespace duet {
bool has_fp16() { return false; }
const TileEngine kFp16Tiles = {};
}  // namespace duet

#endif
