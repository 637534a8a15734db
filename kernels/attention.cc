// Fused attention: a block of query rows against a sequence's keys at a time; scores never exist for more than kBlock rows.
#include <limits>

#include "kernels/gemm.h"
#include "kernels/parallel.h"
#include "kernels/table.h"
#include "kernels/vec.h"

namespace duet::cpu {
namespace {

constexpr int64_t kBlock = 128;

// Row of scores -> probabilities in place; columns from `limit` on become 0. Returns log sum exp.
float softmax_row(float* s, int64_t limit, int64_t width, float scale) {
  float m = -std::numeric_limits<float>::infinity();
  for (int64_t j = 0; j < limit; ++j) m = std::max(m, s[j]);
  m *= scale;
  for (int64_t j = 0; j < limit; ++j) s[j] = fast_exp(s[j] * scale - m);
  for (int64_t j = limit; j < width; ++j) s[j] = 0;
  const float sum = sum_of(s, width), inv = 1 / sum;  // the zeros add nothing: the same sum for any width
  for (int64_t j = 0; j < limit; ++j) s[j] *= inv;
  return m + std::log(sum);
}

int64_t widest(const int32_t* limit, int64_t rows) {
  int64_t w = 0;
  for (int64_t i = 0; i < rows; ++i) w = std::max<int64_t>(w, limit[i]);
  return w;
}

}  // namespace

void attention(float* o, float* lse, const float* q, int64_t ldq, const float* k, const float* v, int64_t ldkv,
               Spans sp, int64_t H, int64_t D) {
  const float scale = 1 / std::sqrt(float(D));
  parallel_for(sp.B * H, [&](int64_t job) {
    const int64_t b = job / H, h = job % H, C = H * D;
    const float *kh = k + int64_t(sp.k_at[b]) * ldkv + h * D, *vh = v + int64_t(sp.k_at[b]) * ldkv + h * D;
    for (int64_t n0 = sp.q_at[b]; n0 < sp.q_at[b + 1]; n0 += kBlock) {
      const int64_t rows = std::min<int64_t>(kBlock, sp.q_at[b + 1] - n0), w = (widest(sp.limit + n0, rows) + 15) / 16 * 16;
      const int64_t keys = std::min<int64_t>(w, sp.k_at[b + 1] - sp.k_at[b]);
      float* s = scratch<float>(2, rows * w);
      gemm(s, w, {q + n0 * ldq + h * D, ldq}, {kh, ldkv, true}, rows, keys, D);
      for (int64_t i = 0; i < rows; ++i) lse[(n0 + i) * H + h] = softmax_row(s + i * w, sp.limit[n0 + i], w, scale);
      gemm(o + n0 * C + h * D, C, {s, w}, {vh, ldkv}, rows, D, keys);
    }
  });
}

// P = softmax(S), dP = dO V^T, dS = P (dP - rowsum(dO O)) / sqrt(D); dQ = dS K, dK = dS^T Q, dV = P^T dO
void attention_bwd(float* dqkv, const float* dout, const float* o, const float* lse, const float* qkv, Spans sp,
                   int64_t H, int64_t D) {
  const float scale = 1 / std::sqrt(float(D));
  parallel_for(sp.B * H, [&](int64_t job) {
    const int64_t b = job / H, h = job % H, C = H * D, ld = 3 * C, at = sp.q_at[b], T = sp.q_at[b + 1] - at;
    const float *q = qkv + at * ld + h * D, *k = q + C, *v = k + C;
    float *dq = dqkv + at * ld + h * D, *dk = dq + C, *dv = dk + C;
    const float *g = dout + at * C + h * D, *oh = o + at * C + h * D;
    for (int64_t t = 0; t < T; ++t) std::fill_n(dk + t * ld, D, 0.0f), std::fill_n(dv + t * ld, D, 0.0f);
    for (int64_t i0 = 0; i0 < T; i0 += kBlock) {
      const int64_t rows = std::min<int64_t>(kBlock, T - i0), w = widest(sp.limit + at + i0, rows);
      float *p = scratch<float>(2, rows * w), *ds = scratch<float>(3, rows * w);
      gemm(p, w, {q + i0 * ld, ld}, {k, ld, true}, rows, w, D);
      gemm(ds, w, {g + i0 * C, C}, {v, ld, true}, rows, w, D);
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t limit = sp.limit[at + i0 + i];
        const float l = lse[(at + i0 + i) * H + h], delta = dot(g + (i0 + i) * C, oh + (i0 + i) * C, D);
        float *pi = p + i * w, *di = ds + i * w;
        for (int64_t j = 0; j < limit; ++j) {
          pi[j] = fast_exp(pi[j] * scale - l);
          di[j] = pi[j] * (di[j] - delta) * scale;
        }
        for (int64_t j = limit; j < w; ++j) pi[j] = di[j] = 0;
      }
      gemm(dq + i0 * ld, ld, {ds, w}, {k, ld}, rows, D, w);
      gemm(dk, ld, {ds, w, true}, {q + i0 * ld, ld}, w, D, rows, {.accumulate = true});
      gemm(dv, ld, {p, w, true}, {g + i0 * C, C}, w, D, rows, {.accumulate = true});
    }
  });
}

}  // namespace duet::cpu
