#include "kernels/rowwise.h"
#include "kernels/table.h"
#include "kernels/vec.h"

namespace duet::cpu {

void gate_add(float* y, const float* x, const float* h, const float* mod, const int32_t* row, int64_t W, int64_t gate,
              int64_t N, int64_t C) {
  for_rows(N, C, [&](int64_t n) {
    const float *xn = x + n * C, *hn = h + n * C, *g = mod + row[n] * W + gate;
    float* yn = y + n * C;
    for (int64_t c = 0; c < C; ++c) yn[c] = xn[c] + hn[c] * g[c];
  });
}

void gate_add_bwd(float* dh, bool add, float* dmod, const float* dy, const float* h, const float* mod, const int32_t* row,
                  int64_t W, int64_t gate, int64_t N, int64_t C) {
  if (dh)
    for_rows(N, C, [&](int64_t n) {
      const float *dn = dy + n * C, *g = mod + row[n] * W + gate;
      float* d = dh + n * C;
      if (add)
        for (int64_t c = 0; c < C; ++c) d[c] += dn[c] * g[c];
      else
        for (int64_t c = 0; c < C; ++c) d[c] = dn[c] * g[c];
    });
  if (dmod)
    for_columns(C, [&](int64_t c0, int64_t c1) {
      for (int64_t n = 0; n < N; ++n) {
        const float *dn = dy + n * C, *hn = h + n * C;
        float* g = dmod + row[n] * W + gate;
        for (int64_t c = c0; c < c1; ++c) g[c] += dn[c] * hn[c];
      }
    });
}

}  // namespace duet::cpu
