// What probabilities of classes are worth, beyond how often the likeliest is right: whether they rank (AUROC), whether they
// mean what they say (log loss, Brier score, calibration error), and what is taken for what (confusion matrix).
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "infer/eval_stats.h"

namespace duet {

// The area under the ROC curve: the chance that a positive scores above a negative, ties counted half (Mann and Whitney 1947).
// weight: how often each item counts; empty: once. Not a number without positives or without negatives.
double auroc(std::span<const double> score, std::span<const uint8_t> positive, std::span<const double> weight = {});

// Intervals are 95 %, percentile bootstrap over units; both ends are not a number where there are too few units to tell: under
// two in all, or of AUROC under kFewestUnits with a positive, or with a negative.
struct ClassMeasures {
  static constexpr int64_t kFewestUnits = 5;
  struct OneAgainstRest {
    int64_t positives = 0, negatives = 0;
    double auroc = 0;  // not a number where either is 0
    Interval interval;
    std::string words() const;  // "AUROC 0.893 (0.692 .. 0.991)"; empty where it is no number
  };
  std::vector<OneAgainstRest> by_class;
  double auroc = 0;     // mean over the classes that have both; not a number where none has
  double log_loss = 0;  // mean of -ln p(truth), p taken as at least 1e-12; ln(classes) where all are as likely
  double brier = 0;  // mean of the squared distance from the truth, 0..2 (Brier 1950); 1 - 1 / classes where all are as likely
  // Expected calibration error of the likeliest class: mean distance of confidence and share right over at most 15 bins of as
  // many items each (arXiv 1706.04599; bins as in Nguyen and O'Connor 2015), 0..1; and what it would be on average if every
  // confidence were exactly the chance of being right, which is not 0 for few items.
  double calibration_error = 0, calibration_by_chance = 0;
  double confidence = 0;  // mean probability of the likeliest class: above the share right, it is overconfident
  Interval auroc_interval, log_loss_interval, brier_interval;
  Interval accuracy_interval;                   // of the likeliest class
  Interval balanced_interval;                   // of the mean over the classes that occur of the share found
  std::vector<std::vector<int64_t>> confusion;  // (truth, guess)
  int64_t units = 0;                            // what is resampled: items, or what belongs together
  std::string table(const std::vector<std::string>& labels) const;  // the matrix only of at most 12 classes
};

// probabilities: (items, classes); refuses what is no number. truth: class of each. unit: equal for items that are no
// independent ones, such as the slices of a patient; empty: each for itself. 1,000 resamplings, 200 of over a million
// probabilities; for AUROC and balanced accuracy units are drawn within those of the same classes, so that none goes missing.
// Where every unit is right, or wrong, or every positive above every negative, it is Clopper and Pearson's interval (1934) of
// the units.
ClassMeasures class_measures(const std::vector<std::vector<double>>& probabilities, std::span<const int> truth,
                             std::span<const int64_t> unit, uint64_t seed);

}  // namespace duet
