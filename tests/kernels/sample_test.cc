#include <gtest/gtest.h>

#include <cmath>

#include "kernels/device.h"
#include "kernels/table.h"
#include "tests/kernels/gradcheck.h"

namespace duet {
namespace {

constexpr double kNone = -INFINITY;

// The likeliest are those of a plain sort of all, with their log-probabilities among what is allowed.
TEST(Sample, BestTokensAreThoseOfASort) {
  for (const int64_t V : {1, 2, 13, 4096})
    for (const int64_t n : {int64_t(1), int64_t(5), V}) {
      Tensor z = normals({V}, uint64_t(V));
      for (int64_t v = 0; v < V; v += 2) z.data()[v] = std::round(z.data()[v]);  // many equals
      std::vector<uint8_t> allowed(size_t(V), 1);
      for (size_t v = 0; v < allowed.size(); ++v) allowed[v] = v % 5 != 1;
      std::vector<int32_t> all;
      double sum = 0;
      for (int32_t v = 0; v < int32_t(V); ++v)
        if (allowed[size_t(v)]) all.push_back(v), sum += std::exp(double(z.data()[v]));
      std::stable_sort(all.begin(), all.end(), [&](int32_t a, int32_t b) { return z.data()[a] > z.data()[b]; });
      std::vector<int32_t> token(size_t(n), -1);
      std::vector<double> log_prob(size_t(n), 1);
      cpu::best_tokens(token.data(), log_prob.data(), z.data(), allowed.data(), V, n);
      for (size_t i = 0; i < token.size(); ++i) {
        const bool there = i < all.size();
        EXPECT_EQ(token[i], there ? all[i] : 0) << V << " place " << i;
        if (there) EXPECT_NEAR(log_prob[i], z.data()[all[i]] - std::log(sum), 1e-12);
        else EXPECT_EQ(log_prob[i], kNone);
      }
    }
}

TEST(Sample, WhatIsNoNumberIsSaidToBeNone) {
  const uint8_t second[] = {0, 1, 0};
  const float forbidden[] = {NAN, 3, INFINITY};
  EXPECT_EQ(cpu::log_sum(forbidden, second, 3), 3) << "what is forbidden does not matter";
  const float never[] = {-INFINITY, -INFINITY}, far[] = {-1e30f, -2e30f};
  for (const float* z : {forbidden, forbidden + 2, never})
    EXPECT_TRUE(std::isnan(cpu::log_sum(z, nullptr, z == never ? 2 : 1)));
  EXPECT_EQ(cpu::log_sum(far, nullptr, 2), double(-1e30f));
  int32_t token[2];
  double log_prob[2];
  cpu::best_tokens(token, log_prob, never, nullptr, 2, 2);
  EXPECT_TRUE(std::isnan(log_prob[0]) && std::isnan(log_prob[1]));
}

// Each row draws by its own counter and for itself; the log-probability is the plain one.
TEST(Sample, RowsAreDrawnAlone) {
  const int64_t N = 7, V = 13;
  const Tensor z = normals({N, V}, 1), counter = ints({0, 1, 2, 3, 4, 5, 100000});
  Tensor allowed({V}, DType::u8);
  std::fill_n(allowed.data<uint8_t>(), V, 1);
  allowed.data<uint8_t>()[4] = 0;
  const SampleOptions o{2, 9, 0.95f, 3};
  const Tensor token({N}, DType::i32), log_prob({N, 1, 2}, DType::i32);
  cpu_kernels().draw_tokens(token, log_prob, z, allowed, o, counter);
  for (int64_t n = 0; n < N; ++n) {
    const float* row = z.data() + n * V;
    const int32_t t = cpu::draw_token(row, allowed.data<uint8_t>(), V, o, uint64_t(counter.data<int32_t>()[n]));
    EXPECT_EQ(token.data<int32_t>()[n], t);
    EXPECT_NE(t, 4);
    EXPECT_EQ(log_prob.data<double>()[n], row[t] - cpu::log_sum(row, allowed.data<uint8_t>(), V));
  }
}

}  // namespace
}  // namespace duet
