#include "kernels/rowwise.h"
#include "kernels/table.h"
#include "kernels/vec.h"

namespace duet::cpu {

void swiglu(float* y, const float* x, int64_t N, int64_t F) {
  for_rows(N, 2 * F, [&](int64_t n) {
    const float *a = x + n * 2 * F, *b = a + F;
    float* yn = y + n * F;
    for (int64_t i = 0; i < F; ++i) yn[i] = a[i] * sigmoid(a[i]) * b[i];
  });
}

void swiglu_bwd(float* dx, const float* dy, const float* x, int64_t N, int64_t F) {
  for_rows(N, 2 * F, [&](int64_t n) {
    const float *a = x + n * 2 * F, *b = a + F, *g = dy + n * F;
    float *da = dx + n * 2 * F, *db = da + F;
    for (int64_t i = 0; i < F; ++i) {
      const float s = sigmoid(a[i]), as = a[i] * s;
      da[i] = g[i] * b[i] * (s + as * (1 - s));
      db[i] = g[i] * as;
    }
  });
}

void silu(float* y, const float* x, int64_t n) {
  for_pieces(n, [&](int64_t i0, int64_t i1) {
    for (int64_t i = i0; i < i1; ++i) y[i] = x[i] * sigmoid(x[i]);
  });
}

void silu_bwd(float* dx, bool add, const float* dy, const float* x, int64_t n) {
  for_pieces(n, [&](int64_t i0, int64_t i1) {
    for (int64_t i = i0; i < i1; ++i) {
      const float s = sigmoid(x[i]), g = dy[i] * s * (1 + x[i] * (1 - s));
      dx[i] = add ? dx[i] + g : g;
    }
  });
}

}  // namespace duet::cpu
