// Matrix products in place of kernels/cublas.cu: plain loops, inputs as they are, sums in f32.
#include <vector>

#include "cuda_shim.h"
#include "kernels/cublas.h"

namespace duet::cuda {

static std::vector<float> fetch(const void* p, DType t, int64_t n) {
  std::vector<float> out(static_cast<size_t>(n));
  if (t == DType::f32) {
    cudaMemcpyAsync(out.data(), p, size_t(n) * 4, cudaMemcpyDeviceToHost, nullptr);
    return out;
  }
  std::vector<__nv_bfloat16> narrow(static_cast<size_t>(n));
  cudaMemcpyAsync(narrow.data(), p, size_t(n) * 2, cudaMemcpyDeviceToHost, nullptr);
  for (size_t i = 0; i < out.size(); ++i) out[i] = __bfloat162float(narrow[i]);
  return out;
}

std::string products_missing() { return ""; }

void multiply(const Product& p) {
  if (shim::defer([p] { multiply(p); })) return;
  const auto a = fetch(p.a, p.in, p.batch * p.M * p.K), b = fetch(p.b, p.in, p.batch * p.K * p.N);
  std::vector<float> c(size_t(p.batch * p.M * p.N));
  if (p.accumulate) c = fetch(p.c, p.out, p.batch * p.M * p.N);
  for (int64_t z = 0; z < p.batch; ++z)
    for (int64_t m = 0; m < p.M; ++m)
      for (int64_t k = 0; k < p.K; ++k) {
        const float x = a[size_t(z * p.M * p.K + (p.ta ? k * p.M + m : m * p.K + k))];
        for (int64_t n = 0; n < p.N; ++n)
          c[size_t((z * p.M + m) * p.N + n)] += x * b[size_t(z * p.K * p.N + (p.tb ? n * p.K + k : k * p.N + n))];
      }
  if (p.out == DType::f32) {
    cudaMemcpyAsync(p.c, c.data(), c.size() * 4, cudaMemcpyHostToDevice, nullptr);
    return;
  }
  std::vector<__nv_bfloat16> narrow(c.size());
  for (size_t i = 0; i < c.size(); ++i) narrow[i] = __float2bfloat16(c[i]);
  cudaMemcpyAsync(p.c, narrow.data(), narrow.size() * 2, cudaMemcpyHostToDevice, nullptr);
}

}  // namespace duet::cuda
