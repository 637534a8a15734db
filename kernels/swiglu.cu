#include "kernels/cuda.h"

namespace duet::cuda {
namespace {

__device__ __forceinline__ float sigmoid(float x) { return 1 / (1 + __expf(-x)); }

template <class T, int V>
__global__ void swiglu_kernel(T* __restrict__ y, const T* __restrict__ x, int64_t n, int F) {
  const int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * V;
  if (i >= n) return;
  const T* a = x + i / F * 2 * F + i % F;
  float av[V], bv[V];
  load(av, a), load(bv, a + F);
#pragma unroll
  for (int j = 0; j < V; ++j) av[j] = av[j] * sigmoid(av[j]) * bv[j];
  store(y + i, av);
}

template <class T, int V>
__global__ void swiglu_bwd_kernel(T* __restrict__ dx, const T* __restrict__ dy, const T* __restrict__ x, int64_t n, int F) {
  const int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * V;
  if (i >= n) return;
  const int64_t at = i / F * 2 * F + i % F;
  float av[V], bv[V], gv[V];
  load(av, x + at), load(bv, x + at + F), load(gv, dy + i);
#pragma unroll
  for (int j = 0; j < V; ++j) {
    const float s = sigmoid(av[j]), as = av[j] * s, g = gv[j];
    av[j] = g * bv[j] * (s + as * (1 - s)), bv[j] = g * as;
  }
  store(dx + at, av), store(dx + at + F, bv);
}

template <class T, int V>
__global__ void silu_kernel(T* __restrict__ y, const T* __restrict__ x, int64_t n) {
  const int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * V;
  if (i >= n) return;
  float v[V];
  load(v, x + i);
#pragma unroll
  for (int j = 0; j < V; ++j) v[j] *= sigmoid(v[j]);
  store(y + i, v);
}

template <class T, int V>
__global__ void silu_bwd_kernel(T* __restrict__ dx, bool add, const T* __restrict__ dy, const T* __restrict__ x, int64_t n) {
  const int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * V;
  if (i >= n) return;
  float v[V], g[V], d[V] = {};
  load(v, x + i), load(g, dy + i);
  if (add) load(d, dx + i);
#pragma unroll
  for (int j = 0; j < V; ++j) {
    const float s = sigmoid(v[j]);
    d[j] += g[j] * s * (1 + v[j] * (1 - s));
  }
  store(dx + i, d);
}

void swiglu(const Tensor& y, const Tensor& x) {
  const int64_t F = y.shape().last();
  with_words(x.dtype(), F, {&y, &x}, [&](auto zero, auto v) {
    using T = decltype(zero);
    DUET_LAUNCH((swiglu_kernel<T, v()>), dim3(blocks(y.count(), kThreads * v())), dim3(kThreads), 0, y.data<T>(),
                x.data<T>(), y.count(), int(F));
  });
}

void swiglu_bwd(const Tensor& dx, const Tensor& dy, const Tensor& x) {
  const int64_t F = dy.shape().last();
  with_words(x.dtype(), F, {&dx, &dy, &x}, [&](auto zero, auto v) {
    using T = decltype(zero);
    DUET_LAUNCH((swiglu_bwd_kernel<T, v()>), dim3(blocks(dy.count(), kThreads * v())), dim3(kThreads), 0, dx.data<T>(),
                dy.data<T>(), x.data<T>(), dy.count(), int(F));
  });
}

void silu(const Tensor& y, const Tensor& x) {
  with_words(x.dtype(), x.count(), {&y, &x}, [&](auto zero, auto v) {
    using T = decltype(zero);
    DUET_LAUNCH((silu_kernel<T, v()>), dim3(blocks(x.count(), kThreads * v())), dim3(kThreads), 0, y.data<T>(),
                x.data<T>(), x.count());
  });
}

void silu_bwd(const Tensor& dx, bool add, const Tensor& dy, const Tensor& x) {
  with_words(x.dtype(), x.count(), {&dx, &dy, &x}, [&](auto zero, auto v) {
    using T = decltype(zero);
    DUET_LAUNCH((silu_bwd_kernel<T, v()>), dim3(blocks(x.count(), kThreads * v())), dim3(kThreads), 0, dx.data<T>(), add,
                dy.data<T>(), x.data<T>(), x.count());
  });
}

}  // namespace

void enter_swiglu(Kernels& k) {
  k.swiglu = swiglu, k.swiglu_bwd = swiglu_bwd, k.silu = silu, k.silu_bwd = silu_bwd;
}

}  // namespace duet::cuda
