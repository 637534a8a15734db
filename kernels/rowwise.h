// How the memory-bound kernels split their work: rows in fixed chunks, columns in fixed blocks. Gradients of what many
// rows share are summed by column block, each walking the rows in order: the same bits with any number of threads.
#pragma once
#include <algorithm>
#include <cstdint>

#include "kernels/parallel.h"

namespace duet {

template <class F>
void for_rows(int64_t N, int64_t C, F f) {  // f(n) for each row, about 16k values a job
  const int64_t chunk = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, C));
  parallel_for((N + chunk - 1) / chunk, [&](int64_t j) {
    for (int64_t n = j * chunk, end = std::min(N, n + chunk); n < end; ++n) f(n);
  });
}

template <class F>
void for_columns(int64_t C, F f) {  // f(first, last) of each block of columns
  constexpr int64_t kBlock = 64;
  parallel_for((C + kBlock - 1) / kBlock, [&](int64_t j) { f(j * kBlock, std::min(C, (j + 1) * kBlock)); });
}

template <class F>
void for_pieces(int64_t n, F f) {  // f(first, last) of each piece of a flat array
  constexpr int64_t kPiece = 16384;
  parallel_for((n + kPiece - 1) / kPiece, [&](int64_t j) { f(j * kPiece, std::min(n, (j + 1) * kPiece)); });
}

}  // namespace duet
