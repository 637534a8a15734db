#include <vector>

#include "kernels/rowwise.h"
#include "kernels/table.h"
#include "kernels/vec.h"

namespace duet::cpu {

void cross_entropy(float* nll, float* lse, const float* logits, const int32_t* target, int64_t N, int64_t V) {
  for_rows(N, V, [&](int64_t n) {
    const float* z = logits + n * V;
    float m = z[0];
    for (int64_t i = 1; i < V; ++i) m = std::max(m, z[i]);
    f16v acc{};
    int64_t i = 0;
    for (; i + 16 <= V; i += 16) acc += exp16(load16(z + i) - m);
    float sum = sum16(acc);
    for (; i < V; ++i) sum += fast_exp(z[i] - m);
    lse[n] = m + std::log(sum);
    nll[n] = target[n] < 0 ? 0 : lse[n] - z[target[n]];
  });
}

void cross_entropy_bwd(float* dlogits, const float* logits, const float* lse, const int32_t* target, const float* weight,
                       float scale, int64_t N, int64_t V) {
  for_rows(N, V, [&](int64_t n) {
    const float* z = logits + n * V;
    float* d = dlogits + n * V;
    if (target[n] < 0) {
      std::fill_n(d, V, 0.0f);
      return;
    }
    const float w = scale * weight[n], l = lse[n];
    by16(V, [&](int64_t i, int k) { store_some(d + i, w * exp16(load_some(z + i, k) - l), k); });
    d[target[n]] -= w;
  });
}

void square_error(float* row, const float* x, const float* target, int64_t N, int64_t C) {
  for_rows(N, C, [&](int64_t n) {
    v16 acc{};
    int64_t c = 0;
    for (; c + 16 <= C; c += 16) {
      const v16 d = load16(x + n * C + c) - load16(target + n * C + c);
      acc += d * d;
    }
    float s = sum16(acc);
    for (; c < C; ++c) s += (x[n * C + c] - target[n * C + c]) * (x[n * C + c] - target[n * C + c]);
    row[n] = s;
  });
}

void square_error_bwd(float* dx, const float* x, const float* target, const float* scale, int64_t N, int64_t C) {
  for_rows(N, C, [&](int64_t n) {
    for (int64_t c = 0; c < C; ++c) dx[n * C + c] = 2 * scale[n] * (x[n * C + c] - target[n * C + c]);
  });
}

float sigmoid_contrastive(float* s, float* d_log_scale, float* d_bias, const int32_t* same, float log_scale, float bias,
                          int64_t B) {
  const float k = std::exp(log_scale);
  std::vector<double> loss(static_cast<size_t>(B)), ds(loss), db(loss);
  for_rows(B, B, [&](int64_t i) {
    for (int64_t j = 0; j < B; ++j) {
      float& x = s[i * B + j];
      if (i != j && same[i] == same[j]) {
        x = 0;
        continue;
      }
      const float label = i == j ? 1.0f : -1.0f, z = label * (k * x + bias);
      loss[size_t(i)] += z > 0 ? std::log1p(std::exp(-z)) : std::log1p(std::exp(z)) - z;
      const float g = -label / (1 + std::exp(z)) / float(B);  // dloss/d(k x + bias)
      ds[size_t(i)] += double(g) * k * x;
      db[size_t(i)] += g;
      x = g * k;
    }
  });
  double total = 0, dl = 0, dbias = 0;
  for (size_t i = 0; i < size_t(B); ++i) total += loss[i], dl += ds[i], dbias += db[i];
  *d_log_scale = float(dl), *d_bias = float(dbias);
  return float(total / double(B));
}

void unit_rows(float* y, float* norm, const float* x, int64_t N, int64_t C) {
  for_rows(N, C, [&](int64_t n) {
    norm[n] = std::sqrt(dot(x + n * C, x + n * C, C)) + 1e-12f;
    for (int64_t c = 0; c < C; ++c) y[n * C + c] = x[n * C + c] / norm[n];
  });
}

void unit_rows_bwd(float* dx, bool add, const float* dy, const float* y, const float* norm, int64_t N, int64_t C) {
  for_rows(N, C, [&](int64_t n) {
    const float m = dot(dy + n * C, y + n * C, C), inv = 1 / norm[n];
    for (int64_t c = 0; c < C; ++c) {
      const float g = (dy[n * C + c] - y[n * C + c] * m) * inv;
      dx[n * C + c] = add ? dx[n * C + c] + g : g;
    }
  });
}

}  // namespace duet::cpu
