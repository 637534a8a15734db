// Temperatures and sets, against cases whose answer is known: by hand, or because the world they are drawn from is ours.
#include "infer/calibration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <numeric>

#include "kernels/error.h"
#include "kernels/files.h"
#include "kernels/random.h"

namespace duet {
namespace {

struct World {
  std::vector<std::vector<double>> p;
  std::vector<int> truth;
  std::vector<int64_t> unit;
};

// Classes come as softmax(z) says, z normal; what is told is softmax(sharper z). Each case is there `copies` times.
World world(int n, double sharper, int copies, uint64_t seed) {
  World w;
  for (int i = 0; i < n; ++i) {
    std::vector<double> z, told;
    double sum = 0, told_sum = 0;
    for (int c = 0; c < 4; ++c) z.push_back(1.5 * double(normal(seed, uint64_t(i * 4 + c))));
    for (const double x : z) sum += std::exp(x), told_sum += told.emplace_back(std::exp(sharper * x));
    for (double& x : told) x /= told_sum;
    double left = double(mix(seed + 1, uint64_t(i)) >> 11) * 0x1p-53 * sum;
    int truth = 0;
    while (truth < 3 && (left -= std::exp(z[size_t(truth)])) > 0) ++truth;
    for (int k = 0; k < copies; ++k) w.p.push_back(told), w.truth.push_back(truth), w.unit.push_back(i);
  }
  return w;
}

TEST(Calibration, ATemperatureByHand) {
  const double p[] = {0.8, 0.2, 0};
  const auto warm = at_temperature(p, 2);
  EXPECT_NEAR(warm[0], 2.0 / 3, 1e-6);
  EXPECT_NEAR(warm[1], 1.0 / 3, 1e-6);
  EXPECT_LT(warm[2], 1e-5);
  const auto same = at_temperature(p, 1);
  for (size_t l = 0; l < 3; ++l) EXPECT_NEAR(same[l], p[l], 1e-9);
}

TEST(Calibration, FindsHowMuchTooSureSomethingIs) {
  for (const double sharper : {0.5, 1.0, 3.0}) {
    const World w = world(3000, sharper, 1, 7);
    const Calibration c = calibrate(w.p, w.truth, {}, 1);
    const Interval in = middle_95(c.resampled);
    EXPECT_GT(sharper, in.low) << "95 %: this seed is one of them";
    EXPECT_LT(sharper, in.high);
    EXPECT_LT(in.high / in.low, 1.2);
    EXPECT_GT(c.temperature, in.low);
    EXPECT_LT(c.temperature, in.high);
  }
}

TEST(Calibration, WhatBelongsTogetherIsOneCase) {
  const World one = world(300, 2, 1, 3), many = world(300, 2, 16, 3);
  const auto width = [](const Calibration& c) { return std::log(middle_95(c.resampled).high / middle_95(c.resampled).low); };
  const Calibration alone = calibrate(one.p, one.truth, {}, 1), together = calibrate(many.p, many.truth, many.unit, 1),
                    wrong = calibrate(many.p, many.truth, {}, 1);
  EXPECT_NEAR(together.temperature, alone.temperature, 0.03) << "the prior weighs less beside more pictures";
  EXPECT_NEAR(width(together), width(alone), 0.1 * width(alone));
  EXPECT_LT(width(wrong), width(alone) / 3) << "sixteen copies taken for cases: a fourth as wide";
  EXPECT_EQ(together.units, 300);
  EXPECT_EQ(together.pictures, 4800);
  EXPECT_EQ(together.q, alone.q);
}

TEST(Calibration, SetsHoldTheTruthAsOftenAsTheySay) {
  const World learn = world(2000, 2, 1, 11), other = world(4000, 2, 1, 12);
  const Calibration c = calibrate(learn.p, learn.truth, {}, 1);
  const SetMeasures m = measure_sets(c, other.p, other.truth, {}, 1);
  EXPECT_NEAR(m.coverage, 0.9, 4 * std::sqrt(0.09 / 2000 + 0.09 / 4000)) << "four sigma";
  EXPECT_GT(m.size, 1);
  EXPECT_LT(m.size, 3);
  EXPECT_LT(m.coverage_interval.low, m.coverage);
  EXPECT_GT(m.coverage_interval.high, m.coverage);
  const World few = world(10, 2, 3, 13);
  Calibration all;  // q is 1: every set holds everything
  const SetMeasures sure = measure_sets(all, few.p, few.truth, few.unit, 1);
  EXPECT_EQ(sure.coverage, 1);
  EXPECT_NEAR(sure.size, 4, 1e-9);
  EXPECT_NEAR(sure.coverage_interval.low, std::pow(0.025, 0.1), 1e-12) << "ten cases, not thirty";
}

// The share of n + 1 cases: of 9 the worst has to be in, of 19 the 18th of them, of 8 nothing may be left out.
TEST(Calibration, SetsOfFewByHand) {
  const auto q = [](int n) {
    std::vector<std::vector<double>> p;
    for (int i = 0; i < n; ++i) p.push_back({0.95 - 0.05 * i, 0.05 + 0.05 * i});  // the later ones are told wrong
    return calibrate(p, std::vector<int>(size_t(n), 0), {}, 1).q;
  };
  EXPECT_NEAR(q(9), 0.05 * 9, 1e-12);
  EXPECT_NEAR(q(19), 0.05 * 18, 1e-12);
  EXPECT_EQ(q(8), 1);
  Calibration c;
  const double p[] = {0.1, 0.9, 1e-9};
  EXPECT_EQ(calibrated(c, p).set, (std::vector<size_t>{1, 0, 2}));
  EXPECT_FALSE(calibrated(c, p).interval_95[0].known());
  c.q = 1 - 0.1;
  EXPECT_EQ(calibrated(c, p).set, (std::vector<size_t>{1, 0})) << "the case that q is made of is in its own set";
  EXPECT_THROW(calibrate({}, {}, {}, 1), Error);
}

TEST(Calibration, OfPicturesThatAreAllRightNothingIsMadeSurer) {
  const std::vector<std::vector<double>> p(30, {0.7, 0.2, 0.1});
  const Calibration c = calibrate(p, std::vector<int>(30, 0), {}, 1);
  EXPECT_EQ(c.temperature, 1);
  EXPECT_TRUE(c.resampled.empty());
  EXPECT_FALSE(calibrated(c, p[0]).interval_95[0].known());
  // Some resamplings of one error in thirty hold none: they say no more.
  std::vector<int> one_wrong(30, 0);
  one_wrong[7] = 1;
  const Calibration few = calibrate(p, one_wrong, {}, 1);
  for (const double t : few.resampled) EXPECT_GT(t, 0.3);
}

TEST(Calibration, ACaseIsAUnitWhereSetsAreJudgedToo) {
  Calibration c;
  c.q = 0.5;
  std::vector<std::vector<double>> p(9, {0.9, 0.1});  // nine patients of one slice, held; one of 91, missed
  p.resize(100, {0.1, 0.9});
  std::vector<int64_t> unit;
  for (int64_t i = 0; i < 100; ++i) unit.push_back(std::min<int64_t>(i, 9));
  const SetMeasures m = measure_sets(c, p, std::vector<int>(100, 0), unit, 1);
  EXPECT_NEAR(m.coverage, 0.9, 1e-12);
  EXPECT_NEAR(m.size, 1, 1e-12);
}

TEST(Calibration, IntervalsHoldTheProbability) {
  const World w = world(300, 2, 1, 5);
  const Calibration c = calibrate(w.p, w.truth, {}, 1);
  for (size_t i = 0; i < 20; ++i) {
    const Calibrated one = calibrated(c, w.p[i]);
    EXPECT_NEAR(std::accumulate(one.p.begin(), one.p.end(), 0.0), 1, 1e-12);
    for (size_t l = 0; l < 4; ++l) {
      EXPECT_LE(one.interval_95[l].low, one.p[l] + 1e-9);
      EXPECT_GE(one.interval_95[l].high, one.p[l] - 1e-9);
    }
  }
}

TEST(Calibration, TheFileSaysItAll) {
  const std::string path = (std::filesystem::path(testing::TempDir()) / "calibration.json").string();
  const World w = world(50, 2, 2, 5);
  Calibration c = calibrate(w.p, w.truth, w.unit, 1);
  c.labels = {"a", "\xea\xb3\xa0\xec\x96\x91\xec\x9d\xb4", "c", "d"}, c.by = "caption", c.sentence = "scan of {}",
  c.weights_xxh3 = "12";
  save_calibration(path, c);
  const Calibration r = load_calibration(path);
  EXPECT_EQ(r.labels, c.labels);
  EXPECT_EQ(r.by, c.by);
  EXPECT_EQ(r.sentence, c.sentence);
  EXPECT_EQ(r.weights_xxh3, "12");
  EXPECT_EQ(r.temperature, c.temperature);
  EXPECT_EQ(r.resampled, c.resampled);
  EXPECT_EQ(r.q, c.q);
  EXPECT_EQ(r.pictures, 100);
  EXPECT_EQ(r.units, 50);
  const std::string good = read_file(path, 1 << 20);
  const auto refusal = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    write_file(path, text);
    try {
      load_calibration(path);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_NE(refusal("{", "").find("not JSON"), std::string::npos);
  EXPECT_NE(refusal("duet-calibration-1", "other").find("format 'other'"), std::string::npos);
  EXPECT_NE(refusal("\"temperature\"", "\"temper\"").find("key 'temperature': expected a number"), std::string::npos);
  EXPECT_NE(refusal("\"set_q\": ", "\"set_q\": 7").find("key 'set_q': 7"), std::string::npos);
  EXPECT_NE(refusal("\"caption\"", "\"hand\"").find("key 'by': 'hand'"), std::string::npos);
  EXPECT_NE(refusal("\"labels\": [", "\"labels\": [3,").find("key 'labels'"), std::string::npos);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace duet
