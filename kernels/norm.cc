#include "kernels/rowwise.h"
#include "kernels/table.h"
#include "kernels/vec.h"

namespace duet::cpu {

void norm_mod(float* y, float* rstd, const float* x, const float* mod, const int32_t* row, int64_t W, int64_t scale,
              int64_t shift, int64_t N, int64_t C) {
  for_rows(N, C, [&](int64_t n) {
    const float *xn = x + n * C, *s = mod + row[n] * W + scale, *b = mod + row[n] * W + shift;
    const float r = 1 / std::sqrt(dot(xn, xn, C) / float(C) + 1e-6f);
    rstd[n] = r;
    float* yn = y + n * C;
    for (int64_t c = 0; c < C; ++c) yn[c] = xn[c] * r * (1 + s[c]) + b[c];
  });
}

// With xh = x rstd and g = dy (1 + scale):  dx = rstd (g - xh mean(g xh))
void norm_mod_bwd(float* dx, bool add, float* dmod, const float* dy, const float* x, const float* rstd, const float* mod,
                  const int32_t* row, int64_t W, int64_t scale, int64_t shift, int64_t N, int64_t C) {
  if (dx)
    for_rows(N, C, [&](int64_t n) {
      const float *xn = x + n * C, *g = dy + n * C, *s = mod + row[n] * W + scale;
      const float r = rstd[n];
      v16 acc{};
      int64_t c = 0;
      for (; c + 16 <= C; c += 16) acc += load16(g + c) * (1 + load16(s + c)) * load16(xn + c);
      float m = sum16(acc);
      for (; c < C; ++c) m += g[c] * (1 + s[c]) * xn[c];
      m *= r * r / float(C);
      float* d = dx + n * C;
      if (add)
        for (c = 0; c < C; ++c) d[c] += r * (g[c] * (1 + s[c]) - xn[c] * m);
      else
        for (c = 0; c < C; ++c) d[c] = r * (g[c] * (1 + s[c]) - xn[c] * m);
    });
  if (dmod)
    for_columns(C, [&](int64_t c0, int64_t c1) {
      for (int64_t n = 0; n < N; ++n) {
        const float *xn = x + n * C, *g = dy + n * C;
        float *ds = dmod + row[n] * W + scale, *db = dmod + row[n] * W + shift;
        const float r = rstd[n];
        for (int64_t c = c0; c < c1; ++c) ds[c] += g[c] * xn[c] * r, db[c] += g[c];
      }
    });
}

}  // namespace duet::cpu
