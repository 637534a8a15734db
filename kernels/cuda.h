// What every .cu file starts from: CUDA as nvcc gives it, or the same words on the host (tests/cuda/shim), where its kernels
// are tested without a card. Only .cu files include it.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/device.h"
#include "kernels/error.h"
#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#define DUET_DYNAMIC_SHARED(T, name)                                   \
  extern __shared__ __align__(16) unsigned char duet_dynamic_shared[]; \
  T* name = reinterpret_cast<T*>(duet_dynamic_shared)
// Runs nothing on an empty grid, which CUDA would refuse.
#define DUET_LAUNCH(kernel, grid, block, shared, ...)                             \
  do {                                                                            \
    if ((grid).x == 0) break;                                                     \
    (kernel)<<<(grid), (block), (shared), ::duet::cuda::stream()>>>(__VA_ARGS__); \
    ::duet::cuda::must(cudaGetLastError(), #kernel);                              \
  } while (0)
#else
#include <cuda_shim.h>
#define DUET_DYNAMIC_SHARED(T, name) T* name = reinterpret_cast<T*>(shim::dynamic_shared)
#define DUET_LAUNCH(kernel, grid, block, shared, ...) \
  ::duet::cuda::launch_on_host(#kernel, kernel, grid, block, shared, __VA_ARGS__)
#endif

namespace duet::cuda {

using bf16 = __nv_bfloat16;

cudaStream_t stream();                     // all work goes to this one
void must(cudaError_t, const char* what);  // throws unless cudaSuccess; out of memory and lost drivers in plain words

#ifndef __CUDACC__
template <class K, class... A>
void launch_on_host(const char* name, K kernel, dim3 grid, dim3 block, size_t shared, A... a) {
  (shim::check_argument(a, name), ...);
  if (grid.x > 0) shim::launch(grid, block, shared, [=] { kernel(a...); });
}
#endif

// Blocks as most kernels have them: threads in a row, or kRows warps, one a row of the tensor.
constexpr int kThreads = 256, kRows = 8;

// Memory in words of 16 bytes: V values of T, or one at a time where rows or pointers do not divide.
template <class T, int V>
struct alignas(sizeof(T) * V) Pack {
  T v[V];
};
template <class T>
constexpr int kWide = int(16 / sizeof(T));

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(bf16 x) { return __bfloat162float(x); }
__device__ __forceinline__ void set(float& y, float x) { y = x; }
__device__ __forceinline__ void set(bf16& y, float x) { y = __float2bfloat16(x); }

template <int V, class T>
__device__ __forceinline__ void load(float (&out)[V], const T* p) {
  const Pack<T, V> w = *reinterpret_cast<const Pack<T, V>*>(p);
#pragma unroll
  for (int i = 0; i < V; ++i) out[i] = to_float(w.v[i]);
}
template <int V, class T>
__device__ __forceinline__ void store(T* p, const float (&x)[V]) {
  Pack<T, V> w;
#pragma unroll
  for (int i = 0; i < V; ++i) set(w.v[i], x[i]);
  *reinterpret_cast<Pack<T, V>*>(p) = w;
}
// f32 values beside T's packs: as words of 16 bytes where V allows.
template <int V>
__device__ __forceinline__ void load_f32(float (&out)[V], const float* p) {
  constexpr int W = V % 4 == 0 ? 4 : 1;
#pragma unroll
  for (int i = 0; i < V; i += W) {
    const Pack<float, W> w = *reinterpret_cast<const Pack<float, W>*>(p + i);
#pragma unroll
    for (int j = 0; j < W; ++j) out[i + j] = w.v[j];
  }
}
template <int V>
__device__ __forceinline__ void store_f32(float* p, const float (&x)[V]) {
  constexpr int W = V % 4 == 0 ? 4 : 1;
#pragma unroll
  for (int i = 0; i < V; i += W) {
    Pack<float, W> w;
#pragma unroll
    for (int j = 0; j < W; ++j) w.v[j] = x[i + j];
    *reinterpret_cast<Pack<float, W>*>(p + i) = w;
  }
}

// Sums and maxima in one fixed order: the same bits every time.
__device__ __forceinline__ float warp_sum(float v) {
#pragma unroll
  for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(0xffffffffu, v, o);
  return v;
}
__device__ __forceinline__ float warp_max(float v) {
#pragma unroll
  for (int o = 16; o; o >>= 1) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, o));
  return v;
}
// Over a block of whole warps in one dimension; every thread gets it.
template <bool kMax = false>
__device__ __forceinline__ float block_reduce(float v) {
  __shared__ float part[32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  v = kMax ? warp_max(v) : warp_sum(v);
  __syncthreads();  // part may still be read by an earlier call
  if (lane == 0) part[warp] = v;
  __syncthreads();
  v = lane < warps ? part[lane] : (kMax ? -INFINITY : 0.0f);
  return kMax ? warp_max(v) : warp_sum(v);
}

// On the host: f(T()) for the type of an activation.
template <class F>
void with_type(DType t, F f) {
  CHECK(t == DType::f32 || t == DType::bf16, "activations are F32 or BF16, not ", name_of(t));
  if (t == DType::bf16) f(bf16());
  else f(float());
}
// f(T(), integral_constant<int, V>): V = kWide<T> when `columns` divides and all tensors lie on words, else 1.
template <class F>
void with_words(DType t, int64_t columns, std::initializer_list<const Tensor*> tensors, F f) {
  bool words = true;
  with_type(t, [&](auto zero) {
    using T = decltype(zero);
    words = columns % kWide<T> == 0;
    for (const Tensor* x : tensors) words = words && (!*x || reinterpret_cast<uintptr_t>(x->data<char>()) % 16 == 0);
    if (words) f(zero, std::integral_constant<int, kWide<T>>());
    else f(zero, std::integral_constant<int, 1>());
  });
}

template <class T>
T* ptr(const Tensor& t) {  // of a tensor on the card, null when empty
  return t ? t.data<T>() : nullptr;
}
inline Tensor on_card(const Tensor& t) { return t ? kept_on(t, Device::cuda) : t; }
// As products read it in the present precision: itself, its kept bf16 twin, or a copy made now, which narrow weights always
// need.
Tensor as_input(const Tensor&);
inline Tensor card_floats(Shape s) { return Tensor(std::move(s), DType::f32, Device::cuda); }
inline unsigned blocks(int64_t n, int64_t each) { return unsigned((n + each - 1) / each); }

// Each .cu file enters its kernels.
void enter_gemm(Kernels&);
void enter_norm(Kernels&);
void enter_gate(Kernels&);
void enter_rope(Kernels&);
void enter_attention(Kernels&);
void enter_conv(Kernels&);
void enter_swiglu(Kernels&);
void enter_rows(Kernels&);
void enter_loss(Kernels&);
void enter_outer(Kernels&);
void enter_optimize(Kernels&);
void enter_noise(Kernels&);
void enter_sample(Kernels&);

}  // namespace duet::cuda
