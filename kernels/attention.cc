// Fused attention: a block of query rows against a sequence's keys at a time; scores never exist for more than kBlock rows.
#include <limits>

#include "kernels/gemm.h"
#include "kernels/parallel.h"
#include "kernels/table.h"
#include "kernels/vec.h"

namespace duet::cpu {
namespace {

constexpr int64_t kBlock = 128;

// Row of scores -> probabilities in place, for a row buffer `width` wide, a multiple of 16; columns from `limit` on become
// 0 and add nothing, so the result is the same for any width. Returns log sum exp.
float softmax_row(float* s, int64_t limit, int64_t width, float scale) {
  std::fill(s + limit, s + width, -std::numeric_limits<float>::infinity());
  f16v most = load16(s);
  for (int64_t j = 16; j < width; j += 16) {
    const f16v v = load16(s + j);
    most = v > most ? v : most;
  }
  const float m = max16(most) * scale;
  f16v sums{};
  for (int64_t j = 0; j < width; j += 16) {
    const f16v e = exp16(load16(s + j) * scale - m);
    store16(s + j, e);
    if (j + 16 <= limit) sums += e;
  }
  std::fill(s + limit, s + width, 0.0f);
  if (limit % 16) sums += load16(s + limit / 16 * 16);
  const float sum = sum16(sums), inv = 1 / sum;
  for (int64_t j = 0; j < limit; j += 16) store16(s + j, load16(s + j) * inv);
  return m + std::log(sum);
}

int64_t widest(const int32_t* limit, int64_t rows) {
  int64_t w = 0;
  for (int64_t i = 0; i < rows; ++i) w = std::max<int64_t>(w, limit[i]);
  return w;
}

}  // namespace

void attention(float* o, float* lse, const float* q, int64_t ldq, const float* k, const float* v, int64_t ldkv, Spans sp,
               int64_t H, int64_t D) {
  const float scale = 1 / std::sqrt(float(D));
  parallel_for(sp.B * H, [&](int64_t job) {
    const int64_t b = job / H, h = job % H, C = H * D;
    const float *kh = k + int64_t(sp.k_at[b]) * ldkv + h * D, *vh = v + int64_t(sp.k_at[b]) * ldkv + h * D;
    for (int64_t n0 = sp.q_at[b]; n0 < sp.q_at[b + 1]; n0 += kBlock) {
      const int64_t rows = std::min<int64_t>(kBlock, sp.q_at[b + 1] - n0);
      // Not one key more than is seen: behind it a cache may hold any bits, and 0 * NaN is NaN.
      const int64_t keys = widest(sp.limit + n0, rows), w = whole_columns(keys);
      float* s = scratch<float>(2, with_room(rows) * w);
      gemm(s, w, {q + n0 * ldq + h * D, ldq}, {kh, ldkv, true}, rows, keys, D, {.room = true});
      for (int64_t i = 0; i < rows; ++i) lse[(n0 + i) * H + h] = softmax_row(s + i * w, sp.limit[n0 + i], w, scale);
      gemm(o + n0 * C + h * D, C, {s, w}, {vh, ldkv}, rows, D, keys);
    }
  });
}

// P = softmax(S), dP = dO V^T, dS = P (dP - rowsum(dO O)) / sqrt(D); dQ = dS K, dK = dS^T Q, dV = P^T dO
void attention_bwd(float* dqkv, const float* dout, const float* o, const float* lse, const float* qkv, Spans sp, int64_t H,
                   int64_t D) {
  const float scale = 1 / std::sqrt(float(D));
  parallel_for(sp.B * H, [&](int64_t job) {
    const int64_t b = job / H, h = job % H, C = H * D, ld = 3 * C, at = sp.q_at[b], T = sp.q_at[b + 1] - at;
    const float *q = qkv + at * ld + h * D, *k = q + C, *v = k + C;
    float *dq = dqkv + at * ld + h * D, *dk = dq + C, *dv = dk + C;
    const float *g = dout + at * C + h * D, *oh = o + at * C + h * D;
    for (int64_t t = 0; t < T; ++t) std::fill_n(dk + t * ld, D, 0.0f), std::fill_n(dv + t * ld, D, 0.0f);
    for (int64_t i0 = 0; i0 < T; i0 += kBlock) {
      const int64_t rows = std::min<int64_t>(kBlock, T - i0), keys = widest(sp.limit + at + i0, rows);
      const int64_t w = whole_columns(keys);
      float *p = scratch<float>(2, with_room(rows) * w), *ds = scratch<float>(3, with_room(rows) * w);
      gemm(p, w, {q + i0 * ld, ld}, {k, ld, true}, rows, keys, D, {.room = true});
      gemm(ds, w, {g + i0 * C, C}, {v, ld, true}, rows, keys, D, {.room = true});
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t limit = sp.limit[at + i0 + i];
        const float l = lse[(at + i0 + i) * H + h], delta = dot(g + (i0 + i) * C, oh + (i0 + i) * C, D);
        float *pi = p + i * w, *di = ds + i * w;
        for (int64_t j = 0; j < limit; j += 16) {
          const f16v e = exp16(load16(pi + j) * scale - l);
          store16(pi + j, e);
          store16(di + j, e * (load16(di + j) - delta) * scale);
        }
        std::fill(pi + limit, pi + w, 0.0f), std::fill(di + limit, di + w, 0.0f);
      }
      gemm(dq + i0 * ld, ld, {ds, w}, {k, ld}, rows, D, keys);
      gemm(dk, ld, {ds, w, true}, {q + i0 * ld, ld}, keys, D, rows, {.accumulate = true});
      gemm(dv, ld, {p, w, true}, {g + i0 * C, C}, keys, D, rows, {.accumulate = true});
    }
  });
}

}  // namespace duet::cpu
