// int8 products for weights that do not change: vpdpbusd adds four products of an unsigned and a signed byte to each of
// sixteen 32-bit sums (AVX-512 VNNI), at four times the rate of f32's multiply-add.
//   W   one scale an output: w = q scale, q = round(127 w / the output's largest |w|), -127 .. 127
//   x   one scale a row, found when it is packed: q = round(127 x / the row's largest |x|) + 128, 1 .. 255
//   y = (sum of qx qw - 128 sum of qw) scale_w scale_x: the sum is exact, so an element depends on its row and its
//   output alone
#include <algorithm>
#include <cstring>

#include "kernels/error.h"
#include "kernels/gemm_tiles.h"
#include "kernels/narrowscale.h"

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
#include <immintrin.h>

namespace duet {
namespace {

// A block of C is 12 x 32: 24 sums, two vectors of B and A's fours of bytes broadcast from memory.
//   panel of A  12 scales in a line of 64 bytes; then for each 64 of k a line of each row
//   panel of B  32 scales, 32 first values of the sums; then for each four of k 32 columns' fours
constexpr int kRows = 12, kCols = 32;
constexpr int64_t kLine = 64, kFours = kLine / 4;

inline __m512 some(const float* p, int64_t n) {
  return n >= 16 ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(__mmask16((1u << std::max<int64_t>(n, 0)) - 1), p);
}

void pack_a(void* out, Mat a, int64_t row, int64_t rows, int64_t k0, int64_t ks) {
  CHECK(!a.transposed && k0 == 0, "int8 rows are packed whole");
  float* scale = static_cast<float*>(out);
  uint8_t* lines = static_cast<uint8_t*>(out) + kLine;
  if (rows < kRows) std::memset(out, 0, size_t(kLine + (ks + kLine - 1) / kLine * kLine * kRows));
  for (int64_t r = 0; r < rows; ++r) {
    const float* x = a.p + (row + r) * a.ld;
    __m512 most = _mm512_setzero_ps();
    for (int64_t k = 0; k < ks; k += 16) most = _mm512_max_ps(most, _mm512_abs_ps(some(x + k, ks - k)));
    const Int8Scale one(_mm512_reduce_max_ps(most));
    scale[r] = one.scale;
    const __m512 step = _mm512_set1_ps(one.step);
    uint8_t* line = lines + r * kLine;
    for (int64_t k = 0; k < ks; k += kLine, line += kRows * kLine)
      for (int64_t j = 0; j < kLine; j += 16) {
        const __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(some(x + k + j, ks - k - j), step));
        const __m128i bytes = _mm_xor_si128(_mm512_cvtsepi32_epi8(q), _mm_set1_epi8(char(0x80)));  // + 128
        _mm_storeu_si128(reinterpret_cast<__m128i*>(line + j), bytes);
      }
  }
}

void pack_b(void* out, Mat b, int64_t col, int64_t cols, int64_t k0, int64_t ks) {
  CHECK(b.transposed && k0 == 0, "int8 weights are packed whole, an output after the other");
  CHECK(ks < 65536, "sums of ", ks, " products do not fit 32 bits");
  float* scale = static_cast<float*>(out);
  int32_t* start = static_cast<int32_t*>(out) + kCols;
  int8_t* fours = static_cast<int8_t*>(out) + 8 * kCols;
  std::memset(out, 0, size_t(8 * kCols + (ks + 3) / 4 * 4 * kCols));
  for (int64_t c = 0; c < cols; ++c) {
    const float* w = b.p + (col + c) * b.ld;
    const auto one = Int8Scale::of(w, ks);
    scale[c] = one.scale;
    int32_t sum = 0;
    for (int64_t k = 0; k < ks; ++k) {
      const int8_t q = one(w[k]);
      fours[(k / 4 * kCols + c) * 4 + k % 4] = q;
      sum += q;
    }
    start[c] = -128 * sum;
  }
}

// _mm512_dpbusd_epi32(sum, x, w), for which GCC 12 copies every sum back and forth to memory.
inline void add_products(__m512i& sum, __m512i x, __m512i w) { asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w)); }

void multiply(float* C, int64_t ldc, const void* ap, const void* bp, int64_t ks, bool load) {
  const float *scale_a = static_cast<const float*>(ap), *scale_b = static_cast<const float*>(bp);
  const uint8_t* a = static_cast<const uint8_t*>(ap) + kLine;
  const int8_t* b = static_cast<const int8_t*>(bp) + 8 * kCols;
  for (int r = 0; r < kRows; ++r) __builtin_prefetch(C + r * ldc, 1), __builtin_prefetch(C + r * ldc + kCols - 1, 1);
  const __m512i first[2] = {_mm512_loadu_si512(scale_b + kCols), _mm512_loadu_si512(scale_b + kCols + 16)};
  __m512i sum[kRows][2];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) sum[r][0] = first[0], sum[r][1] = first[1];
  // One loop, not one for each line: with two GCC keeps the sums in memory.
  for (int64_t four = 0; four < (ks + 3) / 4; b += 4 * kCols) {
    __builtin_prefetch(b + 4 * kCols * 12), __builtin_prefetch(b + 4 * kCols * 12 + 64);
    const __m512i b0 = _mm512_loadu_si512(b), b1 = _mm512_loadu_si512(b + 64);
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      int32_t values;
      std::memcpy(&values, a + r * kLine, 4);
      const __m512i x = _mm512_set1_epi32(values);
      add_products(sum[r][0], x, b0);
      add_products(sum[r][1], x, b1);
    }
    a += ++four % kFours ? 4 : 4 + (kRows - 1) * kLine;
  }
  const __m512 sb[2] = {_mm512_loadu_ps(scale_b), _mm512_loadu_ps(scale_b + 16)};
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      float* c = C + r * ldc + v * 16;
      const __m512 s = _mm512_set1_ps(scale_a[r]), y = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[r][v]), sb[v]);
      _mm512_storeu_ps(c, load ? _mm512_fmadd_ps(y, s, _mm512_loadu_ps(c)) : _mm512_mul_ps(y, s));
    }
}

}  // namespace

bool has_int8() { return __builtin_cpu_supports("avx512vnni"); }

const TileEngine kInt8Tiles{kRows, kCols,  64,     int64_t(1) << 40, kRows * 16, 2,        1,
                            1,     pack_a, pack_b, multiply,         kLine,      8 * kCols};

}  // namespace duet

#else

namespace duet {
bool has_int8() { return false; }
const TileEngine kInt8Tiles = {};
}  // namespace duet

#endif
