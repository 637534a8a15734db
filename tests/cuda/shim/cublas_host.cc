// Matrix products in place of kernels/cublas.cc: plain loops, inputs as they are, sums in f32.
#include <vector>

#include "cuda_shim.h"
#include "kernels/cublas.h"
#include "values.h"

namespace duet::cuda {

std::string products_missing() { return ""; }

bool multiply(const Product& p, void* stream) {
  if (shim::defer([=] { multiply(p, stream); })) return true;
  const auto a = shim::fetch(p.a, p.in, p.batch * p.M * p.K), b = shim::fetch(p.b, p.in, p.batch * p.K * p.N);
  std::vector<float> c(size_t(p.batch * p.M * p.N)), bias(size_t(p.N)), sums(size_t(p.M));
  if (p.accumulate) c = shim::fetch(p.c, p.out, p.batch * p.M * p.N);
  if (p.epilogue == Epilogue::bias) bias = shim::fetch(p.bias, p.out, p.N);
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
  shim::put(p.c, p.out, c);
  if (p.epilogue == Epilogue::row_sums) shim::put(p.bias, p.out, sums);
  return true;
}

}  // namespace duet::cuda
