// Attention on tensor cores, for bf16: as attention.cu's, but a warp has 16 queries, or for dk and dv 16 keys, and multiplies by
// mma.cuh; scores and sums stay f32 in registers, probabilities and their gradients are rounded to bf16 for the next product.
#pragma once
#include "kernels/mma.cuh"

namespace duet::cuda {

template <int D>
struct MmaTiling {
  static constexpr int kWarps = 4, kTile = 16 * kWarps;  // kTile: rows of all warps
  static constexpr int kKeys = 64;                       // of a step of the forward pass
  static constexpr int kStep = D > 64 ? 16 : 32;         // of the other side in one of the backward's, for want of registers
  static constexpr int kRow = D + 8;                     // + 8: banks
  static constexpr size_t kBytes = 2 * kKeys * kRow * sizeof(bf16);               // keys and values
  static constexpr size_t kBackward = 2 * (kTile + kStep) * kRow * sizeof(bf16);  // both sides, of two tensors each
};

// Rows first .. first + kCount of x into shared memory; zeros from `end` on, since 0 times what lies there must be 0.
template <int D, int kCount>
__device__ __forceinline__ void load_rows(bf16* to, const bf16* x, int64_t ld, int first, int end) {
  using S = MmaTiling<D>;
  for (int i = threadIdx.x; i < kCount * D / 8; i += 32 * S::kWarps) {
    const int row = i / (D / 8), d = i % (D / 8) * 8;
    Pack<uint32_t, 4> w{};
    if (first + row < end) w = *reinterpret_cast<const Pack<uint32_t, 4>*>(x + int64_t(first + row) * ld + d);
    *reinterpret_cast<Pack<uint32_t, 4>*>(to + row * S::kRow + d) = w;
  }
}

__device__ __forceinline__ uint32_t word(const bf16* p) { return *reinterpret_cast<const uint32_t*>(p); }

// Word by word the left side of a product: 16 rows of shared memory, of which `row` is the thread's first; columns from 16 kk on.
template <int D>
__device__ __forceinline__ void load_left(uint32_t (&w)[4], const bf16* row, int kk) {
#pragma unroll
  for (int i = 0; i < 4; ++i) w[i] = word(row + i % 2 * 8 * MmaTiling<D>::kRow + 16 * kk + 8 * (i / 2));
}

// s[j] = rows of x . rows 8 j .. of y: all of one warp's against `kCount` of the other side. x and y as a lane reads them.
template <int D, int kCount>
__device__ __forceinline__ void mma_dots(float (&s)[kCount / 8][4], const bf16* x, const bf16* y) {
#pragma unroll
  for (int kk = 0; kk < D / 16; ++kk) {
    uint32_t left[4];
    load_left<D>(left, x, kk);
#pragma unroll
    for (int j = 0; j < kCount / 8; ++j) {
      const bf16* p = y + 8 * j * MmaTiling<D>::kRow + 16 * kk;
      multiply_add(s[j], left, {word(p), word(p + 8)});
    }
  }
}

// acc += p x, where a lane holds p (16, kCount) as a result and needs it as a left side, which is the same words; x as
// load_columns wants its rows
template <int D, int kCount>
__device__ __forceinline__ void mma_add(float (&acc)[D / 8][4], const float (&p)[kCount / 8][4], const bf16* x) {
#pragma unroll
  for (int jj = 0; jj < kCount / 16; ++jj) {
    const float(&lo)[4] = p[2 * jj], (&hi)[4] = p[2 * jj + 1];
    const uint32_t left[4] = {two_bf16(lo[0], lo[1]), two_bf16(lo[2], lo[3]), two_bf16(hi[0], hi[1]), two_bf16(hi[2], hi[3])};
#pragma unroll
    for (int d = 0; d < D / 8; d += 2) {
      uint32_t w[4];
      load_columns(w, x + 16 * jj * MmaTiling<D>::kRow + 8 * d);
      multiply_add(acc[d], left, {w[0], w[1]}), multiply_add(acc[d + 1], left, {w[2], w[3]});
    }
  }
}

__device__ __forceinline__ float sum4(float v) {  // over the 4 threads that share a row
  v += __shfl_xor_sync(0xffffffffu, v, 1);
  return v + __shfl_xor_sync(0xffffffffu, v, 2);
}
__device__ __forceinline__ float max4(float v) {
  v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 1));
  return fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 2));
}

template <int D>
__global__ void __launch_bounds__(128, 1)
    attention_mma_kernel(bf16* __restrict__ o, float* __restrict__ lse, const bf16* __restrict__ q, const bf16* __restrict__ k,
                         const bf16* __restrict__ v, int64_t ldq, int64_t ldkv, const int32_t* __restrict__ tiles,
                         const int32_t* __restrict__ q_at, const int32_t* __restrict__ k_at,
                         const int32_t* __restrict__ limit, int H, float scale) {
  using S = MmaTiling<D>;
  DUET_DYNAMIC_SHARED(bf16, ks);
  bf16* vs = ks + S::kKeys * S::kRow;
  const int b = tiles[2 * blockIdx.x], n0 = tiles[2 * blockIdx.x + 1], end = q_at[b + 1], h = blockIdx.y;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int columns = lane % 16 * S::kRow + lane / 16 * 8, mine = n0 + int(threadIdx.x);
  const int keys = int(block_reduce<true>(int(threadIdx.x) < S::kTile && mine < end ? float(limit[mine]) : 0.0f));

  // Rows 0 and 1 of a thread: g and g + 8 of its warp's.
  const int n[2] = {n0 + 16 * warp + g, n0 + 16 * warp + g + 8};
  const int sees[2] = {n[0] < end ? limit[n[0]] : 0, n[1] < end ? limit[n[1]] : 0};
  uint32_t qs[D / 16][4];
#pragma unroll
  for (int kk = 0; kk < D / 16; ++kk)
#pragma unroll
    for (int i = 0; i < 4; ++i)
      qs[kk][i] = n[i % 2] < end ? word(q + n[i % 2] * ldq + h * D + 16 * kk + 2 * t + 8 * (i / 2)) : 0;
  float acc[D / 8][4] = {}, most[2] = {-INFINITY, -INFINITY}, sum[2] = {};

  for (int j0 = 0; j0 < keys; j0 += S::kKeys) {
    __syncthreads();
    load_rows<D, S::kKeys>(ks, k + h * D, ldkv, k_at[b] + j0, k_at[b] + keys);
    load_rows<D, S::kKeys>(vs, v + h * D, ldkv, k_at[b] + j0, k_at[b] + keys);
    __syncthreads();
    float s[S::kKeys / 8][4] = {};
#pragma unroll
    for (int j = 0; j < S::kKeys / 8; ++j)
#pragma unroll
      for (int kk = 0; kk < D / 16; ++kk) {
        const bf16* key = ks + (8 * j + g) * S::kRow + 16 * kk + 2 * t;
        multiply_add(s[j], qs[kk], {word(key), word(key + 8)});
      }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float m = -INFINITY, add = 0;
#pragma unroll
      for (int j = 0; j < S::kKeys / 8; ++j)
#pragma unroll
        for (int c = 0; c < 2; ++c) {
          float& x = s[j][2 * r + c];
          x = j0 + 8 * j + 2 * t + c < sees[r] ? x * scale : -INFINITY;
          m = fmaxf(m, x);
        }
      m = fmaxf(most[r], max4(m));
      const float keep = m == -INFINITY ? 1.0f : __expf(most[r] - m);
#pragma unroll
      for (int j = 0; j < S::kKeys / 8; ++j)
#pragma unroll
        for (int c = 0; c < 2; ++c) {
          float& x = s[j][2 * r + c];
          x = x == -INFINITY ? 0.0f : __expf(x - m);
          add += x;
        }
      sum[r] = sum[r] * keep + sum4(add), most[r] = m;
#pragma unroll
      for (int d = 0; d < D / 8; ++d) acc[d][2 * r] *= keep, acc[d][2 * r + 1] *= keep;
    }
    mma_add<D, S::kKeys>(acc, s, vs + columns);
  }
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    if (n[r] >= end) continue;
    if (t == 0) lse[int64_t(n[r]) * H + h] = most[r] + logf(sum[r]);
    bf16* to = o + (int64_t(n[r]) * H + h) * D + 2 * t;
#pragma unroll
    for (int d = 0; d < D / 8; ++d)
      *reinterpret_cast<uint32_t*>(to + 8 * d) = two_bf16(acc[d][2 * r] / sum[r], acc[d][2 * r + 1] / sum[r]);
  }
}

// P and dS = P (dP - delta) / sqrt(D) of one score, which a query sees or not.
__device__ __forceinline__ void mma_score_grad(float& p, float& ds, bool seen, float lse, float delta, float scale) {
  p = seen ? __expf(p * scale - lse) : 0.0f;
  ds = p * (ds - delta) * scale;
}

template <int D>
__global__ void __launch_bounds__(128, 1)
    dq_mma_kernel(bf16* __restrict__ dqkv, const bf16* __restrict__ dout, const float* __restrict__ lse,
                  const float* __restrict__ delta, const bf16* __restrict__ qkv, const int32_t* __restrict__ tiles,
                  const int32_t* __restrict__ at, const int32_t* __restrict__ limit, int H, float scale) {
  using S = MmaTiling<D>;
  DUET_DYNAMIC_SHARED(bf16, qs);
  bf16 *gs = qs + S::kTile * S::kRow, *ks = gs + S::kTile * S::kRow, *vs = ks + S::kStep * S::kRow;
  const int b = tiles[2 * blockIdx.x], n0 = tiles[2 * blockIdx.x + 1], end = at[b + 1], h = blockIdx.y;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int left = (16 * warp + g) * S::kRow + 2 * t, right = g * S::kRow + 2 * t, columns = lane % 16 * S::kRow + lane / 16 * 8;
  const int64_t C = int64_t(H) * D;
  const int mine = n0 + int(threadIdx.x);
  const int keys = int(block_reduce<true>(int(threadIdx.x) < S::kTile && mine < end ? float(limit[mine]) : 0.0f));
  load_rows<D, S::kTile>(qs, qkv + h * D, 3 * C, n0, end), load_rows<D, S::kTile>(gs, dout + h * D, C, n0, end);
  float dq[D / 8][4] = {}, l[2], dl[2];
  int sees[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int n = n0 + 16 * warp + g + 8 * r;
    sees[r] = n < end ? limit[n] : 0, l[r] = n < end ? lse[int64_t(n) * H + h] : 0, dl[r] = n < end ? delta[int64_t(n) * H + h] : 0;
  }
  for (int j0 = 0; j0 < keys; j0 += S::kStep) {
    __syncthreads();
    load_rows<D, S::kStep>(ks, qkv + C + h * D, 3 * C, at[b] + j0, at[b] + keys);
    load_rows<D, S::kStep>(vs, qkv + 2 * C + h * D, 3 * C, at[b] + j0, at[b] + keys);
    __syncthreads();
    float p[S::kStep / 8][4] = {}, ds[S::kStep / 8][4] = {};
    mma_dots<D, S::kStep>(p, qs + left, ks + right), mma_dots<D, S::kStep>(ds, gs + left, vs + right);
#pragma unroll
    for (int j = 0; j < S::kStep / 8; ++j)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        mma_score_grad(p[j][i], ds[j][i], j0 + 8 * j + 2 * t + i % 2 < sees[i / 2], l[i / 2], dl[i / 2], scale);
    mma_add<D, S::kStep>(dq, ds, ks + columns);
  }
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int n = n0 + 16 * warp + g + 8 * r;
    if (n >= end) continue;
    bf16* to = dqkv + int64_t(n) * 3 * C + h * D + 2 * t;
#pragma unroll
    for (int d = 0; d < D / 8; ++d) *reinterpret_cast<uint32_t*>(to + 8 * d) = two_bf16(dq[d][2 * r], dq[d][2 * r + 1]);
  }
}

template <int D>
__global__ void __launch_bounds__(128, 1)
    dkv_mma_kernel(bf16* __restrict__ dqkv, const bf16* __restrict__ dout, const float* __restrict__ lse,
                   const float* __restrict__ delta, const bf16* __restrict__ qkv, const int32_t* __restrict__ tiles,
                   const int32_t* __restrict__ at, const int32_t* __restrict__ limit, int H, float scale) {
  using S = MmaTiling<D>;
  DUET_DYNAMIC_SHARED(bf16, ks);
  bf16 *vs = ks + S::kTile * S::kRow, *qs = vs + S::kTile * S::kRow, *gs = qs + S::kStep * S::kRow;
  const int b = tiles[2 * blockIdx.x], k0 = tiles[2 * blockIdx.x + 1], end = at[b + 1], h = blockIdx.y;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int left = (16 * warp + g) * S::kRow + 2 * t, right = g * S::kRow + 2 * t, columns = lane % 16 * S::kRow + lane / 16 * 8;
  const int key = k0 - at[b] + 16 * warp + g;  // of the sequence; and the one 8 on
  const int64_t C = int64_t(H) * D;
  load_rows<D, S::kTile>(ks, qkv + C + h * D, 3 * C, k0, end), load_rows<D, S::kTile>(vs, qkv + 2 * C + h * D, 3 * C, k0, end);
  float dk[D / 8][4] = {}, dv[D / 8][4] = {};
  for (int n0 = at[b]; n0 < end; n0 += S::kStep) {
    __syncthreads();
    load_rows<D, S::kStep>(qs, qkv + h * D, 3 * C, n0, end), load_rows<D, S::kStep>(gs, dout + h * D, C, n0, end);
    __syncthreads();
    // Transposed: a row is a key's, a column a query's.
    float p[S::kStep / 8][4] = {}, ds[S::kStep / 8][4] = {};
    mma_dots<D, S::kStep>(p, ks + left, qs + right), mma_dots<D, S::kStep>(ds, vs + left, gs + right);
#pragma unroll
    for (int j = 0; j < S::kStep / 8; ++j)
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        const int n = n0 + 8 * j + 2 * t + c, sees = n < end ? limit[n] : 0;
        const float l = n < end ? lse[int64_t(n) * H + h] : 0, dl = n < end ? delta[int64_t(n) * H + h] : 0;
        mma_score_grad(p[j][c], ds[j][c], key < sees, l, dl, scale);
        mma_score_grad(p[j][c + 2], ds[j][c + 2], key + 8 < sees, l, dl, scale);
      }
    mma_add<D, S::kStep>(dv, p, gs + columns), mma_add<D, S::kStep>(dk, ds, qs + columns);
  }
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int n = k0 + 16 * warp + g + 8 * r;
    if (n >= end) continue;
    bf16* to = dqkv + int64_t(n) * 3 * C + C + h * D + 2 * t;
#pragma unroll
    for (int d = 0; d < D / 8; ++d) {
      *reinterpret_cast<uint32_t*>(to + 8 * d) = two_bf16(dk[d][2 * r], dk[d][2 * r + 1]);
      *reinterpret_cast<uint32_t*>(to + C + 8 * d) = two_bf16(dv[d][2 * r], dv[d][2 * r + 1]);
    }
  }
}

}  // namespace duet::cuda
