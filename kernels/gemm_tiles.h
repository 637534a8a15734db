// The tile engines behind gemm(). Each packs panels of A (kRows rows) and B (kCols columns) and multiplies
// one panel pair into a kRows x kCols block of C. Packed layouts are private to each engine.
#pragma once
#include "kernels/gemm.h"

namespace duet {

struct TileEngine {
  int rows, cols;      // of a block
  int k_unit;          // packed K is a multiple of this
  int64_t k_block;     // K is walked in pieces of this, so that a piece stays in the caches
  int64_t chunk_rows;  // rows of A one job keeps in its cache
  int64_t together;    // panels of A that a panel of B passes by before the next comes: what of both fits the first cache
  // Bytes of a packed value
  size_t a_element, b_element;
  void (*pack_a)(void* dst, Mat a, int64_t row, int64_t rows, int64_t k, int64_t ks);  // rows <= engine.rows, ks <= k_block
  void (*pack_b)(void* dst, Mat b, int64_t col, int64_t cols, int64_t k, int64_t ks);
  void (*multiply)(float* C, int64_t ldc, const void* a, const void* b, int64_t ks, bool load);  // a whole block
  size_t a_header = 0, b_header = 0;  // bytes before a panel's values; with them K is one piece
};
extern const TileEngine kF32Tiles;
extern const TileEngine kAmxTiles;
extern const TileEngine kBf16Tiles;
extern const TileEngine kFp16Tiles;
extern const TileEngine kInt8Tiles;  // B transposed, A not
bool has_amx();                      // the CPU has AMX bf16 tiles, the system lets us use them, and they are compiled in
bool has_avx512_bf16();              // likewise
const TileEngine& tiles(Precision);

}  // namespace duet
