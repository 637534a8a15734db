#include "kernels/rowwise.h"
#include "kernels/table.h"
#include "kernels/vec.h"

namespace duet::cpu {

void gather(float* y, const float* a, const float* b, const int32_t* from, int64_t N, int64_t C) {
  for_rows(N, C,
           [&](int64_t n) { std::copy_n(from[n] >= 0 ? a + from[n] * C : b + (-int64_t(from[n]) - 1) * C, C, y + n * C); });
}

void gather_bwd(float* da, float* db, const float* dy, const int32_t* from, int64_t N, int64_t C) {
  for_columns(C, [&](int64_t c0, int64_t c1) {
    for (int64_t n = 0; n < N; ++n) {
      float* d = from[n] >= 0 ? (da ? da + from[n] * C : nullptr) : (db ? db + (-int64_t(from[n]) - 1) * C : nullptr);
      if (!d) continue;
      const float* g = dy + n * C;
      for (int64_t c = c0; c < c1; ++c) d[c] += g[c];
    }
  });
}

void segment_mean(float* y, const float* x, const int32_t* at, int64_t B, int64_t C) {
  for_rows(B, C * 64, [&](int64_t b) {
    float* yb = y + b * C;
    std::fill_n(yb, C, 0.0f);
    for (int64_t n = at[b]; n < at[b + 1]; ++n)
      for (int64_t c = 0; c < C; ++c) yb[c] += x[n * C + c];
    const float inv = 1 / float(std::max(1, at[b + 1] - at[b]));
    for (int64_t c = 0; c < C; ++c) yb[c] *= inv;
  });
}

void segment_mean_bwd(float* dx, bool add, const float* dy, const int32_t* at, int64_t B, int64_t C) {
  for_rows(B, C * 64, [&](int64_t b) {
    const float inv = 1 / float(std::max(1, at[b + 1] - at[b]));
    for (int64_t n = at[b]; n < at[b + 1]; ++n)
      for (int64_t c = 0; c < C; ++c) dx[n * C + c] = (add ? dx[n * C + c] : 0) + dy[b * C + c] * inv;
  });
}

void column_sum(float* y, const float* x, int64_t N, int64_t C) {
  for_columns(C, [&](int64_t c0, int64_t c1) {
    for (int64_t n = 0; n < N; ++n)
      for (int64_t c = c0; c < c1; ++c) y[c] += x[n * C + c];
  });
}

void add(float* y, const float* a, const float* b, int64_t n) {
  for_pieces(n, [&](int64_t i0, int64_t i1) {
    for (int64_t i = i0; i < i1; ++i) y[i] = a[i] + b[i];
  });
}

}  // namespace duet::cpu
