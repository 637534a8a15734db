#include "kernels/error.h"
#include "tests/kernels/gradcheck.h"

namespace duet {
namespace {

TEST(Rows, GatherAndItsGradients) {
  for (const auto& [na, nb, N, C] :
       std::vector<std::array<int64_t, 4>>{{1, 0, 1, 1}, {5, 3, 11, 7}, {9, 0, 40, 33}, {200, 300, 700, 64}}) {
    std::vector<int32_t> from;
    for (int64_t n = 0; n < N; ++n) from.push_back(below(3, uint64_t(n), int(na + nb)) - int(nb));
    std::vector<Tensor> in{normals({na, C}, 1)};
    if (nb) in.push_back(normals({nb, C}, 2));
    check_op(
        join("gather ", N, "x", C), in, [&](auto& v) { return gather(v[0], nb ? v[1] : Var(), ints(from)); },
        [&, C = C](const auto& a) {
          typename std::decay_t<decltype(a)>::value_type y;
          for (int32_t f : from)
            for (int64_t c = 0; c < C; ++c) y.push_back(f >= 0 ? a[0][size_t(f * C + c)] : a[1][size_t((-f - 1) * C + c)]);
          return y;
        });
  }
}

TEST(Rows, GatherRefusesRowsThatAreNot) {
  const Var a(normals({3, 2}, 1));
  EXPECT_THROW(gather(a, {}, ints({3})), Error);
  EXPECT_THROW(gather(a, {}, ints({-1})), Error);
}

// Rows in picture order, and in another, which the neighbours alone know; the last is of more rows than a part of the weights'
// sum.
TEST(Rows, Conv3x3AndItsGradients) {
  struct Size {
    int64_t B, H, W, C, O;
    int samples;
  };
  for (const Size s : {Size{1, 1, 1, 1, 1, 9},
                       {2, 1, 5, 16, 3, 8},
                       {2, 7, 3, 1, 5, 16},
                       {1, 7, 3, 32, 16, 4},
                       {1, 32, 32, 16, 8, 2},
                       {5, 32, 32, 4, 3, 8}})
    for (const bool turned : {false, true}) {
      const auto [B, H, W, C, O, samples] = s;
      const int64_t N = B * H * W;
      const auto row = [&, B = B, H = H, W = W](int64_t b, int64_t y, int64_t x) {
        const int64_t n = (b * H + y) * W + x;
        return turned ? B * H * W - 1 - n : n;
      };
      std::vector<int32_t> near(size_t(9 * N), -1);
      for (int64_t b = 0; b < B; ++b)
        for (int64_t y = 0; y < H; ++y)
          for (int64_t x = 0; x < W; ++x)
            for (int k = 0; k < 9; ++k)
              if (const int64_t v = y + k / 3 - 1, u = x + k % 3 - 1; v >= 0 && v < H && u >= 0 && u < W)
                near[size_t(row(b, y, x) * 9 + k)] = int32_t(row(b, v, u));
      const Around at{ints(near), turned ? Raster() : Raster{B, H, W}};
      check_op(
          join("conv3x3 ", B, "x", H, "x", W, " ", C, " to ", O, turned ? " turned" : ""),
          {normals({N, C}, 1), normals({O, 9 * C}, 2, 1 / std::sqrt(9 * float(C))), normals({O}, 3)},
          [&](auto& v) { return conv3x3(v[0], v[1], v[2], at); },
          [&, B = B, H = H, W = W, C = C, O = O](const auto& a) {
            auto y = std::decay_t<decltype(a[0])>(size_t(B * H * W * O));
            for (int64_t b = 0; b < B; ++b)
              for (int64_t i = 0; i < H; ++i)
                for (int64_t j = 0; j < W; ++j)
                  for (int64_t o = 0; o < O; ++o) {
                    auto sum = a[2][size_t(o)];
                    for (int64_t v = std::max<int64_t>(i - 1, 0); v <= std::min(i + 1, H - 1); ++v)
                      for (int64_t u = std::max<int64_t>(j - 1, 0); u <= std::min(j + 1, W - 1); ++u)
                        for (int64_t c = 0; c < C; ++c)
                          sum = sum + a[0][size_t(row(b, v, u) * C + c)] *
                                          a[1][size_t(((o * 3 + v - i + 1) * 3 + u - j + 1) * C + c)];
                    y[size_t(row(b, i, j) * O + o)] = sum;
                  }
            return y;
          },
          samples, {}, true);
    }
}

TEST(Rows, Conv3x3RefusesWhatDoesNotFit) {
  const Var x(normals({6, 2}, 1)), w(normals({3, 18}, 2));
  const std::vector<int32_t> beyond(54, -1);
  EXPECT_THROW(conv3x3(x, w, {}, {ints({0}), {}}), Error) << "neighbours of another number of rows";
  for (const int32_t row : {6, -2}) {
    auto near = beyond;
    near[53] = row;
    EXPECT_THROW(conv3x3(x, w, {}, {ints(near), {}}), Error) << "row " << row << " of 6";
  }
  EXPECT_THROW(conv3x3(x, w, {}, {ints(beyond), {1, 2, 2}}), Error) << "pictures of another number of rows";
  EXPECT_THROW(conv3x3(x, Var(normals({3, 9}, 2)), {}, {ints(beyond), {}}), Error) << "weights of other channels";
}

TEST(Rows, OuterSumAndItsGradient) {
  for (const auto& [N, K, A, G] :
       std::vector<std::array<int64_t, 4>>{{1, 1, 1, 1}, {5, 3, 7, 2}, {11, 4, 16, 4}, {70, 4, 64, 4}})
    check_op(
        join("outer_sum ", N, "x", K, "x", A, "x", G), {normals({N, K * (A + G)}, 1)},
        [&, K = K, A = A, G = G](auto& v) { return outer_sum(v[0], K, A, G); },
        [&, N = N, K = K, A = A, G = G](const auto& a) {
          using T = typename std::decay_t<decltype(a[0])>::value_type;
          std::vector<T> y;
          for (int64_t n = 0; n < N; ++n)
            for (int64_t i = 0; i < A * G; ++i) {
              T s(0.0);
              for (int64_t k = 0; k < K; ++k) {
                const T* x = &a[0][size_t((n * K + k) * (A + G))];
                s = s + x[i / G] * x[A + i % G];
              }
              y.push_back(s);
            }
          return y;
        });
  EXPECT_THROW(outer_sum(Var(normals({2, 7}, 1)), 2, 3, 1), Error);
}

TEST(Rows, SegmentMeanAndItsGradient) {
  for (const auto& [at, C] : std::vector<std::pair<std::vector<int32_t>, int64_t>>{
           {{0, 1}, 1}, {{0, 3, 3, 10}, 7}, {{0, 64, 128, 147}, 35}, {{0, 64, 128, 192}, 256}})
    check_op(
        join("segment_mean ", at.back(), "x", C), {normals({at.back(), C}, 1)},
        [&](auto& v) { return segment_mean(v[0], ints(at)); },
        [&, C = C](const auto& a) {
          using T = typename std::decay_t<decltype(a[0])>::value_type;
          std::vector<T> y;
          for (size_t b = 0; b + 1 < at.size(); ++b)
            for (int64_t c = 0; c < C; ++c) {
              T s(0.0);
              for (int32_t n = at[b]; n < at[b + 1]; ++n) s = s + a[0][size_t(n * C + c)];
              y.push_back(s / T(double(std::max(1, at[b + 1] - at[b]))));
            }
          return y;
        });
}

TEST(Rows, UnitRowsAndItsGradient) {
  for (const auto& [N, C] : std::vector<std::pair<int64_t, int64_t>>{{1, 2}, {7, 13}, {50, 35}, {64, 256}})
    check_op(
        join("unit_rows ", N, "x", C), {normals({N, C}, 1, 3)}, [](auto& v) { return unit_rows(v[0]); },
        [&, N = N, C = C](const auto& a) {
          using T = typename std::decay_t<decltype(a[0])>::value_type;
          using std::sqrt;
          auto y = a[0];
          for (int64_t n = 0; n < N; ++n) {
            T s(0.0);
            for (int64_t c = 0; c < C; ++c) s = s + a[0][size_t(n * C + c)] * a[0][size_t(n * C + c)];
            for (int64_t c = 0; c < C; ++c) y[size_t(n * C + c)] = a[0][size_t(n * C + c)] / sqrt(s);
          }
          return y;
        },
        N > 60 ? 8 : 24);
}

TEST(Rows, AddAndItsGradients) {
  for (int64_t n : {1, 17, 40000})
    check_op(
        join("add ", n), {normals({n}, 1), normals({n}, 2)}, [](auto& v) { return add(v[0], v[1]); },
        [](const auto& a) {
          auto y = a[0];
          for (size_t i = 0; i < y.size(); ++i) y[i] = a[0][i] + a[1][i];
          return y;
        },
        n > 1000 ? 4 : 24);
  check_op(
      "add x x", {normals({9}, 1)}, [](auto& v) { return add(v[0], v[0]); },
      [](const auto& a) {
        auto y = a[0];
        for (size_t i = 0; i < y.size(); ++i) y[i] = a[0][i] + a[0][i];
        return y;
      });
}

}  // namespace
}  // namespace duet
