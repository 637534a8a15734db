#include "kernels/rowwise.h"
#include "kernels/table.h"
#include "kernels/vec.h"

namespace duet::cpu {

void swiglu(float* y, const float* x, int64_t N, int64_t F) {
  for_rows(N, 2 * F, [&](int64_t n) {
    const float *a = x + n * 2 * F, *b = a + F;
    float* yn = y + n * F;
    by16(F, [&](int64_t i, int k) {
      const f16v ai = load_some(a + i, k);
      store_some(yn + i, ai * sigmoid16(ai) * load_some(b + i, k), k);
    });
  });
}

void swiglu_bwd(float* dx, const float* dy, const float* x, int64_t N, int64_t F) {
  for_rows(N, 2 * F, [&](int64_t n) {
    const float *a = x + n * 2 * F, *b = a + F, *g = dy + n * F;
    float *da = dx + n * 2 * F, *db = da + F;
    by16(F, [&](int64_t i, int k) {
      const f16v ai = load_some(a + i, k), gi = load_some(g + i, k), s = sigmoid16(ai), as = ai * s;
      store_some(da + i, gi * load_some(b + i, k) * (s + as * (1.0f - s)), k);
      store_some(db + i, gi * as, k);
    });
  });
}

void silu(float* y, const float* x, int64_t n) {
  for_pieces(n, [&](int64_t i0, int64_t i1) {
    by16(i1 - i0, [&](int64_t i, int k) {
      const f16v v = load_some(x + i0 + i, k);
      store_some(y + i0 + i, v * sigmoid16(v), k);
    });
  });
}

void silu_bwd(float* dx, bool add, const float* dy, const float* x, int64_t n) {
  for_pieces(n, [&](int64_t i0, int64_t i1) {
    by16(i1 - i0, [&](int64_t j, int k) {
      const int64_t i = i0 + j;
      const f16v v = load_some(x + i, k), s = sigmoid16(v), g = load_some(dy + i, k) * s * (1.0f + v * (1.0f - s));
      store_some(dx + i, add ? load_some(dx + i, k) + g : g, k);
    });
  });
}

}  // namespace duet::cpu
