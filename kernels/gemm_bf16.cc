// bf16 products without AMX: vdpbf16ps adds two products to each of sixteen f32 sums (AVX-512 BF16). On AMD's Zen 4 and later
// it does so at twice the rate of f32's multiply-add; Intel's processors have it at half that rate.
#include <algorithm>

#include "kernels/bf16pack.h"
#include "kernels/gemm_tiles.h"

#if defined(__AVX512BF16__)

namespace duet {
namespace {

// A block of C is 12 x 32: 24 sums, two vectors of B and A's pairs broadcast from memory fill the 32 registers.
// Both panels hold pairs (k, k + 1) of bf16 as one 32-bit value: for each pair of k, 12 of A's rows or 32 of B's columns.
constexpr int kRows = 12, kCols = 32;

// Sixteen lines of pairs (line j: pair j of k, lane r: row or column r) -> the panel's lines from `d` on, `width` lanes each
template <int width>
inline void write_pairs(uint32_t* d, int step, const __m512i t[16], int64_t pairs) {
  for (int64_t j = 0; j < pairs; ++j) _mm512_mask_storeu_epi32(d + j * step, __mmask16((1u << width) - 1), t[j]);
}

// `outer` rows or columns from p on, 16 at most; `consecutive`: k runs along memory lines.
template <int width>
inline void pack16(uint32_t* d, int step, const float* p, int64_t ld, bool consecutive, int64_t outer, int64_t ks) {
  __m512i t[16];
  for (int64_t k = 0; k < ks; k += 32, d += 16 * step) {
    const int64_t n = std::min<int64_t>(32, ks - k);
    if (consecutive) {
      // Short lines in turn are no stream that the processor would see coming: ask for those behind these.
      for (int i = 0; i < width; ++i)
        __builtin_prefetch(p + (width + i) * ld + k), __builtin_prefetch(p + (width + i) * ld + k + 16);
      read_lines(t, p + k, ld, outer, n);
      transpose(t);
    } else {
      read_pairs(t, p + k * ld, ld, n, outer);
    }
    write_pairs<width>(d, step, t, (n + 1) / 2);
  }
}

void pack_a(void* out, Mat a, int64_t row, int64_t rows, int64_t k, int64_t ks) {
  const float* p = a.transposed ? a.p + k * a.ld + row : a.p + row * a.ld + k;
  pack16<kRows>(static_cast<uint32_t*>(out), kRows, p, a.ld, !a.transposed, rows, ks);
}
void pack_b(void* out, Mat b, int64_t col, int64_t cols, int64_t k, int64_t ks) {
  uint32_t* d = static_cast<uint32_t*>(out);
  for (int half = 0; half < 2; ++half) {
    const int64_t c = col + half * 16;
    const float* p = b.transposed ? b.p + c * b.ld + k : b.p + k * b.ld + c;
    pack16<16>(d + half * 16, kCols, p, b.ld, b.transposed, std::clamp<int64_t>(cols - half * 16, 0, 16), ks);
  }
}

void multiply(float* C, int64_t ldc, const void* ap, const void* bp, int64_t ks, bool load) {
  const uint32_t *a = static_cast<const uint32_t*>(ap), *b = static_cast<const uint32_t*>(bp);
  __m512 sum[kRows][2];
  for (int r = 0; r < kRows; ++r) __builtin_prefetch(C + r * ldc, 1), __builtin_prefetch(C + r * ldc + kCols - 1, 1);
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) sum[r][v] = load ? _mm512_loadu_ps(C + r * ldc + v * 16) : _mm512_setzero_ps();
  for (int64_t k = 0; k < ks; k += 2, a += kRows, b += kCols) {
    __builtin_prefetch(a + kRows * 16), __builtin_prefetch(b + kCols * 12), __builtin_prefetch(b + kCols * 12 + 16);
    const __m512bh b0 = (__m512bh)_mm512_loadu_si512(b), b1 = (__m512bh)_mm512_loadu_si512(b + 16);
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      const __m512bh x = (__m512bh)_mm512_set1_epi32(int(a[r]));
      sum[r][0] = _mm512_dpbf16_ps(sum[r][0], x, b0);
      sum[r][1] = _mm512_dpbf16_ps(sum[r][1], x, b1);
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) _mm512_storeu_ps(C + r * ldc + v * 16, sum[r][v]);
}

}  // namespace

bool has_avx512_bf16() { return __builtin_cpu_supports("avx512bf16"); }

const TileEngine kBf16Tiles{kRows, kCols, 2, 256, kRows * 16, 2, 2, 2, pack_a, pack_b, multiply};

}  // namespace duet

#else

namespace duet {
bool has_avx512_bf16() { return false; }
const TileEngine kBf16Tiles = {};
}  // namespace duet

#endif
