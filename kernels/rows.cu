#include "kernels/plan.h"
#include "kernels/sums.cuh"

namespace duet::cuda {
namespace {

// Row n of y is row from[n] of a, or row -from[n] - 1 of b.
template <class T>
__device__ T* picked(T* a, T* b, int32_t from, int64_t C) {
  return from >= 0 ? a + from * C : b + (-int64_t(from) - 1) * C;
}

template <class T, int V>
__global__ void gather_kernel(T* __restrict__ y, const T* __restrict__ a, const T* __restrict__ b,
                              const int32_t* __restrict__ from, int N, int C) {
  const int n = blockIdx.x * kRows + threadIdx.y;
  if (n >= N) return;
  const T* x = picked(a, b, from[n], C);
  for (int c = threadIdx.x * V; c < C; c += 32 * V) {
    float v[V];
    load(v, x + c);
    store(y + int64_t(n) * C + c, v);
  }
}

// One row that was picked: its takers' gradients, in order.
template <class T, int V>
__global__ void gather_bwd_kernel(T* da, T* db, const T* __restrict__ dy, const int32_t* __restrict__ keys,
                                  const int32_t* __restrict__ at, const int32_t* __restrict__ list, int C) {
  const int g = blockIdx.x, c = (blockIdx.y * blockDim.x + threadIdx.x) * V;
  if (c >= C || !(keys[g] >= 0 ? da : db)) return;
  T* d = picked(da, db, keys[g], C) + c;
  float s[V], v[V];
  load(s, d);
  for (int k = at[g]; k < at[g + 1]; ++k) {
    load(v, dy + int64_t(list[k]) * C + c);
#pragma unroll
    for (int i = 0; i < V; ++i) s[i] += v[i];
  }
  store(d, s);
}

template <class T>
__global__ void segment_mean_kernel(float* __restrict__ y, const T* __restrict__ x, const int32_t* __restrict__ at, int C) {
  const int b = blockIdx.x, c = blockIdx.y * blockDim.x + threadIdx.x;
  if (c >= C) return;
  float s = 0;
  for (int n = at[b]; n < at[b + 1]; ++n) s += to_float(x[int64_t(n) * C + c]);
  y[int64_t(b) * C + c] = s / float(max(1, at[b + 1] - at[b]));
}

template <class T>
__global__ void segment_mean_bwd_kernel(T* __restrict__ dx, bool add, const float* __restrict__ dy,
                                        const int32_t* __restrict__ at, int C) {
  const int b = blockIdx.x, c = blockIdx.y * blockDim.x + threadIdx.x;
  if (c >= C) return;
  const float g = dy[int64_t(b) * C + c] / float(max(1, at[b + 1] - at[b]));
  for (int n = at[b]; n < at[b + 1]; ++n) {
    T& d = dx[int64_t(n) * C + c];
    set(d, (add ? to_float(d) : 0) + g);
  }
}

template <class T, int V>
__global__ void add_kernel(T* y, const T* a, const T* b, int64_t n) {
  const int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * V;
  if (i >= n) return;
  float av[V], bv[V];
  load(av, a + i), load(bv, b + i);
#pragma unroll
  for (int j = 0; j < V; ++j) av[j] += bv[j];
  store(y + i, av);
}

__global__ void add_scaled_kernel(float* y, const float* x, float k, int64_t n) {
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i < n) y[i] += k * x[i];
}

__global__ void scale_kernel(float* y, const float* x, const float* k, int64_t n) {
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i < n) y[i] = x[i] * *k;
}

__global__ void fill_kernel(float* y, float v, int64_t n) {
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i < n) y[i] = v;
}

template <class Y, class X, int V>
__global__ void convert_kernel(Y* __restrict__ y, const X* __restrict__ x, int64_t n) {
  const int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * V;
  if (i >= n) return;
  float v[V];
  load(v, x + i);
  store(y + i, v);
}

__global__ void mod_table_kernel(float* __restrict__ y, const float* __restrict__ own, const float* __restrict__ t, int W) {
  const int w = blockIdx.y * kThreads + threadIdx.x;
  const int64_t r = blockIdx.x;
  if (w < W) y[r * W + w] = r == 0 ? own[w] : t[(r - 1) * W + w] + own[W + w];
}

// Words of 4 bytes; pairs (n,2): row of `to`, row of `from`
__global__ void copy_rows_kernel(uint32_t* to, const uint32_t* from, const int32_t* pairs, int words) {
  const int w = blockIdx.y * kThreads + threadIdx.x;
  if (w < words) to[int64_t(pairs[2 * blockIdx.x]) * words + w] = from[int64_t(pairs[2 * blockIdx.x + 1]) * words + w];
}

template <class T>
__global__ void cache_put_kernel(T* __restrict__ k, T* __restrict__ v, const T* __restrict__ qkv,
                                 const int32_t* __restrict__ to, int C) {
  const int64_t n = blockIdx.x;
  const int c = blockIdx.y * kThreads + threadIdx.x;
  if (c >= C) return;
  k[int64_t(to[n]) * C + c] = qkv[n * 3 * C + C + c], v[int64_t(to[n]) * C + c] = qkv[n * 3 * C + 2 * C + c];
}

// A sequence's rows in one cache of its block, to where they are kept meanwhile (kOut) or back; `each` words a sequence of the
// cache, `most` of what is kept, `row` of one row. Words of 4 bytes.
template <bool kOut>
__global__ void cache_follow_kernel(uint32_t* cache, uint32_t* kept, const int32_t* __restrict__ from,
                                    const int32_t* __restrict__ count, int S, int64_t each, int64_t most, int64_t first, int row) {
  const int64_t l = blockIdx.x / S, s = blockIdx.x % S;
  if (from[s] == s) return;
  uint32_t* theirs = cache + (l * S + (kOut ? from[s] : s)) * each + first * row;
  uint32_t* own = kept + blockIdx.x * most;
  for (int64_t i = int64_t(blockIdx.y) * kThreads + threadIdx.x; i < int64_t(*count) * row; i += int64_t(gridDim.y) * kThreads)
    if (kOut)
      own[i] = theirs[i];
    else
      theirs[i] = own[i];
}

void gather(const Tensor& y, const Tensor& a, const Tensor& b, const Tensor& from) {
  const int64_t C = y.shape().last(), N = from.count();
  const Tensor f = on_card(from);
  with_words(y.dtype(), C, {&y, &a, &b}, [&](auto zero, auto v) {
    using T = decltype(zero);
    DUET_LAUNCH((gather_kernel<T, v()>), dim3(blocks(N, kRows)), dim3(32, kRows), 0, y.data<T>(), a.data<T>(), ptr<T>(b),
                f.data<int32_t>(), int(N), int(C));
  });
}

void gather_bwd(const Tensor& da, const Tensor& db, const Tensor& dy, const Tensor& from) {
  const int64_t C = dy.shape().last();
  const auto g = by_value(from);
  with_words(dy.dtype(), C, {&da, &db, &dy}, [&](auto zero, auto v) {
    using T = decltype(zero);
    DUET_LAUNCH((gather_bwd_kernel<T, v()>), dim3(unsigned(g->n), blocks(C, 64 * v())), dim3(64), 0, ptr<T>(da), ptr<T>(db),
                dy.data<T>(), g->keys.template data<int32_t>(), g->at.template data<int32_t>(),
                g->list.template data<int32_t>(), int(C));
  });
}

void segment_mean(const Tensor& y, const Tensor& x, const Tensor& at) {
  const int64_t C = y.dim(1);
  const Tensor a = on_card(at);
  with_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    DUET_LAUNCH((segment_mean_kernel<T>), dim3(unsigned(y.dim(0)), blocks(C, 64)), dim3(64), 0, y.data(), x.data<T>(),
                a.data<int32_t>(), int(C));
  });
}

void segment_mean_bwd(const Tensor& dx, bool add, const Tensor& dy, const Tensor& at) {
  const int64_t C = dy.dim(1);
  const Tensor a = on_card(at);
  with_type(dx.dtype(), [&](auto zero) {
    using T = decltype(zero);
    DUET_LAUNCH((segment_mean_bwd_kernel<T>), dim3(unsigned(dy.dim(0)), blocks(C, 64)), dim3(64), 0, dx.data<T>(), add,
                dy.data(), a.data<int32_t>(), int(C));
  });
}

void column_sum(const Tensor& y, const Tensor& x) {
  const int64_t C = x.shape().last();
  with_type(x.dtype(), [&](auto zero) {
    sum_columns(y.data(), x.data<decltype(zero)>(), C, x.shape().rows(), C);
  });
}

void add(const Tensor& y, const Tensor& a, const Tensor& b) {
  with_words(y.dtype(), y.count(), {&y, &a, &b}, [&](auto zero, auto v) {
    using T = decltype(zero);
    DUET_LAUNCH((add_kernel<T, v()>), dim3(blocks(y.count(), kThreads * v())), dim3(kThreads), 0, y.data<T>(), a.data<T>(),
                b.data<T>(), y.count());
  });
}

void add_scaled(const Tensor& y, const Tensor& x, float k) {
  DUET_LAUNCH(add_scaled_kernel, dim3(blocks(y.count(), kThreads)), dim3(kThreads), 0, y.data(), x.data(), k, y.count());
}

void scale(const Tensor& y, const Tensor& x, const Tensor& k) {
  DUET_LAUNCH(scale_kernel, dim3(blocks(y.count(), kThreads)), dim3(kThreads), 0, y.data(), x.data(), k.data(), y.count());
}

void fill(const Tensor& y, float v) {
  DUET_LAUNCH(fill_kernel, dim3(blocks(y.count(), kThreads)), dim3(kThreads), 0, y.data(), v, y.count());
}

void convert(const Tensor& y, const Tensor& x) {
  if (y.dtype() == x.dtype()) return copy_values(y, x);
  const int64_t n = x.count();
  const bool narrow = y.dtype() == DType::bf16;
  CHECK((narrow ? x : y).dtype() == DType::f32 && (narrow || x.dtype() == DType::bf16), "no conversion of ", name_of(x.dtype()),
        " to ", name_of(y.dtype()));
  const Tensor &f = narrow ? x : y, &h = narrow ? y : x;
  with_words(DType::f32, n, {&f, &h}, [&](auto, auto v) {
    const dim3 grid(blocks(n, kThreads * v()));
    if (narrow)
      DUET_LAUNCH((convert_kernel<bf16, float, v()>), grid, dim3(kThreads), 0, y.data<bf16>(), x.data(), n);
    else
      DUET_LAUNCH((convert_kernel<float, bf16, v()>), grid, dim3(kThreads), 0, y.data(), x.data<bf16>(), n);
  });
}

void mod_table(const Tensor& y, const Tensor& own, const Tensor& t) {
  const int64_t W = y.dim(1);
  DUET_LAUNCH(mod_table_kernel, dim3(unsigned(y.dim(0)), blocks(W, kThreads)), dim3(kThreads), 0, y.data(), own.data(),
              ptr<float>(t), int(W));
}

void copy_rows(const Tensor& to, const Tensor& from, const Tensor& pairs) {
  const size_t bytes = size_t(to.shape().last()) * size_of(to.dtype());
  CHECK(bytes % 4 == 0, "rows of ", bytes, " bytes");
  const Tensor p = on_card(pairs);
  if (pairs.count())
    DUET_LAUNCH(copy_rows_kernel, dim3(unsigned(pairs.count() / 2), blocks(int64_t(bytes) / 4, kThreads)), dim3(kThreads), 0,
                to.data<uint32_t>(), from.data<uint32_t>(), p.data<int32_t>(), int(bytes / 4));
}

void cache_put(const Tensor& k, const Tensor& v, const Tensor& qkv, const Tensor& to) {
  const int64_t C = k.shape().last(), N = qkv.shape().rows();
  const Tensor t = on_card(to);
  with_type(k.dtype(), [&](auto zero) {
    using T = decltype(zero);
    DUET_LAUNCH((cache_put_kernel<T>), dim3(unsigned(N), blocks(C, kThreads)), dim3(kThreads), 0, k.data<T>(), v.data<T>(),
                qkv.data<T>(), t.data<int32_t>(), int(C));
  });
}

void cache_follow(const Tensor& cache, const Tensor& from, const Tensor& count, int64_t first) {
  const int64_t L = cache.dim(0), S = cache.dim(1), rows = cache.dim(2), C = cache.dim(3);
  CHECK(C * int64_t(size_of(cache.dtype())) % 4 == 0, "rows of ", C);
  const int64_t row = C * int64_t(size_of(cache.dtype())) / 4;
  const Tensor f = on_card(from), n = on_card(count), kept({L, S, rows - first, C}, cache.dtype(), Device::cuda);
  const dim3 grid(unsigned(L * S), 4);
  const auto run = [&](auto kernel) {
    DUET_LAUNCH(kernel, grid, dim3(kThreads), 0, cache.data<uint32_t>(), kept.data<uint32_t>(), f.data<int32_t>(),
                n.data<int32_t>(), int(S), rows * row, (rows - first) * row, first, int(row));
  };
  run(cache_follow_kernel<true>), run(cache_follow_kernel<false>);
}

}  // namespace

void enter_rows(Kernels& k) {
  k.gather = gather, k.gather_bwd = gather_bwd, k.segment_mean = segment_mean, k.segment_mean_bwd = segment_mean_bwd;
  k.column_sum = column_sum, k.add = add, k.add_scaled = add_scaled, k.scale = scale, k.fill = fill, k.convert = convert;
  k.mod_table = mod_table, k.copy_rows = copy_rows, k.cache_put = cache_put;
  k.cache_follow = cache_follow;
}

}  // namespace duet::cuda
