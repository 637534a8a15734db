// Probabilities that mean what they say, learnt from pictures whose class is known and that were not trained on:
// - one temperature for all (Guo et al. 2017, arXiv 1706.04599): p becomes p^(1/T), normalized. The likeliest class stays so.
//   Pictures that are all told right do not say how sure a model may be: T is then at least 1, and ln T is held near 0 as by
//   one picture more (a normal prior of deviation 1), which few pictures feel and many do not;
// - what that temperature is uncertain by, of few pictures: it is fitted anew to pictures drawn with replacement;
// - sets of classes that hold the truth in a given share of cases (split conformal; Angelopoulos and Bates 2021, arXiv
//   2107.07511), whatever the model: all classes with 1 - p <= q, p being the model's own. A case is a unit (a patient), and
//   its pictures share it (Lee, Barber, Willett 2023, arXiv 2306.06342).
// All of it holds for pictures like those it is learnt from: of another scanner, or with other shares of the classes, it does
// not.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "infer/classify.h"
#include "infer/eval_stats.h"
#include "vision/codec.h"

namespace duet {

struct Calibration {
  static constexpr double kCoverage = 0.9;
  std::vector<std::string> labels;
  std::string by = "embedding", sentence;  // as of Classifier; empty: the built-in templates
  std::string weights_xxh3;                // of the model it belongs to
  std::string set_hash, split;        // of the data set it was learnt from (dataset.json), and which part; empty: not known
  std::optional<Window> window = {};  // that its data set was built with: of grey DICOM, which is to be read so too
  double temperature = 1;
  std::vector<double> resampled;  // temperatures; none where all pictures are told right, or are of one unit
  double q = 1;                   // of the sets; 1: all classes, where there are too few units to leave any out
  int64_t pictures = 0, units = 0;
};

// p^(1/temperature), normalized.
std::vector<double> at_temperature(std::span<const double> p, double temperature);

// The same of all pictures' probabilities, as occlusion() wants them; without a calibration as they are.
Probabilities calibrated(const Calibration*, Probabilities);

// temperature, resampled, q, pictures, units. probabilities (items, classes), truth and unit as of class_measures(). Refuses
// none.
Calibration calibrate(const std::vector<std::vector<double>>& probabilities, std::span<const int> truth,
                      std::span<const int64_t> unit, uint64_t seed);

struct Calibrated {
  std::vector<double> p;  // of each class
  // What the temperature leaves open, and p itself; of what the model does not know it says nothing. None where that is not
  // known.
  std::vector<Interval> interval_95;
  std::vector<size_t> set;  // the classes of the set, the likeliest first
};
Calibrated calibrated(const Calibration&, std::span<const double> p);

// What the sets are worth on other pictures: how often they hold the truth, and classes a set; means over units of their means,
// and the 95 % interval of units.
struct SetMeasures {
  double coverage = 0, size = 0;
  Interval coverage_interval;
};
SetMeasures measure_sets(const Calibration&, const std::vector<std::vector<double>>& probabilities, std::span<const int> truth,
                         std::span<const int64_t> unit, uint64_t seed);

std::optional<Window> window_of_set(const std::string& dir);  // that a data set was built with (dataset.json)
std::string hash_of_set(const std::string& dir);              // of all its pictures and words; empty: not known

// JSON; reading refuses what was not written so, and names the key.
void save_calibration(const std::string& path, const Calibration&);
Calibration load_calibration(const std::string& path);

}  // namespace duet
