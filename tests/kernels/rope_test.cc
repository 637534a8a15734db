#include "kernels/error.h"
#include "tests/kernels/gradcheck.h"

namespace duet {
namespace {

struct Size {
  int64_t N, H, D;
  int samples;
};

TEST(Rope, QkRopeAndItsGradients) {
  for (const Size s : {Size{1, 1, 4, 12}, {5, 3, 8, 24}, {131, 2, 12, 8}, {70, 4, 64, 4}}) {
    const float theta = 100;
    std::vector<int32_t> pos;
    for (int64_t i = 0; i < 2 * s.N; ++i) pos.push_back(below(3, uint64_t(i), 60));
    Tensor places = ints(pos);
    const int64_t C = s.H * s.D, Q = s.D / 4;
    check_op(
        join("qk_rope ", s.N, "x", s.H, "x", s.D),
        {normals({s.N, 3 * C}, 1, 2), normals({s.D}, 2, 0.3f, 1), normals({s.D}, 3, 0.3f, 1)},
        [&](auto& v) { return qk_rope(v[0], v[1], v[2], places, s.H, theta); },
        [&](const auto& a) {
          using T = typename std::decay_t<decltype(a[0])>::value_type;
          using std::sqrt;
          auto y = a[0];
          for (int64_t n = 0; n < s.N; ++n)
            for (int64_t h = 0; h < 2 * s.H; ++h) {
              T* x = y.data() + n * 3 * C + h * s.D;
              const auto& gain = h < s.H ? a[1] : a[2];
              T sum(0.0);
              for (int64_t d = 0; d < s.D; ++d) sum = sum + x[d] * x[d];
              const T r = T(1.0) / sqrt(sum / T(double(s.D)) + T(1e-6));
              for (int64_t d = 0; d < s.D; ++d) x[d] = x[d] * r * gain[size_t(d)];
              for (int half = 0; half < 2; ++half, x += s.D / 2)
                for (int64_t i = 0; i < Q; ++i) {
                  const double angle = pos[size_t(2 * n + half)] * std::pow(double(theta), -double(i) / double(Q));
                  const T c(std::cos(angle)), sn(std::sin(angle)), u = x[i], v = x[i + Q];
                  x[i] = u * c - v * sn, x[i + Q] = u * sn + v * c;
                }
            }
          return y;
        },
        s.samples);
  }
}

// A product of q and k depends on the difference of their places alone. 1e-5: 64 terms of at most 1, rounded thrice each.
TEST(Rope, OnlyTheDistanceMatters) {
  const int64_t D = 64;
  const Var gain(normals({D}, 5, 0, 1));
  const auto score = [&](int32_t qr, int32_t qc, int32_t kr, int32_t kc) {
    Tensor qkv = normals({2, 3 * D}, 6);
    const Var y = qk_rope(Var(qkv), gain, gain, ints({qr, qc, kr, kc}), 1, 100);
    double s = 0;
    for (int64_t d = 0; d < D; ++d) s += double(y.data()[d]) * y.data()[3 * D + D + d];
    return s / D;
  };
  EXPECT_NEAR(score(0, 0, 3, 5), score(11, 7, 14, 12), 1e-5);
  EXPECT_GT(std::abs(score(0, 0, 3, 5) - score(0, 0, 5, 3)), 1e-3);
}

TEST(Rope, RefusesPlacesOutOfRange) {
  const Var gain(normals({4}, 5));
  EXPECT_THROW(qk_rope(Var(normals({1, 12}, 1)), gain, gain, ints({-1, 0}), 1, 100), Error);
  EXPECT_THROW(qk_rope(Var(normals({1, 12}, 1)), gain, gain, ints({0, 65536}), 1, 100), Error);
}

}  // namespace
}  // namespace duet
