// AMX: 16x16 f32 tiles of C fed by 16x32 bf16 tiles of A and B (Intel SDM, "Intel AMX": TDPBF16PS). A block of C is 2x2 tiles.
// A tile: 16 rows of 32 consecutive k. B tile: 16 rows of k pairs, 16 columns of (k, k+1): the pair-interleaved form the
// instruction wants.
#include <algorithm>

#include "kernels/bf16pack.h"
#include "kernels/gemm_tiles.h"

#if defined(__AMX_BF16__) && defined(__AVX512BF16__)
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

inline void write_tile(uint16_t* d, const __m512i t[16]) {
  for (int i = 0; i < 16; ++i) _mm512_store_si512(d + i * 32, t[i]);
}

// `consecutive`: k runs along memory lines (A as it is, B transposed); else lines are k. `flip`: the tile wants the other form.
void pack(uint16_t* d, const float* p, int64_t ld, bool consecutive, bool flip, int64_t outer, int64_t ks) {
  __m512i t[16];
  for (int64_t k = 0; k < ks; k += 32)
    for (int half = 0; half < 2; ++half, d += kTile) {
      const int64_t left = std::max<int64_t>(0, std::min<int64_t>(16, outer - half * 16));
      if (consecutive) read_lines(t, p + half * 16 * ld + k, ld, left, std::min<int64_t>(32, ks - k));
      else read_pairs(t, p + k * ld + half * 16, ld, std::min<int64_t>(32, ks - k), left);
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

const TileEngine kAmxTiles{32, 32, 32, 256, 256, 2, 2, 2, pack_a, pack_b, multiply};

}  // namespace duet

#else

namespace duet {
bool has_amx() { return false; }
const TileEngine kAmxTiles = {};
}  // namespace duet

#endif
