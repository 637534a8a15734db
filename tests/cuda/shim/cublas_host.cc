// Matrix products in place of kernels/cublas.cc: plain loops, inputs as they are, sums in f32.
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

static void store(void* p, DType t, const std::vector<float>& x) {
  if (t == DType::f32) {
    cudaMemcpyAsync(p, x.data(), x.size() * 4, cudaMemcpyHostToDevice, nullptr);
    return;
  }
  std::vector<__nv_bfloat16> narrow(x.size());
  for (size_t i = 0; i < x.size(); ++i) narrow[i] = __float2bfloat16(x[i]);
  cudaMemcpyAsync(p, narrow.data(), narrow.size() * 2, cudaMemcpyHostToDevice, nullptr);
}

std::string products_missing() { return ""; }

bool multiply(const Product& p, void* stream) {
  if (shim::defer([=] { multiply(p, stream); })) return true;
  const auto a = fetch(p.a, p.in, p.batch * p.M * p.K), b = fetch(p.b, p.in, p.batch * p.K * p.N);
  std::vector<float> c(size_t(p.batch * p.M * p.N)), bias(size_t(p.N)), sums(size_t(p.M));
  if (p.accumulate) c = fetch(p.c, p.out, p.batch * p.M * p.N);
  if (p.epilogue == Epilogue::bias) bias = fetch(p.bias, p.out, p.N);
  for (int64_t z = 0; z < p.batch; ++z)
    for (int64_t m = 0; m < p.M; ++m) {
      float* row = c.data() + (z * p.M + m) * p.N;
      for (int64_t k = 0; k < p.K; ++k) {
        const float x = a[size_t(z * p.M * p.K + (p.ta ? k * p.M + m : m * p.K + k))];
        sums[size_t(m)] += x;
        for (int64_t n = 0; n < p.N; ++n) row[n] += x * b[size_t(z * p.K * p.N + (p.tb ? n * p.K + k : k * p.N + n))];
      }
      for (int64_t n = 0; n < p.N; ++n) row[n] += bias[size_t(n)];
    }
  store(p.c, p.out, c);
  if (p.epilogue == Epilogue::row_sums) store(p.bias, p.out, sums);
  return true;
}

}  // namespace duet::cuda
