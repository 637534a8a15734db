#include "kernels/rope.h"

#include <map>
#include <mutex>

#include "kernels/sums.cuh"

namespace duet::cuda {
namespace {

constexpr int kWarps = 8, kTokens = 16;  // of a block, backward

// Lane l has pairs l, l + 32 ... of a head's D / 2: pair p is (i, i + Q) of half p / Q, i = p % Q.
struct Pair {
  int a, b;  // places in the head
  int half, i;
  __device__ Pair(int p, int Q) : half(p / Q), i(p % Q) { a = half * 2 * Q + i, b = a + Q; }
};

template <class T>
__global__ void qk_rope_kernel(T* __restrict__ y, float* __restrict__ rstd, const T* __restrict__ qkv,
                               const float* __restrict__ gain_q, const float* __restrict__ gain_k,
                               const int32_t* __restrict__ pos, const float* __restrict__ angles, int64_t heads, int H,
                               int D) {
  const int64_t w = int64_t(blockIdx.x) * kWarps + threadIdx.y;  // head of q, k or v of a token
  if (w >= heads) return;
  const int64_t n = w / (3 * H);
  const int h = int(w % (3 * H)), Q = D / 4;
  const T* x = qkv + w * D;
  T* o = y + w * D;
  if (h >= 2 * H) {
    for (int d = threadIdx.x; d < D; d += 32) o[d] = x[d];
    return;
  }
  float sum = 0;
  for (int d = threadIdx.x; d < D; d += 32) sum += to_float(x[d]) * to_float(x[d]);
  const float r = 1 / sqrtf(warp_sum(sum) / float(D) + 1e-6f);
  if (threadIdx.x == 0) rstd[n * 2 * H + h] = r;
  const float* gain = h < H ? gain_q : gain_k;
  for (int p = threadIdx.x; p < D / 2; p += 32) {
    const Pair at(p, Q);
    const float* angle = angles + int64_t(pos[2 * n + at.half]) * 2 * Q;
    const float u = to_float(x[at.a]) * r * gain[at.a], v = to_float(x[at.b]) * r * gain[at.b];
    const float c = angle[at.i], s = angle[Q + at.i];
    set(o[at.a], u * c - v * s), set(o[at.b], u * s + v * c);
  }
}

// partial (blocks, 2D): of each kTokens tokens the gradient of the gains of q, then of k
template <class T, int kPairs>
__global__ void qk_rope_bwd_kernel(T* __restrict__ dqkv, float* __restrict__ partial, const T* __restrict__ dy,
                                   const T* __restrict__ qkv, const float* __restrict__ rstd,
                                   const float* __restrict__ gain_q, const float* __restrict__ gain_k,
                                   const int32_t* __restrict__ pos, const float* __restrict__ angles, int N, int H,
                                   int D) {
  DUET_DYNAMIC_SHARED(float, sums);  // (kWarps, 2D)
  const int Q = D / 4;
  float gq[2 * kPairs] = {}, gk[2 * kPairs] = {};
  for (int n = blockIdx.x * kTokens + threadIdx.y; n < min(N, int(blockIdx.x + 1) * kTokens); n += kWarps) {
    const int64_t base = int64_t(n) * 3 * H * D;
    for (int h = 0; h < 2 * H; ++h) {
      const T *x = qkv + base + h * D, *g = dy + base + h * D;
      const float* gain = h < H ? gain_q : gain_k;
      const float r = rstd[int64_t(n) * 2 * H + h];
      float ga[kPairs], gb[kPairs], xa[kPairs], xb[kPairs], m = 0;
#pragma unroll
      for (int j = 0; j < kPairs; ++j) {
        const int p = threadIdx.x + 32 * j;
        ga[j] = gb[j] = xa[j] = xb[j] = 0;
        if (p >= D / 2) continue;
        const Pair at(p, Q);
        const float* angle = angles + int64_t(pos[2 * n + at.half]) * 2 * Q;
        const float c = angle[at.i], s = angle[Q + at.i], u = to_float(g[at.a]), v = to_float(g[at.b]);
        const float ua = u * c + v * s, ub = v * c - u * s;  // turned back
        xa[j] = to_float(x[at.a]), xb[j] = to_float(x[at.b]);
        if (h < H)
          gq[2 * j] += ua * xa[j] * r, gq[2 * j + 1] += ub * xb[j] * r;
        else
          gk[2 * j] += ua * xa[j] * r, gk[2 * j + 1] += ub * xb[j] * r;
        ga[j] = ua * gain[at.a], gb[j] = ub * gain[at.b];
        m += ga[j] * xa[j] + gb[j] * xb[j];
      }
      m = warp_sum(m) * r * r / float(D);
#pragma unroll
      for (int j = 0; j < kPairs; ++j) {
        const int p = threadIdx.x + 32 * j;
        if (p >= D / 2) continue;
        const Pair at(p, Q);
        set(dqkv[base + h * D + at.a], r * (ga[j] - xa[j] * m)), set(dqkv[base + h * D + at.b], r * (gb[j] - xb[j] * m));
      }
    }
    for (int d = threadIdx.x; d < H * D; d += 32) dqkv[base + 2 * H * D + d] = dy[base + 2 * H * D + d];
  }
#pragma unroll
  for (int j = 0; j < kPairs; ++j) {
    const int p = threadIdx.x + 32 * j;
    if (p >= D / 2) continue;
    const Pair at(p, Q);
    float* s = sums + threadIdx.y * 2 * D;
    s[at.a] = gq[2 * j], s[at.b] = gq[2 * j + 1], s[D + at.a] = gk[2 * j], s[D + at.b] = gk[2 * j + 1];
  }
  __syncthreads();
  for (int d = threadIdx.y * 32 + threadIdx.x; d < 2 * D; d += 32 * kWarps) {
    float s = 0;
    for (int w = 0; w < kWarps; ++w) s += sums[w * 2 * D + d];
    partial[int64_t(blockIdx.x) * 2 * D + d] = s;
  }
}

Tensor angles_on_card(const Tensor& pos, float theta, int64_t D) {
  CHECK(D % 4 == 0 && D <= 256, "head size ", D, " must be a multiple of 4, at most 256");
  const auto table = rope_angles(count_positions(pos), theta, D / 4);
  static std::mutex mutex;
  static auto* kept = new std::map<std::pair<float, int64_t>, Tensor>;  // outlives the program's end
  std::lock_guard l(mutex);
  Tensor& t = (*kept)[{theta, D}];
  static auto* smaller = new std::vector<Tensor>;  // which recordings may still read
  if (!t || t.count() < int64_t(table->size())) {
    if (t) smaller->push_back(t);
    t = Tensor::copy_of({int64_t(table->size())}, *table).to(Device::cuda);
  }
  return t;
}

void qk_rope(const Tensor& y, const Tensor& rstd, const Tensor& qkv, const Tensor& gain_q, const Tensor& gain_k,
             const Tensor& pos, float theta) {
  const int64_t D = gain_q.count(), N = qkv.shape().rows(), H = qkv.shape().last() / (3 * D);
  const Tensor a = angles_on_card(pos, theta, D), p = on_card(pos);
  with_type(qkv.dtype(), [&](auto zero) {
    using T = decltype(zero);
    DUET_LAUNCH((qk_rope_kernel<T>), dim3(blocks(N * 3 * H, kWarps)), dim3(32, kWarps), 0, y.data<T>(), rstd.data(),
                qkv.data<T>(), gain_q.data(), gain_k.data(), p.data<int32_t>(), a.data(), N * 3 * H, int(H), int(D));
  });
}

void qk_rope_bwd(const Tensor& dqkv, const Tensor& dgain_q, const Tensor& dgain_k, const Tensor& dy, const Tensor& qkv,
                 const Tensor& rstd, const Tensor& gain_q, const Tensor& gain_k, const Tensor& pos, float theta) {
  const int64_t D = gain_q.count(), N = qkv.shape().rows(), H = qkv.shape().last() / (3 * D);
  const Tensor a = angles_on_card(pos, theta, D), p = on_card(pos);
  const unsigned grid = blocks(N, kTokens);
  const Tensor partial = card_floats({int64_t(grid), 2 * D});
  with_type(qkv.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto run = [&](auto pairs) {
      DUET_LAUNCH((qk_rope_bwd_kernel<T, pairs()>), dim3(grid), dim3(32, kWarps), size_t(kWarps * 2 * D) * 4,
                  dqkv.data<T>(), partial.data(), dy.data<T>(), qkv.data<T>(), rstd.data(), gain_q.data(), gain_k.data(),
                  p.data<int32_t>(), a.data(), int(N), int(H), int(D));
    };
    if (D <= 64)
      run(std::integral_constant<int, 1>());
    else if (D <= 128)
      run(std::integral_constant<int, 2>());
    else
      run(std::integral_constant<int, 4>());
  });
  if (dgain_q) sum_columns(dgain_q.data(), partial.data(), 2 * D, grid, D);
  if (dgain_k) sum_columns(dgain_k.data(), partial.data() + D, 2 * D, grid, D);
}

}  // namespace

void enter_rope(Kernels& k) { k.qk_rope = qk_rope, k.qk_rope_bwd = qk_rope_bwd; }

}  // namespace duet::cuda
