// Sums down columns in a fixed order: 256 rows a block, then the blocks' sums the same way.
#pragma once
#include "kernels/cuda.h"

namespace duet::cuda {

inline constexpr int kSumRows = 256;

// to (gridDim.x, C), or added to `to` (C) when `add`: sums of kSumRows rows of x (N, ld), columns 0 .. C
template <class T, int kWarps>
__global__ void sum_columns_kernel(float* to, bool add, const T* x, int64_t ld, int N, int C) {
  __shared__ float part[kWarps][32];
  const int c = blockIdx.y * 32 + threadIdx.x, first = blockIdx.x * kSumRows, end = min(N, first + kSumRows);
  float s = 0;
  if (c < C)
    for (int n = first + threadIdx.y; n < end; n += kWarps) s += to_float(x[n * ld + c]);
  part[threadIdx.y][threadIdx.x] = s;
  __syncthreads();
  if (threadIdx.y != 0 || c >= C) return;
  for (int w = 1; w < kWarps; ++w) s += part[w][threadIdx.x];
  if (add)
    to[c] += s;
  else
    to[int64_t(blockIdx.x) * C + c] = s;
}

// y (C) += sum over rows of x (N, ld)
template <class T>
void sum_columns(float* y, const T* x, int64_t ld, int64_t N, int64_t C) {
  const unsigned pieces = blocks(N, kSumRows);
  const dim3 grid(pieces, blocks(C, 32)), block(32, 8);
  if (N == 0) return;
  if (pieces == 1) {
    DUET_LAUNCH((sum_columns_kernel<T, 8>), grid, block, 0, y, true, x, ld, int(N), int(C));
    return;
  }
  const Tensor part = card_floats({int64_t(pieces), C});
  DUET_LAUNCH((sum_columns_kernel<T, 8>), grid, block, 0, part.data(), false, x, ld, int(N), int(C));
  sum_columns<float>(y, part.data(), C, pieces, C);
}

}  // namespace duet::cuda
