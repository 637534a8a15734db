// Matrix products on the card: which type they run in, and the bias. The products themselves are the library's: cublas.h.
// Of its epilogues only the biases are of use: the blocks have none of these, their SwiGLU multiplies two halves of a row, and
// the library knows ReLU and GELU of one.
#include "kernels/gemm.h"

#include <cstdlib>

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

bool epilogues = [] {
  const char* say = std::getenv("DUET_EPILOGUES");
  return !say || *say != '0';
}();

DType input_type() { return precision() == Precision::bf16 ? DType::bf16 : DType::f32; }

// Itself, its kept bf16 twin, or a copy made now, which narrow weights always need.
Tensor as_type(const Tensor& x, DType want) {
  if (is_narrow(x.dtype())) return widened(x, want);
  if (x.dtype() == want) return x;
  if (want == DType::bf16)
    if (Tensor kept = x.rounded()) return kept;
  const Tensor y(x.shape(), want, Device::cuda);
  kernels(Device::cuda).convert(y, x);
  return y;
}

// False, and nothing done, where there is none with this epilogue.
bool product(const Tensor& c, const Tensor& a, bool ta, const Tensor& b, bool tb, bool accumulate, Epilogue epilogue,
             const Tensor& bias) {
  if (epilogue != Epilogue::none && !epilogues) return false;
  const bool batched = c.shape().size() == 3;
  const int64_t batch = batched ? c.dim(0) : 1;
  const auto rows = [&](const Tensor& t) { return t.shape().rows() / batch; };
  const int64_t M = rows(c), N = c.shape().last(), K = ta ? rows(a) : a.shape().last();
  CHECK((ta ? a.shape().last() : rows(a)) == M && (tb ? b.shape().last() : rows(b)) == K && (tb ? rows(b) : b.shape().last()) == N,
        "a product ", a.shape(), ta ? "^T " : " ", b.shape(), tb ? "^T" : "", " into ", c.shape());
  if (M == 0 || N == 0) return true;
  const Tensor x = as_input(a), y = as_input(b);
  if (!multiply({c.data<void>(), x.data<void>(), y.data<void>(), x.dtype(), c.dtype(), ta, tb, accumulate, M, N, K, batch,
                 epilogue, ptr<void>(bias)},
                stream()))
    return false;
  count_flops(2 * M * N * K * batch);
  return true;
}

void gemm(const Tensor& c, const Tensor& a, bool ta, const Tensor& b, bool tb, bool accumulate) {
  product(c, a, ta, b, tb, accumulate, Epilogue::none, {});
}

void linear(const Tensor& y, const Tensor& x, const Tensor& w, const Tensor& bias) {
  if (is_narrow(w.dtype()) && x.shape().rows() <= kFewRows) return few_rows(y, x, w, bias);
  if (bias && product(y, x, false, w, true, false, Epilogue::bias, as_type(bias, y.dtype()))) return;
  gemm(y, x, false, w, true, false);
  if (!bias) return;
  with_type(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    DUET_LAUNCH((add_bias_kernel<T>), dim3(blocks(y.count(), kThreads)), dim3(kThreads), 0, y.data<T>(), bias.data(),
                y.count(), int(y.shape().last()));
  });
}

void linear_bwd(const Tensor& dw, const Tensor& db, const Tensor& dy, const Tensor& x) {
  const Kernels& card = kernels(Device::cuda);
  // A dy that the product rounds is summed as it is.
  if (dw && db && dy.dtype() == input_type()) {
    const Tensor sums(db.shape(), dw.dtype(), Device::cuda);
    if (product(dw, dy, true, x, false, true, Epilogue::row_sums, sums)) return card.add(db, db, sums);
  }
  if (dw) gemm(dw, dy, true, x, false, true);
  if (db) card.column_sum(db, dy);
}

}  // namespace

Tensor as_input(const Tensor& x) { return as_type(x, input_type()); }

bool use_epilogues() { return epilogues; }
void set_use_epilogues(bool use) { epilogues = use; }

void enter_gemm(Kernels& k) { k.gemm = gemm, k.linear = linear, k.linear_bwd = linear_bwd; }

}  // namespace duet::cuda
