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

// As gate_add_kernel and norm_mod_kernel one after the other; a thread reads again only what it wrote itself.
template <class T, int V>
__global__ void gate_norm_kernel(T* __restrict__ y, T* __restrict__ normed, float* __restrict__ rstd, const T* __restrict__ x,
                                 const T* __restrict__ h, const float* __restrict__ mod, const int32_t* __restrict__ row,
                                 int64_t W, int64_t gate, int64_t scale, int64_t shift, int N, int C) {
  const int n = blockIdx.x * kRows + threadIdx.y;
  if (n >= N) return;
  const int64_t at = int64_t(n) * C;
  const float *m = mod + row[n] * W, *g = m + gate, *s = m + scale, *b = m + shift;
  float sum = 0;
  for (int c = threadIdx.x * V; c < C; c += 32 * V) {
    float xv[V], hv[V], gv[V];
    load(xv, x + at + c), load(hv, h + at + c), load_f32(gv, g + c);
#pragma unroll
    for (int i = 0; i < V; ++i) {
      T stored;
      set(stored, xv[i] + hv[i] * gv[i]);
      xv[i] = to_float(stored), sum += xv[i] * xv[i];
    }
    store(y + at + c, xv);
  }
  const float r = 1 / sqrtf(warp_sum(sum) / float(C) + 1e-6f);
  if (threadIdx.x == 0) rstd[n] = r;
  for (int c = threadIdx.x * V; c < C; c += 32 * V) {
    float v[V], sv[V], bv[V];
    load(v, y + at + c), load_f32(sv, s + c), load_f32(bv, b + c);
#pragma unroll
    for (int i = 0; i < V; ++i) v[i] = v[i] * r * (1 + sv[i]) + bv[i];
    store(normed + at + c, v);
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

// Both at once, x and dy read from memory once: a block a stretch, a warp a token, and each lane keeps the sums of its columns, of
// which it has kChunks words.
template <class T, int V, int kChunks>
__global__ void norm_mod_bwd_kernel(T* __restrict__ dx, bool add, float* __restrict__ partial, const T* __restrict__ dy,
                                    const T* __restrict__ x, const float* __restrict__ rstd, const float* __restrict__ mod,
                                    const int32_t* __restrict__ row, const int32_t* __restrict__ at, int64_t W, int64_t scale,
                                    int C) {
  DUET_DYNAMIC_SHARED(float, sums);  // (2C)
  const int s = blockIdx.x, thread = threadIdx.y * 32 + threadIdx.x;
  const float* sc = mod + row[at[s]] * W + scale;
  float ds[kChunks][V] = {}, db[kChunks][V] = {};
  for (int n = at[s] + threadIdx.y; n < at[s + 1]; n += kRows) {
    const int64_t from = int64_t(n) * C;
    const float r = rstd[n];
    float m = 0;
#pragma unroll
    for (int k = 0; k < kChunks; ++k) {
      const int c = (k * 32 + threadIdx.x) * V;
      if (c >= C) continue;
      float xv[V], gv[V], sv[V];
      load(xv, x + from + c), load(gv, dy + from + c), load_f32(sv, sc + c);
#pragma unroll
      for (int i = 0; i < V; ++i) {
        m += gv[i] * (1 + sv[i]) * xv[i];
        ds[k][i] += gv[i] * xv[i] * r, db[k][i] += gv[i];
      }
    }
    m = warp_sum(m) * r * r / float(C);
#pragma unroll
    for (int k = 0; k < kChunks; ++k) {  // from the cache
      const int c = (k * 32 + threadIdx.x) * V;
      if (c >= C) continue;
      float xv[V], gv[V], sv[V], d[V] = {};
      load(xv, x + from + c), load(gv, dy + from + c), load_f32(sv, sc + c);
      if (add) load(d, dx + from + c);
#pragma unroll
      for (int i = 0; i < V; ++i) d[i] += r * (gv[i] * (1 + sv[i]) - xv[i] * m);
      store(dx + from + c, d);
    }
  }
  for (int w = 0; w < kRows; ++w) {  // one warp after another: the same order every time
    if (int(threadIdx.y) == w)
#pragma unroll
      for (int k = 0; k < kChunks; ++k)
#pragma unroll
        for (int i = 0; i < V; ++i) {
          const int c = (k * 32 + threadIdx.x) * V + i;
          if (c >= C) continue;
          sums[c] = (w ? sums[c] : 0) + ds[k][i], sums[C + c] = (w ? sums[C + c] : 0) + db[k][i];
        }
    __syncthreads();
  }
  for (int c = thread; c < 2 * C; c += 32 * kRows) partial[int64_t(s) * 2 * C + c] = sums[c];
}

// f(integral_constant of words a lane); false where a row is too wide for registers
template <int V, class F>
bool with_chunks(int64_t C, F f) {
  if (C <= 32 * V) return f(std::integral_constant<int, 1>()), true;
  if (C <= 64 * V) return f(std::integral_constant<int, 2>()), true;
  if (C <= 128 * V) return f(std::integral_constant<int, 4>()), true;
  return false;
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

void gate_norm(const Tensor& y, const Tensor& normed, const Tensor& rstd, const Tensor& x, const Tensor& h, const Tensor& mod,
               const Tensor& row, int64_t gate, int64_t scale, int64_t shift) {
  const int64_t C = x.shape().last(), N = x.shape().rows();
  const Tensor r = on_card(row);
  with_words(x.dtype(), C | gate | scale | shift | mod.dim(1), {&y, &normed, &x, &h, &mod}, [&](auto zero, auto v) {
    using T = decltype(zero);
    DUET_LAUNCH((gate_norm_kernel<T, v()>), dim3(blocks(N, kRows)), dim3(32, kRows), 0, y.data<T>(), normed.data<T>(),
                rstd.data(), x.data<T>(), h.data<T>(), mod.data(), r.data<int32_t>(), mod.dim(1), gate, scale, shift, int(N),
                int(C));
  });
}

void norm_mod_bwd(const Tensor& dx, bool add, const Tensor& dmod, const Tensor& dy, const Tensor& x, const Tensor& rstd,
                  const Tensor& mod, const Tensor& row, int64_t scale, int64_t shift) {
  const int64_t C = x.shape().last(), N = x.shape().rows();
  const Tensor r = on_card(row);
  with_words(x.dtype(), C | scale | shift | mod.dim(1), {&dx, &dy, &x, &mod}, [&](auto zero, auto v) {
    using T = decltype(zero);
    const auto s = stretches(row);
    const Tensor partial = dmod ? card_floats({s->n, 2 * C}) : Tensor();
    const auto to_mod = [&] {
      sum_stretches(dmod, partial, s->by_row, scale, 0, C);
      sum_stretches(dmod, partial, s->by_row, shift, C, C);
    };
    if (dx && dmod && with_chunks<v()>(C, [&](auto chunks) {
          DUET_LAUNCH((norm_mod_bwd_kernel<T, v(), chunks()>), dim3(unsigned(s->n)), dim3(32, kRows), size_t(2 * C) * 4,
                      dx.data<T>(), add, partial.data(), dy.data<T>(), x.data<T>(), rstd.data(), mod.data(), r.data<int32_t>(),
                      s->at.template data<int32_t>(), mod.dim(1), scale, int(C));
        }))
      return to_mod();
    if (dx)
      DUET_LAUNCH((norm_mod_dx_kernel<T, v()>), dim3(blocks(N, kRows)), dim3(32, kRows), 0, dx.data<T>(), add,
                  dy.data<T>(), x.data<T>(), rstd.data(), mod.data(), r.data<int32_t>(), mod.dim(1), scale, int(N),
                  int(C));
    if (!dmod) return;
    DUET_LAUNCH((norm_mod_dmod_kernel<T, v()>), dim3(unsigned(s->n), blocks(C, 128 * v())), dim3(128), 0, partial.data(),
                dy.data<T>(), x.data<T>(), rstd.data(), s->at.template data<int32_t>(), int(C));
    to_mod();
  });
}

}  // namespace

void enter_norm(Kernels& k) { k.norm_mod = norm_mod, k.norm_mod_bwd = norm_mod_bwd, k.gate_norm = gate_norm; }

}  // namespace duet::cuda
