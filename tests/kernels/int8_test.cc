// int8 products against a plain computation in whole numbers, which they must equal bit for bit.
#include "kernels/error.h"
#include "tests/kernels/gradcheck.h"

namespace duet {
namespace {

// What gemm_int8.cc says it computes, one element at a time.
float plain(const float* x, const float* w, int64_t K) {
  const auto largest = [&](const float* v) {
    float m = 0;
    for (int64_t k = 0; k < K; ++k) m = std::max(m, std::abs(v[k]));
    return m;
  };
  const float mx = largest(x), mw = largest(w), sx = mx > 1e-30f ? 127.0f / mx : 0, sw = mw > 1e-30f ? 127.0f / mw : 0;
  int64_t sum = 0;
  for (int64_t k = 0; k < K; ++k) sum += int64_t(std::nearbyint(x[k] * sx)) * int64_t(std::nearbyint(w[k] * sw));
  return float(int32_t(sum)) * (mw * (1.0f / 127.0f)) * (mx * (1.0f / 127.0f));
}

struct NeedsInt8 : testing::Test {
  const SettingsBack back;
  void SetUp() override {
    if (!has_int8()) GTEST_SKIP() << "this CPU has no AVX-512 VNNI";
  }
};
using Int8 = NeedsInt8;

TEST_F(Int8, ProductsAreExactInWholeNumbers) {
  for (const auto& [M, N, K] : std::vector<std::array<int64_t, 3>>{
           {1, 1, 1}, {13, 31, 3}, {12, 32, 64}, {7, 33, 67}, {25, 65, 192}, {30, 40, 512}, {5, 3, 1031}}) {
    Tensor A = normals({M, K + 3}, 1), W = normals({N, K}, 2, 0.1f);
    std::fill_n(A.data(), K, 0.0f);                 // a row of zeros
    if (N > 2) std::fill_n(W.data() + K, K, 0.0f);  // an output of zeros
    if (M > 4) A.data()[4 * (K + 3)] = 1e4f;        // a row whose other values nearly vanish
    const auto packed = pack_int8(W.data(), N, K);
    for (bool more : {false, true}) {
      const int64_t ldc = N + 5;
      const Tensor C0 = normals({M, ldc}, 3), C = C0.clone();
      gemm(C.data(), ldc, {A.data(), K + 3}, {}, M, N, K, {.accumulate = more, .packed = packed.get()});
      for (int64_t m = 0; m < M; ++m)
        for (int64_t n = 0; n < ldc; ++n) {
          const float c0 = C0.data()[m * ldc + n], got = C.data()[m * ldc + n];
          if (n >= N) {
            ASSERT_EQ(got, c0) << "outside of C";
            continue;
          }
          const float want = plain(A.data() + m * (K + 3), W.data() + n * K, K);
          if (more) ASSERT_NEAR(got, c0 + want, 0x1p-22f * (std::abs(c0) + std::abs(want))) << M << "x" << N << "x" << K;
          else ASSERT_EQ(got, want) << M << "x" << N << "x" << K << " at " << m << "," << n;
        }
    }
  }
}

// Rounding moves each factor by half a step at most, so the result by no more than the sum of what that does to its
// terms.
TEST_F(Int8, ErrorIsThatOfRoundingBothFactors) {
  const int64_t M = 40, N = 50, K = 300;
  const Tensor A = normals({M, K}, 1), W = normals({N, K}, 2);
  const auto packed = pack_int8(W.data(), N, K);
  Tensor C({M, N});
  gemm(C.data(), N, {A.data(), K}, {}, M, N, K, {.packed = packed.get()});
  for (int64_t m = 0; m < M; ++m)
    for (int64_t n = 0; n < N; ++n) {
      const float *x = A.data() + m * K, *w = W.data() + n * K;
      double truth = 0, mx = 0, mw = 0, sum_x = 0, sum_w = 0;
      for (int64_t k = 0; k < K; ++k) {
        truth += double(x[k]) * w[k], sum_x += std::abs(x[k]), sum_w += std::abs(w[k]);
        mx = std::max<double>(mx, std::abs(x[k])), mw = std::max<double>(mw, std::abs(w[k]));
      }
      const double hx = mx / 254, hw = mw / 254;
      ASSERT_LE(std::abs(C.data()[m * N + n] - truth), 1.001 * (hx * sum_w + hw * sum_x + double(K) * hx * hw));
    }
}

TEST_F(Int8, AnElementIsTheSameBitsInAnyProduct) {
  const int64_t M = 83, N = 71, K = 200;
  const Tensor A = normals({M, K}, 1), W = normals({N, K}, 2);
  const auto packed = pack_int8(W.data(), N, K);
  const auto product = [&](int64_t first, int64_t rows) {
    Tensor C({rows, N});
    gemm(C.data(), N, {A.data() + first * K, K}, {}, rows, N, K, {.packed = packed.get()});
    return C;
  };
  set_threads(1);
  const Tensor C = product(0, M);
  for (int n : {2, 3}) {
    set_threads(n);
    EXPECT_TRUE(same_bits(C, product(0, M))) << n << " threads";
  }
  for (const auto& [first, rows] : std::vector<std::array<int64_t, 2>>{{0, 1}, {82, 1}, {5, 40}, {12, 24}})
    EXPECT_TRUE(same_bits(product(first, rows), C.slice(first * N, {rows, N}))) << rows << " rows from " << first;
}

TEST_F(Int8, OnlyWeightsThatAreNamed) {
  const NoGrad off;
  const Var x(normals({19, 50}, 1)), w(normals({37, 50}, 2)), other(normals({37, 50}, 3)), b(normals({37}, 4));
  const Var wide = linear(x, other, b), exact = linear(x, w, b);
  const std::string before = arithmetic();
  {
    const Frozen f({w.data()});
    EXPECT_EQ(arithmetic(), "int8+" + before);
    EXPECT_TRUE(same_bits(linear(x, other, b).value(), wide.value()));
    const Tensor y = linear(x, w, b).value();
    for (int64_t n = 0; n < 19; ++n)
      for (int64_t o = 0; o < 37; ++o) {
        const float p = plain(x.data() + n * 50, w.data() + o * 50, 50), bias = b.data()[o];
        ASSERT_NEAR(y.data()[n * 37 + o], bias + p, 0x1p-22f * (std::abs(bias) + std::abs(p)));
      }
    EXPECT_TRUE(same_bits(linear(x, w, b).value(), y)) << "from the store of packed weights";
  }
  EXPECT_EQ(arithmetic(), before);
  EXPECT_TRUE(same_bits(linear(x, w, b).value(), exact.value())) << "after the frozen time";
}

TEST(Int8Refusal, OneLineWhereTheCpuCannot) {
  if (has_int8()) GTEST_SKIP() << "this CPU can";
  const Tensor w = normals({8, 8}, 1);
  try {
    const Frozen f({w.data()});
    FAIL() << "not refused";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("--quantize none"), std::string::npos) << e.what();
  }
  EXPECT_FALSE(frozen()) << "a refused one leaves nothing behind";
}

// --- the block over a cache

struct Parts {
  static constexpr int64_t C = 32, H = 2, F = 48;
  Var mod{normals({4, 6 * C}, 2, 0.3f, 0.5f)};
  BlockParams p{Var(normals({3 * C, C}, 3, 0.2f)), Var(normals({C, C}, 4, 0.2f)),     Var(normals({2 * F, C}, 5, 0.2f)),
                Var(normals({C, F}, 6, 0.2f)),     Var(normals({C / H}, 7, 0.2f, 1)), Var(normals({C / H}, 8, 0.2f, 1))};
  std::vector<const float*> weights() const { return {p.qkv.data(), p.proj.data(), p.up.data(), p.down.data()}; }
};

// `lengths` tokens of each sequence after `used` earlier ones; all of them see all.
Layout after(const std::vector<int32_t>& lengths, const std::vector<int32_t>& used) {
  std::vector<int32_t> at{0}, limit, row, pos;
  for (size_t b = 0; b < lengths.size(); ++b) {
    for (int32_t i = 0; i < lengths[b]; ++i) {
      limit.push_back(used[b] + lengths[b]), row.push_back(int32_t(b) % 4);
      pos.push_back((used[b] + i) / 8), pos.push_back((used[b] + i) % 8);
    }
    at.push_back(at.back() + lengths[b]);
  }
  return {ints(at), ints(limit), ints(row), ints(pos)};
}

// With enough threads a block over a few sequences is computed step by step, with one thread a few sequences at a time.
void cached_block(bool int8) {
  const SettingsBack back;
  const NoGrad off;
  const Parts m;
  const std::vector<int32_t> first{3, 9, 1}, then{40, 0, 70}, none(3, 0);
  const Tensor x = normals({13, m.C}, 11), y = normals({110, m.C}, 12);
  for (const Precision p : precisions()) {
    set_precision(p);
    const Frozen f(int8 ? m.weights() : std::vector<const float*>());
    Tensor want[3], k;
    for (int n : {1, 2, 3, 4}) {
      set_threads(n);
      KvCache cache(3, 80, m.C);
      std::fill_n(cache.k.data(), cache.k.count(), NAN), std::fill_n(cache.v.data(), cache.v.count(), NAN);
      const Tensor one = block(Var(x), m.mod, after(first, none), m.p, m.H, 100, cache, none).value();
      const Tensor two = block(Var(y), m.mod, after(then, first), m.p, m.H, 100, cache, first).value();
      const Tensor again = block(Var(y), m.mod, after(then, first), m.p, m.H, 100, cache, first).value();
      EXPECT_TRUE(same_bits(two, again)) << "what is beyond `used` does not matter";
      for (float v : two.floats()) ASSERT_TRUE(std::isfinite(v));
      if (n == 1) {
        want[0] = one, want[1] = two, k = cache.k.clone();
        // The first tokens see no others: a block without a cache.
        EXPECT_TRUE(same_bits(block(Var(x), m.mod, after(first, none), m.p, m.H, 100).value(), one));
      } else {
        EXPECT_TRUE(same_bits(want[0], one) && same_bits(want[1], two)) << n << " threads";
        EXPECT_TRUE(same_bits(k, cache.k)) << n << " threads";
      }
    }
    EXPECT_THROW(
        {
          KvCache small(3, 60, m.C);
          block(Var(y), m.mod, after(then, first), m.p, m.H, 100, small, first);
        },
        Error);
  }
}

TEST(CachedBlock, SameBitsStepByStepAndAFewSequencesAtATime) { cached_block(false); }
TEST_F(Int8, BlockIsTheSameBitsStepByStepAndAFewSequencesAtATime) { cached_block(true); }

}  // namespace
}  // namespace duet
