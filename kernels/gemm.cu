// Matrix products on the card: which type they run in, and the bias. The products themselves are the library's: cublas.h.
#include "kernels/gemm.h"

#include "kernels/cublas.h"
#include "kernels/cuda.h"
#include "kernels/narrow.h"

namespace duet::cuda {
namespace {

template <class T>
__global__ void add_bias_kernel(T* __restrict__ y, const float* __restrict__ bias, int64_t n, int C) {
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i < n) set(y[i], to_float(y[i]) + bias[i % C]);
}

void gemm(const Tensor& c, const Tensor& a, bool ta, const Tensor& b, bool tb, bool accumulate) {
  const bool batched = c.shape().size() == 3;
  const int64_t batch = batched ? c.dim(0) : 1;
  const auto rows = [&](const Tensor& t) { return t.shape().rows() / batch; };
  const int64_t M = rows(c), N = c.shape().last(), K = ta ? rows(a) : a.shape().last();
  CHECK((ta ? a.shape().last() : rows(a)) == M && (tb ? b.shape().last() : rows(b)) == K && (tb ? rows(b) : b.shape().last()) == N,
        "a product ", a.shape(), ta ? "^T " : " ", b.shape(), tb ? "^T" : "", " into ", c.shape());
  if (M == 0 || N == 0) return;
  const Tensor x = as_input(a), y = as_input(b);
  multiply({c.data<void>(), x.data<void>(), y.data<void>(), x.dtype(), c.dtype(), ta, tb, accumulate, M, N, K, batch});
  count_flops(2 * M * N * K * batch);
}

void linear(const Tensor& y, const Tensor& x, const Tensor& w, const Tensor& bias) {
  if (is_narrow(w.dtype()) && x.shape().rows() <= kFewRows) return few_rows(y, x, w, bias);
  gemm(y, x, false, w, true, false);
  if (!bias) return;
  with_type(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    DUET_LAUNCH((add_bias_kernel<T>), dim3(blocks(y.count(), kThreads)), dim3(kThreads), 0, y.data<T>(), bias.data(),
                y.count(), int(y.shape().last()));
  });
}

}  // namespace

Tensor as_input(const Tensor& x) {
  const DType want = precision() == Precision::bf16 ? DType::bf16 : DType::f32;
  if (is_narrow(x.dtype())) return widened(x, want);
  if (x.dtype() == want) return x;
  if (want == DType::bf16)
    if (Tensor kept = x.rounded()) return kept;
  const Tensor y(x.shape(), want, Device::cuda);
  kernels(Device::cuda).convert(y, x);
  return y;
}

void enter_gemm(Kernels& k) { k.gemm = gemm, k.linear = linear; }

}  // namespace duet::cuda
