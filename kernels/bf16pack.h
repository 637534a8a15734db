// f32 in memory to bf16 in registers, in the forms that bf16 products take it: lines of consecutive k, or pairs (k, k + 1) of a
// column in one 32-bit lane. One form is the 32-bit transpose of the other, so two readers and one transpose pack every
// matrix for every tile engine.
#pragma once
#if defined(__AVX512BF16__)
#include <immintrin.h>

#include <cstdint>

namespace duet {

inline __m512i pair(__m512 lo, __m512 hi) {  // 16 x (bf16(lo), bf16(hi)) interleaved
  const __m512i l = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(lo));
  const __m512i h = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(hi));
  return _mm512_or_si512(l, _mm512_slli_epi32(h, 16));
}

// 16 lines of 32 consecutive values; missing lines and values are zeros
inline void read_lines(__m512i t[16], const float* p, int64_t ld, int64_t lines, int64_t n) {
  if (n >= 32) {
#pragma GCC unroll 4
    for (int i = 0; i < 16; ++i)
      t[i] = i < lines ? (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(p + i * ld + 16), _mm512_loadu_ps(p + i * ld))
                       : _mm512_setzero_si512();
  } else {
    const uint32_t m = (1u << n) - 1;
    for (int i = 0; i < 16; ++i)
      t[i] = i < lines ? (__m512i)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(__mmask16(m >> 16), p + i * ld + 16),
                                                      _mm512_maskz_loadu_ps(__mmask16(m), p + i * ld))
                       : _mm512_setzero_si512();
  }
}

// 32 lines (k) of 16 columns, as 16 lines of pairs; what is beyond `lines` and `n` columns is zeros
inline void read_pairs(__m512i t[16], const float* p, int64_t ld, int64_t lines, int64_t n) {
  const __mmask16 m = n >= 16 ? __mmask16(0xffff) : __mmask16((1u << n) - 1);
#pragma GCC unroll 4
  for (int i = 0; i < 16; ++i) {
    const __m512 lo = 2 * i < lines ? _mm512_maskz_loadu_ps(m, p + 2 * i * ld) : _mm512_setzero_ps();
    const __m512 hi = 2 * i + 1 < lines ? _mm512_maskz_loadu_ps(m, p + (2 * i + 1) * ld) : _mm512_setzero_ps();
    t[i] = pair(lo, hi);
  }
}

inline void transpose(__m512i r[16]) {  // 16x16 32-bit
  __m512i a[16];
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    a[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    a[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    a[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    a[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    a[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_shuffle_i32x4(a[i], a[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(a[i], a[i + 8], 0xdd);
    r[i + 4] = _mm512_shuffle_i32x4(a[i + 4], a[i + 12], 0x88);
    r[i + 12] = _mm512_shuffle_i32x4(a[i + 4], a[i + 12], 0xdd);
  }
}

}  // namespace duet
#endif
