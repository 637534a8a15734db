// Attention's forward pass on tensor cores, for bf16: as attention.cu's, but a warp has 16 queries and multiplies by mma.cuh;
// scores and sums stay f32 in registers, and the probabilities are rounded to bf16 for their product with the values.
#pragma once
#include "kernels/mma.cuh"

namespace duet::cuda {

template <int D>
struct MmaTiling {
  static constexpr int kWarps = 4, kTile = 16 * kWarps, kKeys = 64;
  static constexpr int kRow = D + 8;                          // + 8: banks
  static constexpr size_t kBytes = 2 * kKeys * kRow * sizeof(bf16);  // keys and values
};

// Rows first .. first + kKeys of x into shared memory; zeros from `end` on, since 0 times what lies there must be 0.
template <int D>
__device__ __forceinline__ void load_keys(bf16* to, const bf16* x, int64_t ld, int first, int end) {
  using S = MmaTiling<D>;
  for (int i = threadIdx.x; i < S::kKeys * D / 8; i += 32 * S::kWarps) {
    const int row = i / (D / 8), d = i % (D / 8) * 8;
    Pack<uint32_t, 4> w{};
    if (first + row < end) w = *reinterpret_cast<const Pack<uint32_t, 4>*>(x + int64_t(first + row) * ld + d);
    *reinterpret_cast<Pack<uint32_t, 4>*>(to + row * S::kRow + d) = w;
  }
}

__device__ __forceinline__ uint32_t word(const bf16* p) { return *reinterpret_cast<const uint32_t*>(p); }

__device__ __forceinline__ float sum4(float v) {  // over the 4 threads that share a row
  v += __shfl_xor_sync(0xffffffffu, v, 1);
  return v + __shfl_xor_sync(0xffffffffu, v, 2);
}
__device__ __forceinline__ float max4(float v) {
  v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 1));
  return fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 2));
}

template <int D>
__global__ void __launch_bounds__(128)
    attention_mma_kernel(bf16* __restrict__ o, float* __restrict__ lse, const bf16* __restrict__ q, const bf16* __restrict__ k,
                         const bf16* __restrict__ v, int64_t ldq, int64_t ldkv, const int32_t* __restrict__ tiles,
                         const int32_t* __restrict__ q_at, const int32_t* __restrict__ k_at,
                         const int32_t* __restrict__ limit, int H, float scale) {
  using S = MmaTiling<D>;
  DUET_DYNAMIC_SHARED(bf16, ks);
  bf16* vs = ks + S::kKeys * S::kRow;
  const int b = tiles[2 * blockIdx.x], n0 = tiles[2 * blockIdx.x + 1], end = q_at[b + 1], h = blockIdx.y;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int mine = n0 + int(threadIdx.x);
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
    load_keys<D>(ks, k + h * D, ldkv, k_at[b] + j0, k_at[b] + keys);
    load_keys<D>(vs, v + h * D, ldkv, k_at[b] + j0, k_at[b] + keys);
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
    // What a lane holds of the scores is what it needs of them as the left side of the next product.
#pragma unroll
    for (int jj = 0; jj < S::kKeys / 16; ++jj) {
      const float(&lo)[4] = s[2 * jj], (&hi)[4] = s[2 * jj + 1];
      const uint32_t p[4] = {two_bf16(lo[0], lo[1]), two_bf16(lo[2], lo[3]), two_bf16(hi[0], hi[1]), two_bf16(hi[2], hi[3])};
#pragma unroll
      for (int d = 0; d < D / 8; d += 2) {
        uint32_t w[4];
        load_columns(w, vs + (16 * jj + lane % 16) * S::kRow + 8 * (d + lane / 16));
        multiply_add(acc[d], p, {w[0], w[1]}), multiply_add(acc[d + 1], p, {w[2], w[3]});
      }
    }
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

}  // namespace duet::cuda
