// Probabilities that mean what they say, learnt from pictures whose class is known and that were not trained on:
// - one temperature for all (Guo et al. 2017, arXiv 1706.04599): p becomes p^(1/T), normalized. The likeliest class stays so;
// - what that temperature is uncertain by, of few pictures: it is fitted anew to pictures drawn with replacement;
// - sets of classes that hold the truth in a given share of cases (split conformal; arXiv 2107.07511), whatever the model:
//   all classes whose probability is at least 1 - q. Pictures of one unit (a patient) count as one case together
//   (Dunn, Wasserman, Ramdas 2022, arXiv 1809.07441: pooled cases).
// All of it holds for pictures like those it is learnt from: of another scanner, or with other shares of the classes, it does
// not.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "infer/eval_stats.h"

namespace duet {

struct Calibration {
  static constexpr double kCoverage = 0.9;
  std::vector<std::string> labels;
  std::string by = "embedding", sentence;  // as of Classifier; empty: the built-in templates
  std::string weights_xxh3;                // of the model it belongs to
  double temperature = 1;
  std::vector<double> resampled;  // temperatures
  double q = 1;                   // of the sets; 1: all classes, where there are too few units to leave any out
  int64_t pictures = 0, units = 0;
};

// p^(1/temperature), normalized.
std::vector<double> at_temperature(std::span<const double> p, double temperature);

// temperature, resampled, q, pictures, units. probabilities (items, classes), truth and unit as of class_measures(). Refuses
// none.
Calibration calibrate(const std::vector<std::vector<double>>& probabilities, std::span<const int> truth,
                      std::span<const int64_t> unit, uint64_t seed);

struct Calibrated {
  std::vector<double> p;              // of each class
  std::vector<Interval> interval_95;  // what the temperature leaves open; of what the model does not know it says nothing
  std::vector<size_t> set;            // the classes of the set, the likeliest first
};
Calibrated calibrated(const Calibration&, std::span<const double> p);

// What the sets are worth on other pictures: how often they hold the truth (interval of units), and classes a set on average.
struct SetMeasures {
  double coverage = 0, size = 0;
  Interval coverage_interval;
};
SetMeasures measure_sets(const Calibration&, const std::vector<std::vector<double>>& probabilities, std::span<const int> truth,
                         std::span<const int64_t> unit, uint64_t seed);

// JSON; reading refuses what was not written so, and names the key.
void save_calibration(const std::string& path, const Calibration&);
Calibration load_calibration(const std::string& path);

}  // namespace duet
