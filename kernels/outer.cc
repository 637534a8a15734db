#include "kernels/rowwise.h"
#include "kernels/table.h"

namespace duet::cpu {

void outer_sum(float* y, const float* x, int64_t N, int64_t K, int64_t A, int64_t G) {
  for_rows(N, A * G, [&](int64_t n) {
    float* yn = y + n * A * G;
    std::fill_n(yn, A * G, 0.0f);
    for (int64_t k = 0; k < K; ++k) {
      const float *mask = x + (n * K + k) * (A + G), *colour = mask + A;
      for (int64_t a = 0; a < A; ++a)
        for (int64_t g = 0; g < G; ++g) yn[a * G + g] += mask[a] * colour[g];
    }
  });
}

void outer_sum_bwd(float* dx, const float* dy, const float* x, int64_t N, int64_t K, int64_t A, int64_t G) {
  for_rows(N, A * G, [&](int64_t n) {
    const float* d = dy + n * A * G;
    for (int64_t k = 0; k < K; ++k) {
      const float *mask = x + (n * K + k) * (A + G), *colour = mask + A;
      float *d_mask = dx + (n * K + k) * (A + G), *d_colour = d_mask + A;
      float sums[16] = {};
      for (int64_t a = 0; a < A; ++a) {
        float s = 0;
        for (int64_t g = 0; g < G; ++g) s += d[a * G + g] * colour[g], sums[g] += d[a * G + g] * mask[a];
        d_mask[a] = s;
      }
      std::copy_n(sums, G, d_colour);
    }
  });
}

}  // namespace duet::cpu
