// RMSNorm with a modulation each row picks from a table, the gated residual, and the table itself.
#include "tests/kernels/gradcheck.h"

namespace duet {
namespace {

std::vector<int32_t> picks(int64_t N, int R) {
  std::vector<int32_t> row;
  for (int64_t n = 0; n < N; ++n) row.push_back(below(5, uint64_t(n), R));
  return row;
}

struct Size {
  int64_t N, C;
  int R, samples;
};
constexpr Size kSizes[] = {{1, 1, 1, 9}, {7, 13, 3, 24}, {50, 35, 4, 24}, {9, 64, 9, 24}, {300, 256, 65, 4}};

TEST(Norm, NormModAndItsGradients) {
  for (const Size s : kSizes) {
    const int64_t W = 6 * s.C, scale = 3 * s.C, shift = 4 * s.C;
    const auto row = picks(s.N, s.R);
    check_op(
        join("norm_mod ", s.N, "x", s.C), {normals({s.N, s.C}, 1, 2), normals({s.R, W}, 2, 0.5f)},
        [&](auto& v) { return norm_mod(v[0], v[1], ints(row), scale, shift); },
        [&](const auto& a) {
          using T = typename std::decay_t<decltype(a[0])>::value_type;
          using std::sqrt;
          std::vector<T> y;
          for (int64_t n = 0; n < s.N; ++n) {
            T sum(0.0);
            for (int64_t c = 0; c < s.C; ++c) sum = sum + a[0][size_t(n * s.C + c)] * a[0][size_t(n * s.C + c)];
            const T r = T(1.0) / sqrt(sum / T(double(s.C)) + T(1e-6));
            const int64_t at = row[size_t(n)] * W;
            for (int64_t c = 0; c < s.C; ++c)
              y.push_back(a[0][size_t(n * s.C + c)] * r * (T(1.0) + a[1][size_t(at + scale + c)]) +
                          a[1][size_t(at + shift + c)]);
          }
          return y;
        },
        s.samples);
  }
}

TEST(Norm, GateAddAndItsGradients) {
  for (const Size s : kSizes) {
    const int64_t W = 6 * s.C, gate = 5 * s.C;
    const auto row = picks(s.N, s.R);
    check_op(
        join("gate_add ", s.N, "x", s.C), {normals({s.N, s.C}, 1), normals({s.N, s.C}, 2), normals({s.R, W}, 3)},
        [&](auto& v) { return gate_add(v[0], v[1], v[2], ints(row), gate); },
        [&](const auto& a) {
          auto y = a[0];
          for (int64_t n = 0; n < s.N; ++n)
            for (int64_t c = 0; c < s.C; ++c)
              y[size_t(n * s.C + c)] =
                  a[0][size_t(n * s.C + c)] + a[1][size_t(n * s.C + c)] * a[2][size_t(row[size_t(n)] * W + gate + c)];
          return y;
        },
        s.samples);
  }
}

TEST(Norm, ModTableAndItsGradients) {
  for (const auto& [R, W] : std::vector<std::pair<int64_t, int64_t>>{{0, 5}, {1, 1}, {5, 13}, {33, 96}}) {
    std::vector<Tensor> in{normals({R ? 2 : 1, W}, 1)};
    if (R) in.push_back(normals({R, W}, 2));
    check_op(
        join("mod_table ", R, "x", W), in, [&](auto& v) { return mod_table(v[0], R ? v[1] : Var()); },
        [&](const auto& a) {
          auto y = a[0];
          y.resize(size_t(W));
          for (int64_t i = 0; i < R * W; ++i) y.push_back(a[1][size_t(i)] + a[0][size_t(W + i % W)]);
          return y;
        });
  }
}

// x and h the same tensor: both gradients arrive.
TEST(Norm, GateAddOfATensorToItself) {
  const std::vector<int32_t> row(4, 0);
  check_op(
      "gate_add x x", {normals({4, 5}, 1), normals({1, 5}, 2)},
      [&](auto& v) { return gate_add(v[0], v[0], v[1], ints(row), 0); },
      [&](const auto& a) {
        auto y = a[0];
        for (size_t i = 0; i < y.size(); ++i) y[i] = a[0][i] + a[0][i] * a[1][i % 5];
        return y;
      });
}

}  // namespace
}  // namespace duet
