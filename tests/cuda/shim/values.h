// Values on the card for what stands in for a library: as floats, whatever their type.
#pragma once
#include <vector>

#include "cuda_shim.h"
#include "kernels/tensor.h"

namespace shim {

inline std::vector<float> fetch(const void* p, duet::DType t, int64_t n) {
  std::vector<float> out(static_cast<size_t>(n));
  if (t == duet::DType::f32) {
    cudaMemcpyAsync(out.data(), p, size_t(n) * 4, cudaMemcpyDeviceToHost, nullptr);
    return out;
  }
  std::vector<__nv_bfloat16> narrow(static_cast<size_t>(n));
  cudaMemcpyAsync(narrow.data(), p, size_t(n) * 2, cudaMemcpyDeviceToHost, nullptr);
  for (size_t i = 0; i < out.size(); ++i) out[i] = __bfloat162float(narrow[i]);
  return out;
}

inline void put(void* p, duet::DType t, const std::vector<float>& x) {
  if (t == duet::DType::f32) {
    cudaMemcpyAsync(p, x.data(), x.size() * 4, cudaMemcpyHostToDevice, nullptr);
    return;
  }
  std::vector<__nv_bfloat16> narrow(x.size());
  for (size_t i = 0; i < x.size(); ++i) narrow[i] = __float2bfloat16(x[i]);
  cudaMemcpyAsync(p, narrow.data(), narrow.size() * 2, cudaMemcpyHostToDevice, nullptr);
}

}  // namespace shim
