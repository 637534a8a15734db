#include "kernels/vec.h"
#include "tests/kernels/gradcheck.h"

namespace duet {
namespace {

template <class T>
T plain_silu(T x) {
  using std::exp;
  return x / (T(1.0) + exp(-x));
}

TEST(Swiglu, ValueAndGradient) {
  for (const auto& [N, F] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 7}, {11, 33}, {5, 64}, {40, 704}})
    check_op(
        join("swiglu ", N, "x", F), {normals({N, 2 * F}, 1, 3)}, [](auto& v) { return swiglu(v[0]); },
        [&, N = N, F = F](const auto& a) {
          typename std::decay_t<decltype(a)>::value_type y;
          for (int64_t n = 0; n < N; ++n)
            for (int64_t f = 0; f < F; ++f)
              y.push_back(plain_silu(a[0][size_t(n * 2 * F + f)]) * a[0][size_t(n * 2 * F + F + f)]);
          return y;
        });
}

TEST(Swiglu, SiluAndItsGradient) {
  for (int64_t n : {1, 13, 35, 20000})
    check_op(
        join("silu ", n), {normals({n}, 1, 4)}, [](auto& v) { return silu(v[0]); },
        [](const auto& a) {
          auto y = a[0];
          for (auto& x : y) x = plain_silu(x);
          return y;
        });
}

TEST(Swiglu, FarValuesStayFinite) {
  const Tensor x = Tensor::of({6}, {-1e30f, -200, -90, 90, 200, 1e30f});
  const Var y = silu(Var(x));
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(y.data()[i], 0, 1e-6f * std::abs(x.data()[i]));
  for (int i = 3; i < 6; ++i) EXPECT_EQ(y.data()[i], x.data()[i]);
}

// The header says 2 ulp for finite x within [-87, 88], clamped outside; a NaN comes through.
TEST(Vec, ExponentialIsWithinTwoUlp) {
  double worst = 0;
  for (int i = 0; i < 2'000'000; ++i) {
    const float x = float(-87 + 175.0 * uniform(3, uint64_t(i)));
    const double truth = std::exp(double(x)), ulp = std::ldexp(1.0, std::ilogb(truth) - 23);
    worst = std::max(worst, std::abs(fast_exp(x) - truth) / ulp);
  }
  EXPECT_LE(worst, 2.0);
  EXPECT_TRUE(std::isnan(fast_exp(NAN)));
  EXPECT_LT(fast_exp(-1e30f), 2e-38f);
  EXPECT_GT(fast_exp(1e30f), 1e38f);
}

TEST(Vec, SixteenAndOneAgree) {
  float in[16], out[16];
  for (int i = 0; i < 16; ++i) in[i] = 20 * normal(1, uint64_t(i));
  store16(out, exp16(load16(in)));
  for (int i = 0; i < 16; ++i) EXPECT_EQ(out[i], fast_exp(in[i]));
}

}  // namespace
}  // namespace duet
