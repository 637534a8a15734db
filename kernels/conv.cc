// 3x3 convolutions over neighbours gathered a few rows at a time, while they are in the cache: written out whole they are nine
// times the picture, and reading and writing them takes longer than the products.
#include "kernels/gemm.h"
#include "kernels/parallel.h"
#include "kernels/rowwise.h"
#include "kernels/table.h"
#include "kernels/tensor.h"
#include "kernels/vec.h"

namespace duet::cpu {
namespace {

constexpr int64_t kNear = 9;

// Rows a chunk: whole tiles of every engine (12, 24 and 32 rows). What is gathered of up to 75 channels takes 256 KB, and stays
// in the second cache.
int64_t chunk_rows(int64_t C) { return std::max<int64_t>(96, 65536 / (kNear * C) / 96 * 96); }

// The neighbours of rows n0 .. n1: (n1 - n0, 9 C)
void gather_near(float* to, const float* x, const int32_t* near, int64_t n0, int64_t n1, int64_t C) {
  for (const int32_t* p = near + n0 * kNear; p < near + n1 * kNear; ++p, to += C) {
    if (*p < 0) {
      std::fill_n(to, C, 0.0f);
      continue;
    }
    const float* from = x + *p * C;
    int64_t c = 0;
    for (; c + 16 <= C; c += 16) std::copy_n(from + c, 16, to + c);
    for (; c < C; ++c) to[c] = from[c];
  }
}

float* room(int64_t rows, int64_t C) { return scratch<float>(6, rows * kNear * C); }

// y (N,O) = neighbours (N, 9 C) times what is packed
void product(float* y, const float* x, const PackedB* packed, const float* bias, const int32_t* near, int64_t N, int64_t C,
             int64_t O) {
  const int64_t rows = chunk_rows(C);
  parallel_for((N + rows - 1) / rows, [&](int64_t j) {
    const int64_t n0 = j * rows, n1 = std::min(N, n0 + rows);
    float* gathered = room(rows, C);
    gather_near(gathered, x, near, n0, n1, C);
    gemm(y + n0 * O, O, {gathered, kNear * C}, {}, n1 - n0, O, kNear * C, {.bias = bias, .packed = packed});
  });
}

}  // namespace

void conv3x3(float* y, const float* x, const float* w, const float* bias, const int32_t* near, int64_t N, int64_t C,
             int64_t O) {
  const auto packed = frozen() ? packed_weight(w, O, kNear * C) : pack_b({w, kNear * C, true}, O, kNear * C);
  product(y, x, packed.get(), bias, near, N, C, O);
}

// A row reaches its k-th neighbour, which has it as the one opposite: dx is the convolution of dy by the turned weights.
void conv3x3_dx(float* dx, const float* dy, const float* w, const int32_t* near, int64_t N, int64_t C, int64_t O) {
  std::vector<float> turned(size_t(kNear * O * C));
  for (int64_t k = 0; k < kNear; ++k)
    for (int64_t o = 0; o < O; ++o) std::copy_n(w + (o * kNear + kNear - 1 - k) * C, C, turned.data() + (k * O + o) * C);
  product(dx, dy, pack_b({turned.data(), C}, C, kNear * O).get(), nullptr, near, N, O, C);
}

// In parts of fixed size, summed in their order: the same bits with any number of threads.
void conv3x3_dw(float* dw, const float* dy, const float* x, const int32_t* near, int64_t N, int64_t C, int64_t O) {
  constexpr int64_t kPart = 4096;
  const int64_t parts = (N + kPart - 1) / kPart, rows = std::min(chunk_rows(C), kPart), size = O * kNear * C;
  const Tensor sums({parts, size});
  parallel_for(parts, [&](int64_t part) {
    const int64_t first = part * kPart, end = std::min(N, first + kPart);
    float* gathered = room(rows, C);
    for (int64_t n = first; n < end; n += rows) {
      const int64_t M = std::min(rows, end - n);
      gather_near(gathered, x, near, n, n + M, C);
      gemm(sums.data() + part * size, kNear * C, {dy + n * O, O, true}, {gathered, kNear * C}, O, kNear * C, M,
           {.accumulate = n > first});
    }
  });
  for_pieces(size, [&](int64_t i0, int64_t i1) {
    for (int64_t part = 0; part < parts; ++part)
      for (int64_t i = i0; i < i1; ++i) dw[i] += sums.data()[part * size + i];
  });
}

}  // namespace duet::cpu
