#include "text/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/error.h"

namespace duet {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

// Draws n times and asks that every frequency lies within 5 standard deviations of p, and that p = 0 never comes.
void expect_distribution(const std::vector<float>& logits, SampleOptions o, const std::vector<double>& p) {
  constexpr int n = 40000;
  o.seed = 11;
  std::vector<int> seen(logits.size());
  for (int i = 0; i < n; ++i) ++seen[sample_token(logits, o, i)];
  for (size_t t = 0; t < p.size(); ++t) EXPECT_NEAR(seen[t], n * p[t], 5 * std::sqrt(n * p[t] * (1 - p[t]))) << "token " << t;
}

// Probabilities 0.1, 0.4, 0.2, 0.3.
const std::vector<float> kLogits = {std::log(1.f), std::log(4.f), std::log(2.f), std::log(3.f)};

TEST(Sampling, Plain) { expect_distribution(kLogits, {.temperature = 1}, {.1, .4, .2, .3}); }

TEST(Sampling, Temperature) {
  expect_distribution(kLogits, {.temperature = 0.5f}, {1. / 30, 16. / 30, 4. / 30, 9. / 30});
  std::vector<double> root = {1, 2, std::sqrt(2.), std::sqrt(3.)};
  double sum = root[0] + root[1] + root[2] + root[3];
  for (double& r : root) r /= sum;
  expect_distribution(kLogits, {.temperature = 2}, root);
}

TEST(Sampling, TopK) {
  expect_distribution(kLogits, {.temperature = 1, .top_k = 2}, {0, 4. / 7, 0, 3. / 7});
  expect_distribution(kLogits, {.temperature = 1, .top_k = 1}, {0, 1, 0, 0});
  expect_distribution(kLogits, {.temperature = 1, .top_k = 99}, {.1, .4, .2, .3});
}

TEST(Sampling, TopP) {
  expect_distribution(kLogits, {.temperature = 1, .top_p = 0.65f}, {0, 4. / 7, 0, 3. / 7});
  expect_distribution(kLogits, {.temperature = 1, .top_p = 0.75f}, {0, 4. / 9, 2. / 9, 3. / 9});
  expect_distribution(kLogits, {.temperature = 1, .top_p = 1e-6f}, {0, 1, 0, 0});
  // top_k cuts first: 4/9, 2/9, 3/9 of which the first two reach 0.75.
  expect_distribution(kLogits, {.temperature = 1, .top_k = 3, .top_p = 0.75f}, {0, 4. / 7, 0, 3. / 7});
}

TEST(Sampling, GreedyAndTies) {
  EXPECT_EQ(sample_token(kLogits, {}, 0), 1);
  std::vector<float> tie = {0, 5, 5, 5};
  EXPECT_EQ(sample_token(tie, {}, 7), 1);
  expect_distribution(tie, {.temperature = 1, .top_k = 2}, {0, .5, .5, 0});
  expect_distribution(tie, {.temperature = 1, .top_p = 0.5f}, {0, .5, .5, 0});
}

TEST(Sampling, SameSeedAndCounterSameToken) {
  SampleOptions a{.temperature = 1, .seed = 1}, b{.temperature = 1, .seed = 2};
  int differ = 0;
  for (uint64_t i = 0; i < 200; ++i) {
    EXPECT_EQ(sample_token(kLogits, a, i), sample_token(kLogits, a, i));
    differ += sample_token(kLogits, a, i) != sample_token(kLogits, b, i);
  }
  EXPECT_GT(differ, 100);  // 70 % of independent draws differ
}

TEST(Sampling, Extremes) {
  std::vector<float> huge = {-3e38f, 3e38f, 3e38f, -kInf};
  expect_distribution(huge, {.temperature = 1}, {0, .5, .5, 0});
  expect_distribution(huge, {.temperature = 1e-30f}, {0, .5, .5, 0});
  expect_distribution({0, 1, -kInf}, {.temperature = 1e30f}, {.5, .5, 0});
  expect_distribution({-kInf, -kInf, -1}, {.temperature = 1, .top_k = 2, .top_p = 0.9f}, {0, 0, 1});
}

TEST(Sampling, Refuses) {
  EXPECT_THROW(sample_token(std::vector<float>{1, NAN}, {}, 0), Error);
  EXPECT_THROW(sample_token(std::vector<float>{1, kInf}, {.temperature = 1}, 0), Error);
  EXPECT_THROW(sample_token(std::vector<float>{-kInf}, {}, 0), Error);
  EXPECT_THROW(sample_token({}, {}, 0), Error);
  for (SampleOptions o : {SampleOptions{.temperature = -1},
                          {.temperature = NAN},
                          {.temperature = kInf},
                          {.top_k = -1},
                          {.top_p = 0},
                          {.top_p = 1.1f},
                          {.top_p = NAN}})
    EXPECT_THROW(sample_token(kLogits, o, 0), Error);
}

}  // namespace
}  // namespace duet
