#include "kernels/gemm.h"

#include <utility>

#include "kernels/error.h"
#include "tests/kernels/gradcheck.h"

namespace duet {
namespace {

template <class V>
auto plain_linear(const V& in, int64_t N, int64_t C, int64_t O, bool bias) {
  using T = typename V::value_type::value_type;
  std::vector<T> y;
  for (int64_t n = 0; n < N; ++n)
    for (int64_t o = 0; o < O; ++o) {
      T s = bias ? in[2][size_t(o)] : T(0.0);
      for (int64_t c = 0; c < C; ++c) s = s + in[0][size_t(n * C + c)] * in[1][size_t(o * C + c)];
      y.push_back(s);
    }
  return y;
}

struct Size {
  int64_t N, C, O;
  int samples;
};

TEST(Gemm, LinearAndItsGradients) {
  for (const Size s :
       {Size{1, 1, 1, 9}, {7, 13, 17, 24}, {33, 50, 35, 16}, {12, 32, 32, 8}, {70, 1030, 65, 4}, {64, 256, 768, 3}})
    for (bool bias : {false, true}) {
      std::vector<Tensor> in{normals({s.N, s.C}, 1), normals({s.O, s.C}, 2, 1 / std::sqrt(float(s.C)))};
      if (bias) in.push_back(normals({s.O}, 3));
      check_op(
          join("linear ", s.N, "x", s.C, "->", s.O, bias ? " bias" : ""), in,
          [&](auto& v) { return linear(v[0], v[1], bias ? v[2] : Var()); },
          [&](const auto& a) { return plain_linear(a, s.N, s.C, s.O, bias); }, s.samples, {}, true);
    }
}

// Every way a matrix can lie, with strides wider than the matrix, accumulating or not; nothing outside C is written.
TEST(Gemm, TransposesStridesAndAccumulation) {
  const SettingsBack back;
  for (const Precision p : precisions())
    for (const auto& [M, N, K] : std::vector<std::array<int64_t, 3>>{{1, 1, 1}, {13, 31, 47}, {32, 64, 384}, {37, 33, 1100}})
      for (int way = 0; way < 8; ++way) {
        set_precision(p);
        const bool ta = way & 1, tb = way & 2, more = way & 4;
        const int64_t lda = (ta ? M : K) + 3, ldb = (tb ? K : N) + 5, ldc = N + 7;
        const Tensor A = normals({ta ? K : M, lda}, 1), B = normals({tb ? N : K, ldb}, 2), C0 = normals({M, ldc}, 3);
        const Tensor C = C0.clone();
        gemm(C.data(), ldc, {A.data(), lda, ta}, {B.data(), ldb, tb}, M, N, K, {.accumulate = more});
        Compare value(join("gemm ", M, "x", N, "x", K, " way ", way,
                           p == Precision::bf16   ? " bf16"
                           : p == Precision::fp16 ? " fp16"
                                                  : ""));
        for (int64_t m = 0; m < M; ++m)
          for (int64_t n = 0; n < ldc; ++n) {
            const float c0 = C0.data()[m * ldc + n];
            if (n >= N) {
              ASSERT_EQ(C.data()[m * ldc + n], c0) << "outside of C";
              continue;
            }
            double truth = more ? c0 : 0;
            float naive = float(truth), half = 0;
            for (int64_t k = 0; k < K; ++k) {
              const float a = A.data()[ta ? k * lda + m : m * lda + k], b = B.data()[tb ? n * ldb + k : k * ldb + n];
              truth += double(a) * b;
              if (p == Precision::fp16) {  // 64 products are summed as halves
                half = round_fp16(half + round_fp16(a) * round_fp16(b));
                if (k % 64 == 63 || k + 1 == K) naive += std::exchange(half, 0.0f);
              } else {
                naive += p == Precision::bf16 ? round_bf16(a) * round_bf16(b) : a * b;
              }
            }
            value(truth, naive, C.data()[m * ldc + n]);
          }
      }
}

// What fp16 is used for in training: sums over many tokens, packed piece by piece, of gradients that were scaled.
TEST(Gemm, Fp16SumsOfManyTokensStayExactEnough) {
  if (!has_fp16()) GTEST_SKIP() << "this CPU has no AVX-512 FP16";
  const SettingsBack back;
  set_precision(Precision::fp16);
  const int64_t O = 50, C = 35, N = 5000, piece = 128;
  const Tensor dy = normals({N, O}, 1, 1e-4f), x = normals({N, C}, 2), dw = Tensor::zeros({O, C});
  WeightSum sum(O, C, N);
  for (int64_t n = 0; n < N; n += piece) sum.add(dy.data() + n * O, x.data() + n * C, std::min(piece, N - n), n);
  WeightSum::finish({{&sum, dw.data()}});
  Compare value("a weight's gradient, fp16");
  for (int64_t o = 0; o < O; ++o)
    for (int64_t c = 0; c < C; ++c) {
      double truth = 0;
      float naive = 0, half = 0;
      for (int64_t n = 0; n < N; ++n) {
        truth += double(dy.data()[n * O + o]) * x.data()[n * C + c];
        half = round_fp16(half + round_fp16(dy.data()[n * O + o]) * round_fp16(x.data()[n * C + c]));
        if (n % 64 == 63 || n + 1 == N) naive += std::exchange(half, 0.0f);
      }
      value(truth, naive, dw.data()[o * C + c]);
    }
}

// The promise the sampler rests on: an element of C does not depend on how many rows or columns are computed with it.
TEST(Gemm, AnElementIsTheSameBitsInAnyProduct) {
  const SettingsBack back;
  for (const Precision p : precisions()) {
    set_precision(p);
    const int64_t M = 83, N = 71, K = 1300;
    const Tensor A = normals({M, K}, 1), B = normals({N, K}, 2);
    set_threads(1);
    Tensor C({M, N});
    gemm(C.data(), N, {A.data(), K}, {B.data(), K, true}, M, N, K);
    for (int n : {2, 3}) {
      set_threads(n);
      Tensor again({M, N});
      gemm(again.data(), N, {A.data(), K}, {B.data(), K, true}, M, N, K);
      EXPECT_TRUE(same_bits(C, again)) << n << " threads";
    }
    for (const auto& [m0, n0, m, n] :
         std::vector<std::array<int64_t, 4>>{{0, 0, 1, 1}, {82, 70, 1, 1}, {5, 3, 40, 33}, {31, 0, 2, 71}, {12, 32, 12, 32}}) {
      Tensor part({m, n});
      gemm(part.data(), n, {A.data() + m0 * K, K}, {B.data() + n0 * K, K, true}, m, n, K);
      for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j)
          ASSERT_EQ(part.data()[i * n + j], C.data()[(m0 + i) * N + n0 + j]) << m0 << "," << n0 << " of " << m << "x" << n;
    }
  }
}

TEST(Gemm, PackedWeightsGiveTheSameBits) {
  const SettingsBack back;
  for (const Precision p : precisions()) {
    set_precision(p);
    const NoGrad off;
    const Var x(normals({19, 50}, 1)), w(normals({37, 50}, 2)), b(normals({37}, 3));
    const Var plain = linear(x, w, b);
    const Frozen f;
    EXPECT_TRUE(same_bits(plain.value(), linear(x, w, b).value()));
    EXPECT_TRUE(same_bits(plain.value(), linear(x, w, b).value())) << "from the store of packed weights";
  }
}

TEST(Gemm, RefusesWeightsPackedForAnotherProduct) {
  const Tensor w = normals({8, 8}, 1);
  const auto packed = pack_b({w.data(), 8, true}, 8, 8);
  Tensor c({8, 9});
  EXPECT_THROW(gemm(c.data(), 9, {w.data(), 8}, {w.data(), 8, true}, 8, 9, 8, {.packed = packed.get()}), Error);
}

TEST(Gemm, CountsItsWork) {
  const int64_t before = gemm_flops();
  const Tensor a = normals({3, 5}, 1);
  Tensor c({3, 3});
  gemm(c.data(), 3, {a.data(), 5}, {a.data(), 5, true}, 3, 3, 5);
  EXPECT_EQ(gemm_flops() - before, 2 * 3 * 3 * 5);
}

}  // namespace
}  // namespace duet
