// Attention: cuDNN's where it has a graph for it (cudnn.h), else ours for any card: a tile of queries against tiles of keys,
// softmax on the way (arXiv 2205.14135); in bf16 on tensor cores (attention_mma.cuh), else in f32 arithmetic. Our backward
// pass goes over the tiles twice, once for dq and once for dk and dv, so that nothing is summed by atomics; cuDNN's
// sums dq by atomics.
#include "kernels/attention_mma.cuh"
#include "kernels/cudnn.h"
#include "kernels/plan.h"

namespace duet::cuda {
namespace {

// 256 threads as 16 x 16. Thread (ty, tx) has rows ty R .. + R of a tile of 16 R, and of the other side columns tx + 16 j
// of a product over the head, or tx E .. + E of the head's D = 16 E.

template <int R, int E>
struct Tiling {
  static constexpr int kTile = 16 * R, D = 16 * E, kRow = D + 4, kScores = kTile + 4;  // + 4: banks
  static constexpr int kRows = kTile * kRow, kTable = kTile * kScores;                 // floats
};

// A tile of rows first .. end of x into shared memory; zeros beyond the end.
template <class S, class T>
__device__ void load_tile(float* to, const T* x, int64_t ld, int first, int end) {
  for (int i = threadIdx.x; i < S::kTile * S::D / 4; i += kThreads) {
    const int row = i / (S::D / 4), d = i % (S::D / 4) * 4;
    float v[4] = {};
    if (first + row < end) load(v, x + int64_t(first + row) * ld + d);
    store_f32(to + row * S::kRow + d, v);
  }
}

// s[i][j] = a[ty R + i] . b[tx + 16 j]
template <class S, int R>
__device__ void dots(float (&s)[R][R], const float* a, const float* b, int ty, int tx) {
#pragma unroll
  for (int i = 0; i < R; ++i)
#pragma unroll
    for (int j = 0; j < R; ++j) s[i][j] = 0;
  for (int d = 0; d < S::D; d += 4) {
    float av[R][4], bv[R][4];
#pragma unroll
    for (int i = 0; i < R; ++i) load_f32(av[i], a + (ty * R + i) * S::kRow + d), load_f32(bv[i], b + (tx + 16 * i) * S::kRow + d);
#pragma unroll
    for (int i = 0; i < R; ++i)
#pragma unroll
      for (int j = 0; j < R; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) s[i][j] += av[i][e] * bv[j][e];
  }
}

// o[i][e] += sum over k of p[ty R + i][k] x[k][tx E + e]
template <class S, int R, int E>
__device__ void accumulate(float (&o)[R][E], const float* p, const float* x, int ty, int tx) {
  for (int k = 0; k < S::kTile; k += 4) {
    float pv[R][4];
#pragma unroll
    for (int i = 0; i < R; ++i) load_f32(pv[i], p + (ty * R + i) * S::kScores + k);
#pragma unroll
    for (int e4 = 0; e4 < 4; ++e4) {
      float xv[E];
      load_f32(xv, x + (k + e4) * S::kRow + tx * E);
#pragma unroll
      for (int i = 0; i < R; ++i)
#pragma unroll
        for (int e = 0; e < E; ++e) o[i][e] += pv[i][e4] * xv[e];
    }
  }
}

// o[j][e] += sum over k of p[k][ty R + j] x[k][tx E + e]
template <class S, int R, int E>
__device__ void accumulate_transposed(float (&o)[R][E], const float* p, const float* x, int ty, int tx) {
  for (int k = 0; k < S::kTile; ++k) {
    float pv[R], xv[E];
    load_f32(pv, p + k * S::kScores + ty * R), load_f32(xv, x + k * S::kRow + tx * E);
#pragma unroll
    for (int j = 0; j < R; ++j)
#pragma unroll
      for (int e = 0; e < E; ++e) o[j][e] += pv[j] * xv[e];
  }
}

__device__ __forceinline__ float sum16(float v) {  // over the 16 threads of one ty
#pragma unroll
  for (int o = 8; o; o >>= 1) v += __shfl_xor_sync(0xffffffffu, v, o);
  return v;
}
__device__ __forceinline__ float max16(float v) {
#pragma unroll
  for (int o = 8; o; o >>= 1) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, o));
  return v;
}

template <class T, int R, int E>
__global__ void __launch_bounds__(kThreads, 1)
    attention_kernel(T* __restrict__ o, float* __restrict__ lse, const T* __restrict__ q, const T* __restrict__ k,
                     const T* __restrict__ v, int64_t ldq, int64_t ldkv, const int32_t* __restrict__ tiles,
                     const int32_t* __restrict__ q_at, const int32_t* __restrict__ k_at, const int32_t* __restrict__ limit,
                     int H, float scale) {
  using S = Tiling<R, E>;
  DUET_DYNAMIC_SHARED(float, room);
  float *qs = room, *ks = qs + S::kRows, *vs = ks + S::kRows, *ps = vs + S::kRows;
  const int b = tiles[2 * blockIdx.x], n0 = tiles[2 * blockIdx.x + 1], end = q_at[b + 1], h = blockIdx.y;
  const int ty = threadIdx.x / 16, tx = threadIdx.x % 16;
  const int mine = n0 + int(threadIdx.x);
  const int keys = int(block_reduce<true>(int(threadIdx.x) < S::kTile && mine < end ? float(limit[mine]) : 0.0f));
  load_tile<S>(qs, q + h * S::D, ldq, n0, end);
  float acc[R][E] = {}, most[R], sum[R];
  int sees[R];
#pragma unroll
  for (int i = 0; i < R; ++i) {
    const int n = n0 + ty * R + i;
    most[i] = -INFINITY, sum[i] = 0, sees[i] = n < end ? limit[n] : 0;
  }
  for (int j0 = 0; j0 < keys; j0 += S::kTile) {
    __syncthreads();
    load_tile<S>(ks, k + h * S::D, ldkv, k_at[b] + j0, k_at[b] + keys);
    load_tile<S>(vs, v + h * S::D, ldkv, k_at[b] + j0, k_at[b] + keys);
    __syncthreads();
    float s[R][R];
    dots<S>(s, qs, ks, ty, tx);
#pragma unroll
    for (int i = 0; i < R; ++i) {
      float m = -INFINITY;
#pragma unroll
      for (int j = 0; j < R; ++j) {
        s[i][j] = j0 + tx + 16 * j < sees[i] ? s[i][j] * scale : -INFINITY;
        m = fmaxf(m, s[i][j]);
      }
      m = fmaxf(most[i], max16(m));
      const float keep = m == -INFINITY ? 1.0f : __expf(most[i] - m);
      float add = 0;
#pragma unroll
      for (int j = 0; j < R; ++j) {
        const float p = s[i][j] == -INFINITY ? 0.0f : __expf(s[i][j] - m);
        ps[(ty * R + i) * S::kScores + tx + 16 * j] = p;
        add += p;
      }
      sum[i] = sum[i] * keep + sum16(add), most[i] = m;
#pragma unroll
      for (int e = 0; e < E; ++e) acc[i][e] *= keep;
    }
    __syncwarp();
    accumulate<S>(acc, ps, vs, ty, tx);
  }
#pragma unroll
  for (int i = 0; i < R; ++i) {
    const int n = n0 + ty * R + i;
    if (n >= end) continue;
    if (tx == 0) lse[int64_t(n) * H + h] = most[i] + logf(sum[i]);
#pragma unroll
    for (int e = 0; e < E; ++e) set(o[(int64_t(n) * H + h) * S::D + tx * E + e], acc[i][e] / sum[i]);
  }
}

// delta (N,H) = dO . O
template <class T>
__global__ void delta_kernel(float* __restrict__ delta, const T* __restrict__ dout, const T* __restrict__ o, int64_t heads,
                             int D) {
  const int64_t w = int64_t(blockIdx.x) * 8 + threadIdx.y;
  if (w >= heads) return;
  float s = 0;
  for (int d = threadIdx.x; d < D; d += 32) s += to_float(dout[w * D + d]) * to_float(o[w * D + d]);
  s = warp_sum(s);
  if (threadIdx.x == 0) delta[w] = s;
}

// Scores of a tile -> probabilities and their gradients: dS = P (dP - delta) / sqrt(D), zero where a query does not see.
template <class S, int R>
__device__ void score_grads(float (&p)[R][R], float (&ds)[R][R], const int (&sees)[R], const float (&lse)[R],
                            const float (&delta)[R], int j0, int tx, float scale) {
#pragma unroll
  for (int i = 0; i < R; ++i)
#pragma unroll
    for (int j = 0; j < R; ++j) {
      p[i][j] = j0 + tx + 16 * j < sees[i] ? __expf(p[i][j] * scale - lse[i]) : 0.0f;
      ds[i][j] = p[i][j] * (ds[i][j] - delta[i]) * scale;
    }
}

template <class T, int R, int E>
__global__ void __launch_bounds__(kThreads, 1)
    dq_kernel(T* __restrict__ dqkv, const T* __restrict__ dout, const float* __restrict__ lse,
              const float* __restrict__ delta, const T* __restrict__ qkv, const int32_t* __restrict__ tiles,
              const int32_t* __restrict__ at, const int32_t* __restrict__ limit, int H, float scale) {
  using S = Tiling<R, E>;
  DUET_DYNAMIC_SHARED(float, room);
  float *qs = room, *gs = qs + S::kRows, *ks = gs + S::kRows, *vs = ks + S::kRows, *dss = vs + S::kRows;
  const int b = tiles[2 * blockIdx.x], n0 = tiles[2 * blockIdx.x + 1], end = at[b + 1], h = blockIdx.y;
  const int ty = threadIdx.x / 16, tx = threadIdx.x % 16, mine = n0 + int(threadIdx.x);
  const int64_t C = int64_t(H) * S::D;
  const int keys = int(block_reduce<true>(int(threadIdx.x) < S::kTile && mine < end ? float(limit[mine]) : 0.0f));
  load_tile<S>(qs, qkv + h * S::D, 3 * C, n0, end), load_tile<S>(gs, dout + h * S::D, C, n0, end);
  float dq[R][E] = {}, l[R], dl[R];
  int sees[R];
#pragma unroll
  for (int i = 0; i < R; ++i) {
    const int n = n0 + ty * R + i;
    sees[i] = n < end ? limit[n] : 0, l[i] = n < end ? lse[int64_t(n) * H + h] : 0, dl[i] = n < end ? delta[int64_t(n) * H + h] : 0;
  }
  for (int j0 = 0; j0 < keys; j0 += S::kTile) {
    __syncthreads();
    load_tile<S>(ks, qkv + C + h * S::D, 3 * C, at[b] + j0, at[b] + keys);
    load_tile<S>(vs, qkv + 2 * C + h * S::D, 3 * C, at[b] + j0, at[b] + keys);
    __syncthreads();
    float p[R][R], ds[R][R];
    dots<S>(p, qs, ks, ty, tx), dots<S>(ds, gs, vs, ty, tx);
    score_grads<S>(p, ds, sees, l, dl, j0, tx, scale);
#pragma unroll
    for (int i = 0; i < R; ++i)
#pragma unroll
      for (int j = 0; j < R; ++j) dss[(ty * R + i) * S::kScores + tx + 16 * j] = ds[i][j];
    __syncwarp();
    accumulate<S>(dq, dss, ks, ty, tx);
  }
#pragma unroll
  for (int i = 0; i < R; ++i) {
    const int n = n0 + ty * R + i;
    if (n >= end) continue;
#pragma unroll
    for (int e = 0; e < E; ++e) set(dqkv[int64_t(n) * 3 * C + h * S::D + tx * E + e], dq[i][e]);
  }
}

template <class T, int R, int E>
__global__ void __launch_bounds__(kThreads, 1)
    dkv_kernel(T* __restrict__ dqkv, const T* __restrict__ dout, const float* __restrict__ lse,
               const float* __restrict__ delta, const T* __restrict__ qkv, const int32_t* __restrict__ tiles,
               const int32_t* __restrict__ at, const int32_t* __restrict__ limit, int H, float scale) {
  using S = Tiling<R, E>;
  DUET_DYNAMIC_SHARED(float, room);
  float *ks = room, *vs = ks + S::kRows, *qs = vs + S::kRows, *gs = qs + S::kRows, *ps = gs + S::kRows, *dss = ps + S::kTable;
  const int b = tiles[2 * blockIdx.x], k0 = tiles[2 * blockIdx.x + 1], end = at[b + 1], h = blockIdx.y;
  const int ty = threadIdx.x / 16, tx = threadIdx.x % 16, j0 = k0 - at[b];
  const int64_t C = int64_t(H) * S::D;
  load_tile<S>(ks, qkv + C + h * S::D, 3 * C, k0, end), load_tile<S>(vs, qkv + 2 * C + h * S::D, 3 * C, k0, end);
  float dk[R][E] = {}, dv[R][E] = {};
  for (int n0 = at[b]; n0 < end; n0 += S::kTile) {
    __syncthreads();
    load_tile<S>(qs, qkv + h * S::D, 3 * C, n0, end), load_tile<S>(gs, dout + h * S::D, C, n0, end);
    __syncthreads();
    float p[R][R], ds[R][R], l[R], dl[R];
    int sees[R];
#pragma unroll
    for (int i = 0; i < R; ++i) {
      const int n = n0 + ty * R + i;
      sees[i] = n < end ? limit[n] : 0, l[i] = n < end ? lse[int64_t(n) * H + h] : 0, dl[i] = n < end ? delta[int64_t(n) * H + h] : 0;
    }
    dots<S>(p, qs, ks, ty, tx), dots<S>(ds, gs, vs, ty, tx);
    score_grads<S>(p, ds, sees, l, dl, j0, tx, scale);
#pragma unroll
    for (int i = 0; i < R; ++i)
#pragma unroll
      for (int j = 0; j < R; ++j) {
        ps[(ty * R + i) * S::kScores + tx + 16 * j] = p[i][j];
        dss[(ty * R + i) * S::kScores + tx + 16 * j] = ds[i][j];
      }
    __syncthreads();
    accumulate_transposed<S>(dv, ps, gs, ty, tx), accumulate_transposed<S>(dk, dss, qs, ty, tx);
  }
#pragma unroll
  for (int j = 0; j < R; ++j) {
    const int n = k0 + ty * R + j;
    if (n >= end) continue;
#pragma unroll
    for (int e = 0; e < E; ++e) {
      set(dqkv[int64_t(n) * 3 * C + C + h * S::D + tx * E + e], dk[j][e]);
      set(dqkv[int64_t(n) * 3 * C + 2 * C + h * S::D + tx * E + e], dv[j][e]);
    }
  }
}

// f(integral_constant R, integral_constant E): tiles of 64, or of 32 where a head is too wide for shared memory.
template <class F>
void with_head(int64_t D, F f) {
  using std::integral_constant;
  if (D == 16) return f(integral_constant<int, 4>(), integral_constant<int, 1>());
  if (D == 32) return f(integral_constant<int, 4>(), integral_constant<int, 2>());
  if (D == 64) return f(integral_constant<int, 4>(), integral_constant<int, 4>());
  if (D == 128) return f(integral_constant<int, 2>(), integral_constant<int, 8>());
  refuse("model.head = ", D, ": on a card a head is 16, 32, 64 or 128 wide; choose one of these, or --device cpu");
}

// f(kernel, queries of a tile, threads, bytes of shared memory)
template <class T, int R, int E, class F>
void with_forward(F f) {
  if constexpr (std::is_same_v<T, bf16> && E > 1) {
    using S = MmaTiling<16 * E>;
    f(attention_mma_kernel<16 * E>, S::kTile, 32 * S::kWarps, S::kBytes);
  } else {
    using S = Tiling<R, E>;
    f(attention_kernel<T, R, E>, S::kTile, kThreads, size_t(3 * S::kRows + S::kTable) * 4);
  }
}

// Both kernels of the backward pass.
template <class T, int R, int E, class F>
void with_backward(F f) {
  if constexpr (std::is_same_v<T, bf16> && E > 1) {
    using S = MmaTiling<16 * E>;
    f(dq_mma_kernel<16 * E>, S::kTile, 32 * S::kWarps, S::kBackward);
    f(dkv_mma_kernel<16 * E>, S::kTile, 32 * S::kWarps, S::kBackward);
  } else {
    using S = Tiling<R, E>;
    f(dq_kernel<T, R, E>, S::kTile, kThreads, size_t(4 * S::kRows + S::kTable) * 4);
    f(dkv_kernel<T, R, E>, S::kTile, kThreads, size_t(4 * S::kRows + 2 * S::kTable) * 4);
  }
}

template <class K>
void with_shared(K kernel, size_t bytes) {  // more than 48 KiB must be asked for
  must(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes)), "shared memory");
}

bool cudnn_pays(const Tensor& o, const Tensor& k_at) {
  if (o.dtype() != DType::bf16) return false;
  const int32_t* at = k_at.data<int32_t>();
  int32_t keys = 0;
  for (int64_t b = 0; b + 1 < k_at.count(); ++b) keys = std::max(keys, at[b + 1] - at[b]);
  return worth_cudnn(4.0 * double(o.count()) * double(keys));
}

AttentionData data_of(const Packed& p, const Tensor& q, const void* k, const void* v, const Tensor& o, const Tensor& lse) {
  const auto ints = [](const Tensor& t) { return t ? t.data<int32_t>() : nullptr; };
  return {q.data<void>(), const_cast<void*>(k), const_cast<void*>(v), o.data<void>(), lse.data(), ints(p.q_offset),
          ints(p.k_offset), ints(p.o_offset), ints(p.lse_offset), ints(p.q_count), ints(p.k_count), ints(p.limit)};
}

bool by_cudnn(const Tensor& o, const Tensor& lse, const Tensor& qkv, const Tensor& k, const Tensor& v, const Tensor& at,
              const Tensor& k_at, const Tensor& limit) {
  if (limit.device() == Device::cuda) return false;  // cuDNN is told the lengths beforehand
  const int64_t C = o.dim(1), H = lse.dim(1);
  const Tensor& keys_at = k ? k_at : at;
  const auto p = cudnn_pays(o, keys_at) ? packed(at, keys_at, limit, H, C / H, 3 * C, k ? C : 3 * C) : nullptr;
  if (!p) return false;
  const bf16* q = qkv.data<bf16>();
  return cudnn_attention(p->graph, data_of(*p, qkv, k ? k.data<bf16>() : q + C, v ? v.data<bf16>() : q + 2 * C, o, lse), stream());
}

bool by_cudnn_bwd(const Tensor& dqkv, const Tensor& dout, const Tensor& o, const Tensor& lse, const Tensor& qkv, const Tensor& at,
                  const Tensor& limit) {
  const int64_t C = o.dim(1), H = lse.dim(1);
  const auto p = !deterministic() && cudnn_pays(o, at) ? packed(at, at, limit, H, C / H, 3 * C, 3 * C) : nullptr;
  if (!p) return false;
  AttentionGraph g = p->graph;
  g.backward = true;
  const bf16* q = qkv.data<bf16>();
  AttentionData d = data_of(*p, qkv, q + C, q + 2 * C, o, lse);
  bf16* dq = dqkv.data<bf16>();
  d.dq = dq, d.dk = dq + C, d.dv = dq + 2 * C, d.dout = dout.data<void>();
  return cudnn_attention(g, d, stream());
}

void attention(const Tensor& o, const Tensor& lse, const Tensor& qkv, const Tensor& k, const Tensor& v, const Tensor& at,
               const Tensor& k_at, const Tensor& limit) {
  if (by_cudnn(o, lse, qkv, k, v, at, k_at, limit)) return;
  const int64_t C = o.dim(1), H = lse.dim(1), D = C / H, ldkv = k ? C : 3 * C;
  const Tensor q_at = on_card(at), keys_at = on_card(k ? k_at : at), lim = on_card(limit);
  with_head(D, [&](auto r, auto e) {
    constexpr int R = r(), E = e();
    with_type(qkv.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto run = [&](auto kernel, int tile, int threads, size_t bytes) {
        const T *q = qkv.data<T>(), *kp = k ? k.data<T>() : q + C, *vp = v ? v.data<T>() : q + 2 * C;
        const auto work = tiles(at, tile);
        with_shared(kernel, bytes);
        const dim3 grid(unsigned(work->n), unsigned(H));
        DUET_LAUNCH(kernel, grid, dim3(unsigned(threads)), bytes, o.data<T>(), lse.data(), q, kp, vp, 3 * C, ldkv,
                    work->list.template data<int32_t>(), q_at.data<int32_t>(), keys_at.data<int32_t>(), lim.data<int32_t>(), int(H),
                    1 / std::sqrt(float(D)));
      };
      with_forward<T, R, E>(run);
    });
  });
}

void attention_bwd(const Tensor& dqkv, const Tensor& dout, const Tensor& o, const Tensor& lse, const Tensor& qkv,
                   const Tensor& at, const Tensor& limit) {
  if (by_cudnn_bwd(dqkv, dout, o, lse, qkv, at, limit)) return;
  const int64_t C = o.dim(1), N = o.dim(0), H = lse.dim(1), D = C / H;
  const Tensor a = on_card(at), lim = on_card(limit), delta = card_floats({N, H});
  with_head(D, [&](auto r, auto e) {
    constexpr int R = r(), E = e();
    with_type(qkv.dtype(), [&](auto zero) {
      using T = decltype(zero);
      DUET_LAUNCH((delta_kernel<T>), dim3(blocks(N * H, 8)), dim3(32, 8), 0, delta.data(), dout.data<T>(), o.data<T>(), N * H,
                  int(D));
      with_backward<T, R, E>([&](auto kernel, int tile, int threads, size_t bytes) {
        const auto work = tiles(at, tile);
        with_shared(kernel, bytes);
        const dim3 grid(unsigned(work->n), unsigned(H));
        DUET_LAUNCH(kernel, grid, dim3(unsigned(threads)), bytes, dqkv.data<T>(), dout.data<T>(), lse.data(), delta.data(),
                    qkv.data<T>(), work->list.template data<int32_t>(), a.data<int32_t>(), lim.data<int32_t>(), int(H),
                    1 / std::sqrt(float(D)));
      });
    });
  });
}

}  // namespace

void enter_attention(Kernels& k) { k.attention = attention, k.attention_bwd = attention_bwd; }

}  // namespace duet::cuda
