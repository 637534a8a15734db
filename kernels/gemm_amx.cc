// AMX: 16x16 f32 tiles of C fed by 16x32 bf16 tiles of A and B (Intel SDM, "Intel AMX": TDPBF16PS). A block of C is 2x2 tiles.
// A tile: 16 rows of 32 consecutive k. B tile: 16 rows of k pairs, 16 columns of (k, k+1): the pair-interleaved form the
// instruction wants. One is the 32-bit transpose of the other, so two readers and one transpose pack all four cases.
#include "kernels/gemm_tiles.h"
#include "kernels/vec.h"

#if defined(__AMX_BF16__) && defined(__AVX512BF16__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace duet {
namespace {

constexpr int kTile = 512;  // bf16 values: 16 rows of 32

struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

void configure() {
  static thread_local bool done = false;
  if (done) return;
  TileConfig c;
  for (int i = 0; i < 8; ++i) c.row_bytes[i] = 64, c.rows[i] = 16;
  _tile_loadconfig(&c);
  done = true;
}

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

// 32 lines (k) of 16 values, as 16 lines of pairs
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

inline void write_tile(uint16_t* d, const __m512i t[16]) {
  for (int i = 0; i < 16; ++i) _mm512_store_si512(d + i * 32, t[i]);
}

// `consecutive`: k runs along memory lines (A as it is, B transposed); else lines are k. `flip`: the tile wants the other form.
void pack(uint16_t* d, const float* p, int64_t ld, bool consecutive, bool flip, int64_t outer, int64_t ks) {
  __m512i t[16];
  for (int64_t k = 0; k < ks; k += 32)
    for (int half = 0; half < 2; ++half, d += kTile) {
      const int64_t left = std::max<int64_t>(0, std::min<int64_t>(16, outer - half * 16));
      if (consecutive)
        read_lines(t, p + half * 16 * ld + k, ld, left, std::min<int64_t>(32, ks - k));
      else
        read_pairs(t, p + k * ld + half * 16, ld, std::min<int64_t>(32, ks - k), left);
      if (flip) transpose(t);
      write_tile(d, t);
    }
}

void pack_a(void* d, Mat a, int64_t row, int64_t rows, int64_t k, int64_t ks) {
  const float* p = a.transposed ? a.p + k * a.ld + row : a.p + row * a.ld + k;
  pack(static_cast<uint16_t*>(d), p, a.ld, !a.transposed, a.transposed, rows, ks);
}
void pack_b(void* d, Mat b, int64_t col, int64_t cols, int64_t k, int64_t ks) {
  const float* p = b.transposed ? b.p + col * b.ld + k : b.p + k * b.ld + col;
  pack(static_cast<uint16_t*>(d), p, b.ld, b.transposed, b.transposed, cols, ks);
}

void multiply(float* C, int64_t ldc, const void* ap, const void* bp, int64_t ks, bool load) {
  configure();
  const uint16_t *a = static_cast<const uint16_t*>(ap), *b = static_cast<const uint16_t*>(bp);
  const size_t line = size_t(ldc) * 4;
  if (load) {
    _tile_loadd(0, C, line);
    _tile_loadd(1, C + 16, line);
    _tile_loadd(2, C + 16 * ldc, line);
    _tile_loadd(3, C + 16 * ldc + 16, line);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t k = 0; k < ks; k += 32, a += 2 * kTile, b += 2 * kTile) {
    _tile_loadd(4, a, 64);
    _tile_loadd(5, a + kTile, 64);
    _tile_loadd(6, b, 64);
    _tile_loadd(7, b + kTile, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, C, line);
  _tile_stored(1, C + 16, line);
  _tile_stored(2, C + 16 * ldc, line);
  _tile_stored(3, C + 16 * ldc + 16, line);
}

}  // namespace

bool has_amx() {
  // The kernel must grant the tile registers to the process first: ARCH_REQ_XCOMP_PERM of XFEATURE_XTILEDATA.
  static const bool granted = __builtin_cpu_supports("avx512bf16") && syscall(SYS_arch_prctl, 0x1023, 18) == 0;
  return granted;
}

const TileEngine kAmxTiles{32, 32, 32, 256, 256, 2, 2, pack_a, pack_b, multiply};

}  // namespace duet

#else

namespace duet {
bool has_amx() { return false; }
const TileEngine kAmxTiles = {};
}  // namespace duet

#endif
