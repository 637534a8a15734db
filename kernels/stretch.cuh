// The gradient of a modulation table: partial sums of stretches of tokens, then, per row of the table, the stretches in order.
#pragma once
#include "kernels/cuda.h"
#include "kernels/plan.h"

namespace duet::cuda {

// dmod[keys[g] W + offset + c] += sum of partial[list[k] ld + first + c] over k in at[g] .. at[g+1]
template <int kThreads>
__global__ void sum_stretches_kernel(float* dmod, const float* partial, const int32_t* keys, const int32_t* at,
                                            const int32_t* list, int64_t W, int64_t offset, int64_t ld, int64_t first,
                                            int C) {
  const int c = blockIdx.y * kThreads + threadIdx.x, g = blockIdx.x;
  if (c >= C) return;
  float s = 0;
  for (int k = at[g]; k < at[g + 1]; ++k) s += partial[list[k] * ld + first + c];
  dmod[keys[g] * W + offset + c] += s;
}

inline void sum_stretches(const Tensor& dmod, const Tensor& partial, const Groups& g, int64_t offset, int64_t first,
                          int64_t C) {
  DUET_LAUNCH((sum_stretches_kernel<128>), dim3(unsigned(g.n), blocks(C, 128)), dim3(128), 0, dmod.data(), partial.data(),
              g.keys.data<int32_t>(), g.at.data<int32_t>(), g.list.data<int32_t>(), dmod.dim(1), offset,
              partial.shape().last(), first, int(C));
}

}  // namespace duet::cuda
