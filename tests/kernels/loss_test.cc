#include "kernels/error.h"
#include "tests/kernels/gradcheck.h"

namespace duet {
namespace {

template <class V>
auto scalar(V s) {
  return std::vector<V>{s};
}

TEST(Loss, CrossEntropyAndItsGradient) {
  for (const auto& [N, V] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {5, 7}, {30, 35}, {3, 64}, {40, 4096}}) {
    std::vector<int32_t> target;
    for (int64_t n = 0; n < N; ++n) target.push_back(n % 5 == 3 ? -1 : below(3, uint64_t(n), int(V)));
    const Tensor weight = normals({N}, 4, 0.2f, 1);
    check_op(
        join("cross_entropy ", N, "x", V), {normals({N, V}, 1, 3)},
        [&](auto& v) { return cross_entropy(v[0], ints(target), weight); },
        [&, N = N, V = V](const auto& a) {
          using T = typename std::decay_t<decltype(a[0])>::value_type;
          using std::exp, std::log;
          T loss(0.0);
          for (int64_t n = 0; n < N; ++n) {
            if (target[size_t(n)] < 0) continue;
            const T* z = a[0].data() + n * V;
            T most = z[0], sum(0.0);
            for (int64_t i = 1; i < V; ++i) most = z[i] > most ? z[i] : most;
            for (int64_t i = 0; i < V; ++i) sum = sum + exp(z[i] - most);
            loss = loss + T(double(weight.data()[n])) * (most + log(sum) - z[target[size_t(n)]]);
          }
          return scalar(loss);
        },
        N >= 40 ? 6 : 24);
  }
}

TEST(Loss, CrossEntropyOfFarLogitsIsFinite) {
  const Var z(Tensor::of({2, 2}, {1e4f, -1e4f, -1e30f, 1e30f}), true);
  const Var l = cross_entropy(z, ints({1, 1}), Tensor::of({2}, {1, 1}));
  EXPECT_EQ(l.data()[0], 2e4f);
  l.backward();
  EXPECT_EQ(z.grad().data()[0], 1);
  EXPECT_EQ(z.grad().data()[3], 0);
  EXPECT_THROW(cross_entropy(z, ints({0, 2}), Tensor::of({2}, {1, 1})), Error);
}

TEST(Loss, SquareErrorAndItsGradient) {
  for (const auto& [N, C] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {5, 7}, {30, 35}, {64, 256}}) {
    const Tensor target = normals({N, C}, 2), weight = normals({N}, 3, 0.2f, 1);
    check_op(
        join("square_error ", N, "x", C), {normals({N, C}, 1)}, [&](auto& v) { return square_error(v[0], target, weight); },
        [&, N = N, C = C](const auto& a) {
          using T = typename std::decay_t<decltype(a[0])>::value_type;
          T loss(0.0);
          for (int64_t i = 0; i < N * C; ++i) {
            const T d = a[0][size_t(i)] - T(double(target.data()[i]));
            loss = loss + T(double(weight.data()[i / C])) * d * d;
          }
          return scalar(loss);
        });
  }
}

TEST(Loss, SigmoidContrastiveAndItsGradients) {
  for (const auto& [B, E] : std::vector<std::pair<int64_t, int64_t>>{{1, 3}, {7, 13}, {33, 35}, {32, 256}}) {
    std::vector<uint64_t> same;
    for (int64_t b = 0; b < B; ++b) same.push_back(uint64_t(b % 5 == 4 ? 77 : b));
    check_op(
        join("sigmoid_contrastive ", B, "x", E),
        {normals({B, E}, 1, 1 / std::sqrt(float(E))), normals({B, E}, 2, 1 / std::sqrt(float(E))),
         Tensor::of({1}, {std::log(10.0f)}), Tensor::of({1}, {-2.5f})},
        [&](auto& v) { return sigmoid_contrastive(v[0], v[1], v[2], v[3], same); },
        [&, B = B, E = E](const auto& a) {
          using T = typename std::decay_t<decltype(a[0])>::value_type;
          using std::exp, std::log;
          T loss(0.0);
          for (int64_t i = 0; i < B; ++i)
            for (int64_t j = 0; j < B; ++j) {
              if (i != j && same[size_t(i)] == same[size_t(j)]) continue;
              T s(0.0);
              for (int64_t e = 0; e < E; ++e) s = s + a[0][size_t(i * E + e)] * a[1][size_t(j * E + e)];
              const T z = exp(a[2][0]) * s + a[3][0];
              loss = loss + log(T(1.0) + exp(i == j ? -z : z));
            }
          return scalar(loss / T(double(B)));
        },
        B > 30 ? 4 : 24, {}, true);
  }
}

TEST(Loss, WeightedSum) {
  check_op(
      "weighted_sum", {normals({1}, 1), normals({1}, 2)},
      [](auto& v) {
        return weighted_sum({{v[0], 0.5f}, {v[1], -3.0f}, {v[0], 2.0f}});
      },
      [](const auto& a) {
        using T = typename std::decay_t<decltype(a[0])>::value_type;
        return scalar(T(0.5) * a[0][0] + T(-3.0) * a[1][0] + T(2.0) * a[0][0]);
      });
}

}  // namespace
}  // namespace duet
