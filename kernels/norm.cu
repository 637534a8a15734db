#include "kernels/stretch.cuh"

namespace duet::cuda {
namespace {

template <class T, int V>
__global__ void norm_mod_kernel(T* __restrict__ y, float* __restrict__ rstd, const T* __restrict__ x,
                                const float* __restrict__ mod, const int32_t* __restrict__ row, int64_t W,
                                int64_t scale, int64_t shift, int N, int C) {
  const int n = blockIdx.x * kRows + threadIdx.y;
  if (n >= N) return;
  const T* xn = x + int64_t(n) * C;
  float sum = 0;
  for (int c = threadIdx.x * V; c < C; c += 32 * V) {
    float v[V];
    load(v, xn + c);
#pragma unroll
    for (int i = 0; i < V; ++i) sum += v[i] * v[i];
  }
  const float r = 1 / sqrtf(warp_sum(sum) / float(C) + 1e-6f);
  if (threadIdx.x == 0) rstd[n] = r;
  const float *s = mod + row[n] * W + scale, *b = mod + row[n] * W + shift;
  for (int c = threadIdx.x * V; c < C; c += 32 * V) {
    float v[V], sv[V], bv[V];
    load(v, xn + c), load_f32(sv, s + c), load_f32(bv, b + c);
#pragma unroll
    for (int i = 0; i < V; ++i) v[i] = v[i] * r * (1 + sv[i]) + bv[i];
    store(y + int64_t(n) * C + c, v);
  }
}

template <class T, int V>
__global__ void norm_mod_dx_kernel(T* __restrict__ dx, bool add, const T* __restrict__ dy, const T* __restrict__ x,
                                   const float* __restrict__ rstd, const float* __restrict__ mod,
                                   const int32_t* __restrict__ row, int64_t W, int64_t scale, int N, int C) {
  const int n = blockIdx.x * kRows + threadIdx.y;
  if (n >= N) return;
  const int64_t at = int64_t(n) * C;
  const float* s = mod + row[n] * W + scale;
  const float r = rstd[n];
  float m = 0;
  for (int c = threadIdx.x * V; c < C; c += 32 * V) {
    float xv[V], gv[V], sv[V];
    load(xv, x + at + c), load(gv, dy + at + c), load_f32(sv, s + c);
#pragma unroll
    for (int i = 0; i < V; ++i) m += gv[i] * (1 + sv[i]) * xv[i];
  }
  m = warp_sum(m) * r * r / float(C);
  for (int c = threadIdx.x * V; c < C; c += 32 * V) {
    float xv[V], gv[V], sv[V], d[V] = {};
    load(xv, x + at + c), load(gv, dy + at + c), load_f32(sv, s + c);
    if (add) load(d, dx + at + c);
#pragma unroll
    for (int i = 0; i < V; ++i) d[i] += r * (gv[i] * (1 + sv[i]) - xv[i] * m);
    store(dx + at + c, d);
  }
}

// partial (S, 2C): of each stretch sum dy x rstd, then sum dy
template <class T, int V>
__global__ void norm_mod_dmod_kernel(float* __restrict__ partial, const T* __restrict__ dy, const T* __restrict__ x,
                                     const float* __restrict__ rstd, const int32_t* __restrict__ at, int C) {
  const int c = (blockIdx.y * blockDim.x + threadIdx.x) * V, s = blockIdx.x;
  if (c >= C) return;
  float ds[V] = {}, db[V] = {};
  for (int n = at[s]; n < at[s + 1]; ++n) {
    float xv[V], gv[V];
    load(xv, x + int64_t(n) * C + c), load(gv, dy + int64_t(n) * C + c);
    const float r = rstd[n];
#pragma unroll
    for (int i = 0; i < V; ++i) ds[i] += gv[i] * xv[i] * r, db[i] += gv[i];
  }
  store_f32(partial + int64_t(s) * 2 * C + c, ds), store_f32(partial + int64_t(s) * 2 * C + C + c, db);
}

void norm_mod(const Tensor& y, const Tensor& rstd, const Tensor& x, const Tensor& mod, const Tensor& row, int64_t scale,
              int64_t shift) {
  const int64_t C = x.shape().last(), N = x.shape().rows();
  const Tensor r = on_card(row);
  with_words(x.dtype(), C | scale | shift | mod.dim(1), {&y, &x, &mod}, [&](auto zero, auto v) {
    using T = decltype(zero);
    DUET_LAUNCH((norm_mod_kernel<T, v()>), dim3(blocks(N, kRows)), dim3(32, kRows), 0, y.data<T>(), rstd.data(),
                x.data<T>(), mod.data(), r.data<int32_t>(), mod.dim(1), scale, shift, int(N), int(C));
  });
}

void norm_mod_bwd(const Tensor& dx, bool add, const Tensor& dmod, const Tensor& dy, const Tensor& x, const Tensor& rstd,
                  const Tensor& mod, const Tensor& row, int64_t scale, int64_t shift) {
  const int64_t C = x.shape().last(), N = x.shape().rows();
  const Tensor r = on_card(row);
  with_words(x.dtype(), C | scale | shift | mod.dim(1), {&dx, &dy, &x, &mod}, [&](auto zero, auto v) {
    using T = decltype(zero);
    if (dx)
      DUET_LAUNCH((norm_mod_dx_kernel<T, v()>), dim3(blocks(N, kRows)), dim3(32, kRows), 0, dx.data<T>(), add,
                  dy.data<T>(), x.data<T>(), rstd.data(), mod.data(), r.data<int32_t>(), mod.dim(1), scale, int(N),
                  int(C));
    if (!dmod) return;
    const auto s = stretches(row);
    const Tensor partial = card_floats({s->n, 2 * C});
    DUET_LAUNCH((norm_mod_dmod_kernel<T, v()>), dim3(unsigned(s->n), blocks(C, 128 * v())), dim3(128), 0, partial.data(),
                dy.data<T>(), x.data<T>(), rstd.data(), s->at.template data<int32_t>(), int(C));
    sum_stretches(dmod, partial, s->by_row, scale, 0, C);
    sum_stretches(dmod, partial, s->by_row, shift, C, C);
  });
}

}  // namespace

void enter_norm(Kernels& k) { k.norm_mod = norm_mod, k.norm_mod_bwd = norm_mod_bwd; }

}  // namespace duet::cuda
