#include <atomic>
#include <cmath>
#include <vector>

#include "kernels/gemm.h"
#include "kernels/rowwise.h"
#include "kernels/table.h"
#include "kernels/vec.h"

namespace duet::cpu {

void adamw(float* w, float* m, float* v, const float* g, float lr, float beta1, float beta2, float eps, float decay,
           int64_t step, int64_t n) {
  const float c1 = 1 / float(1 - std::pow(double(beta1), double(step)));
  const float c2 = 1 / float(1 - std::pow(double(beta2), double(step)));
  for_pieces(n, [&](int64_t i0, int64_t i1) {
    for (int64_t i = i0; i < i1; ++i) {
      m[i] += (1 - beta1) * (g[i] - m[i]);
      v[i] += (1 - beta2) * (g[i] * g[i] - v[i]);
      w[i] -= lr * (m[i] * c1 / (std::sqrt(v[i] * c2) + eps) + decay * w[i]);
    }
  });
}

double square_sum(const float* x, int64_t n) {
  constexpr int64_t kPiece = 16384;
  std::vector<double> part(size_t((n + kPiece - 1) / kPiece));
  for_pieces(n, [&](int64_t i0, int64_t i1) { part[size_t(i0 / kPiece)] = dot(x + i0, x + i0, i1 - i0); });
  double s = 0;
  for (double p : part) s += p;
  return s;
}

bool all_finite(const float* x, int64_t n) {
  std::atomic<bool> ok{true};
  for_pieces(n, [&](int64_t i0, int64_t i1) {
    uint32_t worst = 0;
    for (int64_t i = i0; i < i1; ++i) worst = std::max(worst, std::bit_cast<uint32_t>(x[i]) & 0x7fffffffu);
    if (worst >= 0x7f800000u) ok = false;
  });
  return ok;
}

void lerp(float* y, const float* x, float weight, int64_t n) {
  for_pieces(n, [&](int64_t i0, int64_t i1) {
    for (int64_t i = i0; i < i1; ++i) y[i] += weight * (x[i] - y[i]);
  });
}

// X <- a X + (b A + c A^2) X with A = X X^T, on the side where A is smaller
void newton_schulz(float* g, int64_t rows, int64_t cols) {
  constexpr float a = 3.4445f, b = -4.7750f, c = 2.0315f;
  const int64_t n = std::min(rows, cols);
  const bool wide = rows <= cols;
  const float inv = 1 / float(std::sqrt(square_sum(g, rows * cols)) + 1e-7);
  for_pieces(rows * cols, [&](int64_t i0, int64_t i1) {
    for (int64_t i = i0; i < i1; ++i) g[i] *= inv;
  });
  Tensor A({n, n}), P({n, n}), X({rows, cols});
  for (int step = 0; step < 5; ++step) {
    const Mat x{g, cols}, xt{g, cols, true};
    if (wide) gemm(A.data(), n, x, xt, n, n, cols);
    else gemm(A.data(), n, xt, x, n, n, rows);
    gemm(P.data(), n, {A.data(), n}, {A.data(), n}, n, n, n);
    float *p = P.data(), *q = A.data();
    for_pieces(n * n, [&](int64_t i0, int64_t i1) {
      for (int64_t i = i0; i < i1; ++i) p[i] = c * p[i] + b * q[i];
    });
    if (wide) gemm(X.data(), cols, {p, n}, x, rows, cols, n);
    else gemm(X.data(), cols, x, {p, n}, rows, cols, n);
    float* y = X.data();
    for_pieces(rows * cols, [&](int64_t i0, int64_t i1) {
      for (int64_t i = i0; i < i1; ++i) g[i] = a * g[i] + y[i];
    });
  }
}

}  // namespace duet::cpu
