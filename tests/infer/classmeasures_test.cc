// Measures of probabilities, by hand: ranks, losses, calibration, and intervals of what belongs together.
#include "infer/classmeasures.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/error.h"
#include "kernels/random.h"

namespace duet {
namespace {

using Rows = std::vector<std::vector<double>>;

TEST(ClassMeasures, AurocByHand) {
  const std::vector<double> score{0.9, 0.8, 0.7, 0.7, 0.1};
  const std::vector<uint8_t> positive{1, 0, 1, 0, 0};
  // pairs: 0.9 above all three; 0.7 below 0.8, equal to 0.7, above 0.1
  EXPECT_DOUBLE_EQ(auroc(score, positive), (3 + 0 + 0.5 + 1) / 6.0);
  // the negative at 0.8 counts twice, that at 0.1 not at all: of 2 * 3 pairs 0.9 wins three, 0.7 half of one
  EXPECT_DOUBLE_EQ(auroc(score, positive, std::vector<double>{1, 2, 1, 1, 0}), (3 + 0.5) / 6.0);
  EXPECT_DOUBLE_EQ(auroc(std::vector<double>{1, 1, 1}, std::vector<uint8_t>{1, 0, 0}), 0.5);
  EXPECT_DOUBLE_EQ(auroc(std::vector<double>{0, 1}, std::vector<uint8_t>{1, 0}), 0);
  EXPECT_TRUE(std::isnan(auroc(std::vector<double>{0, 1}, std::vector<uint8_t>{1, 1})));
}

TEST(ClassMeasures, LossesAndConfusionByHand) {
  const Rows p{{0.5, 0.25, 0.25}, {0.1, 0.8, 0.1}, {0.6, 0.4, 0}, {0, 0, 1}};
  const std::vector<int> truth{0, 1, 1, 0};  // the last has no probability at all, and the third class does not occur
  const ClassMeasures m = class_measures(p, truth, {}, 1);
  EXPECT_NEAR(m.log_loss, -(std::log(0.5) + std::log(0.8) + std::log(0.4) + std::log(1e-12)) / 4, 1e-12);
  EXPECT_NEAR(m.brier, (0.375 + 0.06 + 0.72 + 2) / 4, 1e-12);
  EXPECT_NEAR(m.confidence, (0.5 + 0.8 + 0.6 + 1) / 4, 1e-12);
  EXPECT_EQ(m.confusion, (std::vector<std::vector<int64_t>>{{1, 0, 1}, {1, 1, 0}, {0, 0, 0}}));
  EXPECT_EQ(m.units, 4);
  EXPECT_LE(m.balanced_interval.low, 0.5) << "of the first one of two, of the second one of two";
  EXPECT_GE(m.balanced_interval.high, 0.5);
  EXPECT_EQ(m.by_class[0].positives, 2);
  EXPECT_DOUBLE_EQ(m.by_class[0].auroc, 1.0 / 4) << "0.5 above 0.1, below 0.6; 0 above none";
  EXPECT_DOUBLE_EQ(m.by_class[1].auroc, 1) << "0.8 and 0.4 above 0.25 and 0";
  EXPECT_TRUE(std::isnan(m.by_class[1].interval.low)) << "two of each say nothing";
  EXPECT_TRUE(std::isnan(m.auroc_interval.low));
  EXPECT_TRUE(std::isnan(m.by_class[2].auroc));
  EXPECT_DOUBLE_EQ(m.auroc, 5.0 / 8);
  // bins of one item each: |0.5 - 1|, |0.8 - 1|, |0.6 - 0|, |1 - 0|
  EXPECT_NEAR(m.calibration_error, (0.5 + 0.2 + 0.6 + 1) / 4, 1e-12);
  const std::string table = m.table({"a", "b", "c"});
  EXPECT_NE(table.find("mean  0.625"), std::string::npos) << table;
  EXPECT_NE(table.find("\n   2 b                         1     1     0\n"), std::string::npos) << table;
}

// Probabilities that are true: log loss is their entropy, the calibration error what chance makes of 40 items a bin, and the
// intervals hold what is so.
TEST(ClassMeasures, WhatIsCalibratedIsFoundSo) {
  constexpr int kItems = 600;
  Rows p, over;
  std::vector<int> truth;
  for (int i = 0; i < kItems; ++i) {
    const double q = 0.5 + 0.5 * uniform(3, uint64_t(i));
    p.push_back({q, 1 - q}), over.push_back({q > 0.5 ? 0.999 : 0.001, q > 0.5 ? 0.001 : 0.999});
    truth.push_back(uniform(4, uint64_t(i)) < q ? 0 : 1);
  }
  const ClassMeasures good = class_measures(p, truth, {}, 1), bold = class_measures(over, truth, {}, 1);
  EXPECT_LT(good.calibration_error, 0.08);
  EXPECT_NEAR(good.confidence, 0.75, 0.03);
  EXPECT_GT(bold.calibration_error, 0.2) << "sure of everything, right in three of four";
  EXPECT_GT(bold.log_loss, good.log_loss_interval.high);
  EXPECT_GT(bold.brier, good.brier_interval.high);
  double entropy = 0;
  for (int i = 0; i < 100000; ++i) {
    const double q = 0.5 + 0.5 * (i + 0.5) / 100000;
    entropy -= (q * std::log(q) + (1 - q) * std::log1p(-q)) / 100000;
  }
  EXPECT_LT(good.log_loss_interval.low, entropy);
  EXPECT_GT(good.log_loss_interval.high, entropy);
}

TEST(ClassMeasures, CalibrationDoesNotDependOnTheOrderOfTheEqual) {
  const Rows p(30, {0.5, 0.5});
  std::vector<int> sorted, mixed;
  for (int i = 0; i < 30; ++i) sorted.push_back(i < 15 ? 0 : 1), mixed.push_back(i % 2);
  EXPECT_NEAR(class_measures(p, sorted, {}, 1).calibration_error, 0, 1e-12);
  EXPECT_NEAR(class_measures(p, mixed, {}, 1).calibration_error, 0, 1e-12);
}

// The error that a few answers show though each is as likely right as it says.
TEST(ClassMeasures, CalibrationByChanceAlone) {
  Rows p;
  std::vector<int> truth;
  for (int i = 0; i < 45; ++i) {
    const double q = 0.55 + 0.4 * uniform(5, uint64_t(i));
    p.push_back({q, 1 - q}), truth.push_back(uniform(6, uint64_t(i)) < q ? 0 : 1);
  }
  const ClassMeasures m = class_measures(p, truth, {}, 1);
  EXPECT_GT(m.calibration_by_chance, 0.1) << "three to a bin";
  EXPECT_NEAR(m.calibration_error, m.calibration_by_chance, 0.1);
}

// Everything right: as sure as so many patients make it, not slices; of one patient nothing is known.
TEST(ClassMeasures, AllRightIsAsSureAsItsUnits) {
  Rows p;
  std::vector<int> truth;
  std::vector<int64_t> patient, one;
  for (int i = 0; i < 60; ++i) {
    const bool ill = i >= 30;
    p.push_back({ill ? 0.1 : 0.9, ill ? 0.9 : 0.1}), truth.push_back(ill), patient.push_back(i / 5), one.push_back(0);
  }
  const ClassMeasures m = class_measures(p, truth, patient, 1);
  EXPECT_EQ(m.units, 12);
  EXPECT_NEAR(m.accuracy_interval.low, std::pow(0.025, 1.0 / 12), 1e-12);
  EXPECT_NEAR(m.by_class[0].interval.low, std::pow(0.025, 1.0 / 6), 1e-12) << "six ill, six not";
  EXPECT_NEAR(m.auroc_interval.low, std::pow(0.025, 1.0 / 6), 1e-12);
  const ClassMeasures alone = class_measures(p, truth, one, 1);
  EXPECT_TRUE(std::isnan(alone.accuracy_interval.low) && std::isnan(alone.log_loss_interval.high));
  EXPECT_NE(alone.table({"well", "ill"}).find("too few to say how sure"), std::string::npos);
}

// One ill patient of twenty-one, missed: balanced accuracy is a half, whichever are drawn.
TEST(ClassMeasures, NoClassGoesMissingWhenItIsResampled) {
  Rows p;
  std::vector<int> truth;
  for (int i = 0; i < 21; ++i) p.push_back({0.9 - 0.01 * i, 0.1 + 0.01 * i}), truth.push_back(i == 20);
  const ClassMeasures m = class_measures(p, truth, {}, 1);
  EXPECT_DOUBLE_EQ(m.balanced_interval.low, 0.5);
  EXPECT_DOUBLE_EQ(m.balanced_interval.high, 0.5);
  EXPECT_TRUE(std::isnan(m.by_class[1].interval.low)) << "one of it";
}

TEST(ClassMeasures, WhatIsNoNumberIsRefused) {
  try {
    class_measures({{0.5, 0.5}, {NAN, NAN}}, std::vector<int>{0, 1}, {}, 1);
    ADD_FAILURE() << "measured";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "picture 2 of 2: its probabilities are no numbers; are the weights whole?");
  }
}

// Ten slices of each patient, alike: as many independent facts as patients, so intervals are about sqrt(10) times as wide.
TEST(ClassMeasures, WhatBelongsTogetherIsResampledAsOne) {
  Rows p;
  std::vector<int> truth;
  std::vector<int64_t> patient;
  for (int i = 0; i < 40; ++i) {
    const double q = uniform(7, uint64_t(i));
    for (int slice = 0; slice < 10; ++slice) {
      p.push_back({q, 1 - q}), truth.push_back(uniform(8, uint64_t(i)) < 0.3 + 0.4 * q ? 0 : 1), patient.push_back(i);
    }
  }
  const ClassMeasures apart = class_measures(p, truth, {}, 1), as_one = class_measures(p, truth, patient, 1);
  EXPECT_EQ(apart.units, 400);
  EXPECT_EQ(as_one.units, 40);
  EXPECT_DOUBLE_EQ(apart.auroc, as_one.auroc);
  const auto width = [](const Interval& i) { return i.high - i.low; };
  for (const auto& [one, other] :
       {std::pair(apart.auroc_interval, as_one.auroc_interval), std::pair(apart.log_loss_interval, as_one.log_loss_interval),
        std::pair(apart.accuracy_interval, as_one.accuracy_interval),
        std::pair(apart.balanced_interval, as_one.balanced_interval)})
    EXPECT_NEAR(width(other) / width(one), std::sqrt(10.0), 0.6);
}

}  // namespace
}  // namespace duet
