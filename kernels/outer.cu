#include "kernels/cuda.h"

namespace duet::cuda {
namespace {

constexpr int kThreads = 128;

// A row a block: its masks and colours lie in shared memory.
template <class T>
__global__ void outer_sum_kernel(T* __restrict__ y, const T* __restrict__ x, int K, int A, int G) {
  DUET_DYNAMIC_SHARED(float, in);
  const int wide = K * (A + G), n = blockIdx.x;
  for (int i = threadIdx.x; i < wide; i += blockDim.x) in[i] = to_float(x[int64_t(n) * wide + i]);
  __syncthreads();
  for (int i = threadIdx.x; i < A * G; i += blockDim.x) {
    float s = 0;
    for (int k = 0; k < K; ++k) s += in[k * (A + G) + i / G] * in[k * (A + G) + A + i % G];
    set(y[int64_t(n) * A * G + i], s);
  }
}

// Masks: a thread each. Colours: a warp each, its lanes over the mask.
template <class T>
__global__ void outer_sum_bwd_kernel(T* __restrict__ dx, const T* __restrict__ dy, const T* __restrict__ x, int K, int A, int G) {
  DUET_DYNAMIC_SHARED(float, in);
  const int wide = K * (A + G), n = blockIdx.x;
  float* d = in + wide;
  for (int i = threadIdx.x; i < wide; i += blockDim.x) in[i] = to_float(x[int64_t(n) * wide + i]);
  for (int i = threadIdx.x; i < A * G; i += blockDim.x) d[i] = to_float(dy[int64_t(n) * A * G + i]);
  __syncthreads();
  T* out = dx + int64_t(n) * wide;
  for (int i = threadIdx.x; i < K * A; i += blockDim.x) {
    const int k = i / A, a = i % A;
    float s = 0;
    for (int g = 0; g < G; ++g) s += d[a * G + g] * in[k * (A + G) + A + g];
    set(out[k * (A + G) + a], s);
  }
  for (int i = threadIdx.x / 32; i < K * G; i += blockDim.x / 32) {
    const int k = i / G, g = i % G;
    float s = 0;
    for (int a = threadIdx.x % 32; a < A; a += 32) s += d[a * G + g] * in[k * (A + G) + a];
    s = warp_sum(s);
    if (threadIdx.x % 32 == 0) set(out[k * (A + G) + A + g], s);
  }
}

void outer_sum(const Tensor& y, const Tensor& x, int64_t K, int64_t A, int64_t G) {
  with_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    DUET_LAUNCH((outer_sum_kernel<T>), dim3(unsigned(y.shape().rows())), dim3(kThreads), size_t(K * (A + G)) * 4, y.data<T>(),
                x.data<T>(), int(K), int(A), int(G));
  });
}

void outer_sum_bwd(const Tensor& dx, const Tensor& dy, const Tensor& x, int64_t K, int64_t A, int64_t G) {
  with_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    DUET_LAUNCH((outer_sum_bwd_kernel<T>), dim3(unsigned(dy.shape().rows())), dim3(kThreads), size_t(K * (A + G) + A * G) * 4,
                dx.data<T>(), dy.data<T>(), x.data<T>(), int(K), int(A), int(G));
  });
}

}  // namespace

void enter_outer(Kernels& k) { k.outer_sum = outer_sum, k.outer_sum_bwd = outer_sum_bwd; }

}  // namespace duet::cuda
