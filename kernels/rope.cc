#include "kernels/rope.h"

#include <map>
#include <mutex>

#include "kernels/error.h"
#include "kernels/rowwise.h"
#include "kernels/table.h"
#include "kernels/vec.h"

namespace duet {

std::shared_ptr<const std::vector<float>> rope_angles(int64_t positions, float theta, int64_t Q) {
  static std::mutex mutex;
  static std::map<std::pair<float, int64_t>, std::shared_ptr<const std::vector<float>>> tables;
  std::lock_guard l(mutex);
  auto& kept = tables[{theta, Q}];
  if (kept && kept->size() >= size_t(positions * 2 * Q)) return kept;
  positions = std::max<int64_t>(positions, 64);
  auto t = std::make_shared<std::vector<float>>(size_t(positions * 2 * Q));
  for (int64_t p = 0; p < positions; ++p)
    for (int64_t i = 0; i < Q; ++i) {
      const double a = double(p) * std::pow(double(theta), -double(i) / double(Q));
      (*t)[size_t(p * 2 * Q + i)] = float(std::cos(a)), (*t)[size_t(p * 2 * Q + Q + i)] = float(std::sin(a));
    }
  return kept = t;
}

int64_t count_positions(const int32_t* pos, int64_t n) {
  int32_t most = 0;
  for (int64_t i = 0; i < n; ++i) {
    CHECK(pos[i] >= 0 && pos[i] < 65536, "position ", pos[i]);
    most = std::max(most, pos[i]);
  }
  return int64_t(most) + 1;
}

static constexpr const char* kPositions = "positions";
int64_t count_positions(const Tensor& pos) {
  return *pos.memo<int64_t>(kPositions, [&] {
    CHECK(pos.device() == Device::cpu, "a bound of positions that lie on a card: positions_below()");
    return std::make_shared<int64_t>(count_positions(pos.data<int32_t>(), pos.count()));
  });
}
void positions_below(const Tensor& pos, int64_t n) {
  pos.memo<int64_t>(kPositions, [&] { return std::make_shared<int64_t>(n); });
}

}  // namespace duet

namespace duet::cpu {
namespace {

struct Angles {
  int64_t Q;
  std::shared_ptr<const std::vector<float>> table;
  Angles(const int32_t* pos, int64_t n, float theta, int64_t D) : Q(D / 4) {
    CHECK(D % 4 == 0, "head size ", D, " must be a multiple of 4");
    table = rope_angles(count_positions(pos, n), theta, Q);
  }
  const float* at(int32_t p) const { return table->data() + int64_t(p) * 2 * Q; }
};

// Turns pairs (i, i + Q) of each half of a head; `sign` -1 turns back.
inline void rotate(float* y, const Angles& a, const int32_t* pos, float sign) {
  const int64_t Q = a.Q;
  for (int half = 0; half < 2; ++half, y += 2 * Q) {
    const float *cs = a.at(pos[half]), *sn = cs + Q;
    by16(Q, [&](int64_t i, int k) {
      const f16v u = load_some(y + i, k), v = load_some(y + Q + i, k), c = load_some(cs + i, k);
      const f16v s = load_some(sn + i, k) * sign;
      store_some(y + i, u * c - v * s, k);
      store_some(y + Q + i, u * s + v * c, k);
    });
  }
}

}  // namespace

void qk_rope(float* y, float* rstd, const float* qkv, const float* gain_q, const float* gain_k, const int32_t* pos, float theta,
             int64_t N, int64_t H, int64_t D) {
  const Angles angles(pos, 2 * N, theta, D);
  const int64_t C = H * D;
  for_rows(N, 3 * C, [&](int64_t n) {
    const float* xn = qkv + n * 3 * C;
    float* yn = y + n * 3 * C;
    for (int64_t h = 0; h < 2 * H; ++h) {  // heads of q, then of k
      const float* x = xn + h * D;
      const float* gain = h < H ? gain_q : gain_k;
      const float r = 1 / std::sqrt(dot(x, x, D) / float(D) + 1e-6f);
      rstd[n * 2 * H + h] = r;
      float* o = yn + h * D;
      by16(D, [&](int64_t d, int k) { store_some(o + d, load_some(x + d, k) * r * load_some(gain + d, k), k); });
      rotate(o, angles, pos + 2 * n, 1);
    }
    std::copy_n(xn + 2 * C, C, yn + 2 * C);
  });
}

void qk_rope_bwd(float* dqkv, float* dgain_q, float* dgain_k, const float* dy, const float* qkv, const float* rstd,
                 const float* gain_q, const float* gain_k, const int32_t* pos, float theta, int64_t N, int64_t H, int64_t D) {
  const Angles angles(pos, 2 * N, theta, D);
  const int64_t C = H * D;
  // Gains are shared by all rows and heads: partial sums of fixed chunks of rows, added in order.
  const int64_t chunk = 128, chunks = (N + chunk - 1) / chunk;
  Tensor partial = Tensor::zeros({chunks, 2, D});
  parallel_for(chunks, [&](int64_t j) {
    float* part = partial.data() + j * 2 * D;
    float* g = scratch<float>(4, D);
    for (int64_t n = j * chunk; n < std::min(N, (j + 1) * chunk); ++n) {
      for (int64_t h = 0; h < 2 * H; ++h) {
        const float *x = qkv + n * 3 * C + h * D, *gain = h < H ? gain_q : gain_k;
        float *d = dqkv + n * 3 * C + h * D, *pg = part + (h < H ? 0 : D);
        const float r = rstd[n * 2 * H + h];
        std::copy_n(dy + n * 3 * C + h * D, D, g);
        rotate(g, angles, pos + 2 * n, -1);
        by16(D, [&](int64_t i, int k) {
          const f16v gi = load_some(g + i, k);
          store_some(pg + i, load_some(pg + i, k) + gi * load_some(x + i, k) * r, k);
          store_some(g + i, gi * load_some(gain + i, k), k);
        });
        const float m = dot(g, x, D) * r * r / float(D);
        by16(D, [&](int64_t i, int k) { store_some(d + i, r * (load_some(g + i, k) - load_some(x + i, k) * m), k); });
      }
      std::copy_n(dy + n * 3 * C + 2 * C, C, dqkv + n * 3 * C + 2 * C);
    }
  });
  for (int64_t j = 0; j < chunks; ++j)
    for (int64_t i = 0; i < D; ++i) {
      if (dgain_q) dgain_q[i] += partial.data()[j * 2 * D + i];
      if (dgain_k) dgain_k[i] += partial.data()[j * 2 * D + D + i];
    }
}

}  // namespace duet::cpu
