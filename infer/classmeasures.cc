#include "infer/classmeasures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "kernels/error.h"
#include "kernels/parallel.h"
#include "kernels/random.h"

namespace duet {
namespace {

constexpr int kResamples = 1000, kFewerResamples = 200;
constexpr size_t kMany = 1'000'000;
constexpr uint64_t kChances = 100;
constexpr int64_t kBins = 15;
constexpr size_t kMostShown = 12;
constexpr double kLeast = 1e-12, kUnknown = std::numeric_limits<double>::quiet_NaN();

// Items by falling score; where equal scores end.
struct Order {
  std::vector<int64_t> item;
  std::vector<uint8_t> last;
};
Order order_of(std::span<const double> score) {
  Order o{std::vector<int64_t>(score.size()), std::vector<uint8_t>(score.size(), 1)};
  std::iota(o.item.begin(), o.item.end(), 0);
  std::stable_sort(o.item.begin(), o.item.end(), [&](int64_t a, int64_t b) { return score[size_t(a)] > score[size_t(b)]; });
  for (size_t i = 0; i + 1 < o.item.size(); ++i) o.last[i] = score[size_t(o.item[i])] != score[size_t(o.item[i + 1])];
  return o;
}

double area(const Order& o, std::span<const uint8_t> positive, std::span<const double> weight) {
  double above = 0, sum = 0, negatives = 0, positives_here = 0, negatives_here = 0;  // above: positives of a higher score
  for (size_t i = 0; i < o.item.size(); ++i) {
    const size_t n = size_t(o.item[i]);
    const double w = weight.empty() ? 1 : weight[n];
    (positive[n] ? positives_here : negatives_here) += w;
    if (!o.last[i]) continue;
    sum += negatives_here * (above + positives_here / 2);
    above += positives_here, negatives += negatives_here;
    positives_here = negatives_here = 0;
  }
  return above > 0 && negatives > 0 ? sum / (above * negatives) : kUnknown;
}

double mean_of_known(std::span<const double> v) {
  double sum = 0, n = 0;
  for (const double x : v)
    if (!std::isnan(x)) sum += x, ++n;
  return n > 0 ? sum / n : kUnknown;
}

// Items that are equally confident share what is right among them: which of them falls into which bin is chance.
std::vector<double> shared(const Order& o, const std::vector<double>& right) {
  std::vector<double> out(right.size());
  for (size_t first = 0, i = 0; i < out.size(); ++i) {
    if (!o.last[i]) continue;
    double sum = 0;
    for (size_t k = first; k <= i; ++k) sum += right[size_t(o.item[k])];
    for (size_t k = first; k <= i; ++k) out[size_t(o.item[k])] = sum / double(i + 1 - first);
    first = i + 1;
  }
  return out;
}

double calibration(const Order& o, const std::vector<double>& confidence, const std::vector<double>& right) {
  const auto share = shared(o, right);
  const int64_t n = int64_t(right.size()), bins = std::min(kBins, n);
  double error = 0;
  for (int64_t b = 0; b < bins; ++b) {
    double apart = 0;
    for (int64_t i = b * n / bins; i < (b + 1) * n / bins; ++i)
      apart += confidence[size_t(o.item[size_t(i)])] - share[size_t(o.item[size_t(i)])];
    error += std::abs(apart) / double(n);
  }
  return error;
}

Interval middle(std::vector<double> v) { return v.size() < 40 ? kNoInterval : middle_95(std::move(v)); }

// Units that hold the same classes: drawn among themselves, no class goes missing.
class Strata {
 public:
  Strata(std::span<const int> truth, std::span<const int64_t> unit) {
    std::map<int64_t, std::set<int>> classes;
    for (size_t i = 0; i < truth.size(); ++i) classes[unit[i]].insert(truth[i]);
    std::map<int64_t, int64_t> number;
    std::map<std::set<int>, std::vector<int64_t>> alike;
    for (const auto& [u, held] : classes) number.emplace(u, count_), alike[held].push_back(count_++);
    for (const int64_t u : unit) of_.push_back(number.at(u));
    for (auto& [held, members] : alike) strata_.push_back(std::move(members));
  }
  int64_t count() const { return count_; }               // of units
  int64_t unit(size_t item) const { return of_[item]; }  // from 0
  std::vector<uint16_t> draw(uint64_t seed) const {      // how often each unit
    std::vector<uint16_t> out(static_cast<size_t>(count_));
    for (size_t s = 0; s < strata_.size(); ++s) {
      const auto counts = resample_counts(int64_t(strata_[s].size()), mix(seed, s));
      for (size_t k = 0; k < counts.size(); ++k) out[size_t(strata_[s][k])] = uint16_t(std::min(counts[k], 65535.0));
    }
    return out;
  }
  std::vector<double> weights(const std::vector<uint16_t>& drawn) const {  // of each item
    std::vector<double> w(of_.size());
    for (size_t i = 0; i < w.size(); ++i) w[i] = drawn[size_t(of_[i])];
    return w;
  }

 private:
  int64_t count_ = 0;
  std::vector<int64_t> of_;                   // (items)
  std::vector<std::vector<int64_t>> strata_;  // units
};

}  // namespace

double auroc(std::span<const double> score, std::span<const uint8_t> positive, std::span<const double> weight) {
  CHECK(score.size() == positive.size() && (weight.empty() || weight.size() == score.size()), "a side for each score");
  return area(order_of(score), positive, weight);
}

ClassMeasures class_measures(const std::vector<std::vector<double>>& p, std::span<const int> truth,
                             std::span<const int64_t> unit, uint64_t seed) {
  CHECK(!p.empty() && p.size() == truth.size() && (unit.empty() || unit.size() == p.size()), "a truth for each");
  const size_t n = p.size(), classes = p[0].size();
  ClassMeasures m;
  m.by_class.resize(classes);
  m.confusion.assign(classes, std::vector<int64_t>(classes));
  std::vector<double> loss, brier, right, confidence;
  for (size_t i = 0; i < n; ++i) {
    CHECK(p[i].size() == classes && truth[i] >= 0 && size_t(truth[i]) < classes, "one of ", classes, " classes");
    for (const double x : p[i])
      if (!std::isfinite(x)) refuse("picture ", i + 1, " of ", n, ": its probabilities are no numbers; are the weights whole?");
    const size_t guess = size_t(std::max_element(p[i].begin(), p[i].end()) - p[i].begin());
    double apart = 0;
    for (size_t c = 0; c < classes; ++c) apart += std::pow(p[i][c] - (c == size_t(truth[i])), 2);
    brier.push_back(apart), loss.push_back(-std::log(std::max(p[i][size_t(truth[i])], kLeast)));
    right.push_back(guess == size_t(truth[i])), confidence.push_back(p[i][guess]);
    ++m.confusion[size_t(truth[i])][guess];
  }
  m.log_loss = mean(loss), m.brier = mean(brier), m.confidence = mean(confidence);
  const Order by_confidence = order_of(confidence);
  m.calibration_error = calibration(by_confidence, confidence, right);
  std::vector<double> chance;
  for (uint64_t r = 0; r < kChances; ++r) {
    std::vector<double> so(n);
    for (size_t i = 0; i < n; ++i) so[i] = uniform(mix(seed, 1000 + r), i) < confidence[i];
    chance.push_back(calibration(by_confidence, confidence, so));
  }
  m.calibration_by_chance = mean(chance);

  std::vector<int64_t> own(unit.begin(), unit.end());
  if (own.empty()) own.resize(n), std::iota(own.begin(), own.end(), 0);
  const int resamples = n * classes > kMany ? kFewerResamples : kResamples;
  m.log_loss_interval = bootstrap_units(loss, own, mix(seed, 1), resamples);
  m.brier_interval = bootstrap_units(brier, own, mix(seed, 2), resamples);
  m.accuracy_interval = bootstrap_units(right, own, mix(seed, 3), resamples);

  const Strata strata(truth, own);
  m.units = strata.count();
  std::vector<std::vector<uint16_t>> draws;
  std::vector<double> balanced;
  for (int r = 0; r < resamples && m.units > 1; ++r) {
    draws.push_back(strata.draw(mix(mix(seed, 4), uint64_t(r))));
    const auto w = strata.weights(draws.back());
    std::vector<double> found(classes), all(classes);
    for (size_t i = 0; i < n; ++i) found[size_t(truth[i])] += w[i] * right[i], all[size_t(truth[i])] += w[i];
    for (size_t c = 0; c < classes; ++c) found[c] /= all[c];  // of a class that is not there no number
    balanced.push_back(mean_of_known(found));
  }
  m.balanced_interval = middle(std::move(balanced));
  if (const double share = mean(right), far = std::pow(0.025, 1 / double(m.units)); m.units > 1 && (share == 0 || share == 1))
    m.accuracy_interval = m.balanced_interval = share == 0 ? Interval{0, 1 - far} : Interval{far, 1};

  std::vector<std::vector<double>> resampled(classes);  // (classes, resamplings)
  parallel_for(int64_t(classes), [&](int64_t c) {
    auto& one = m.by_class[size_t(c)];
    std::vector<double> score;
    std::vector<uint8_t> positive;
    std::set<int64_t> with[2];  // units with a negative, a positive
    for (size_t i = 0; i < n; ++i) {
      score.push_back(p[i][size_t(c)]), positive.push_back(truth[i] == c);
      with[positive.back()].insert(strata.unit(i));
    }
    one.positives = std::count(positive.begin(), positive.end(), 1), one.negatives = int64_t(n) - one.positives;
    const Order order = order_of(score);
    one.auroc = area(order, positive, {}), one.interval = kNoInterval;
    if (std::isnan(one.auroc)) return;
    for (const auto& d : draws) resampled[size_t(c)].push_back(area(order, positive, strata.weights(d)));
    const int64_t fewer = int64_t(std::min(with[0].size(), with[1].size()));
    if (fewer < ClassMeasures::kFewestUnits) return;
    const double far = std::pow(0.025, 1 / double(fewer));
    one.interval = one.auroc == 1 ? Interval{far, 1} : one.auroc == 0 ? Interval{0, 1 - far} : middle(resampled[size_t(c)]);
  });
  std::vector<double> known, macro;
  bool told = true;  // of every class that counts
  Interval ends{1, 0};
  for (const auto& one : m.by_class) {
    known.push_back(one.auroc);
    if (std::isnan(one.auroc)) continue;
    told = told && one.interval.known();
    ends = {std::min(ends.low, one.interval.low), std::max(ends.high, one.interval.high)};
  }
  m.auroc = mean_of_known(known), m.auroc_interval = kNoInterval;
  if (std::isnan(m.auroc) || !told) return m;
  for (size_t r = 0; r < draws.size(); ++r) {
    std::vector<double> v;
    for (const auto& of_class : resampled)
      if (!of_class.empty()) v.push_back(of_class[r]);
    macro.push_back(mean_of_known(v));
  }
  m.auroc_interval = m.auroc == 1 || m.auroc == 0 ? ends : middle(std::move(macro));
  return m;
}

static std::string within_words(const Interval& i) {
  return !i.known() ? "too few to say how sure" : fmt::format("95 % {:.3f} .. {:.3f}", i.low, i.high);
}

std::string ClassMeasures::OneAgainstRest::words() const {
  if (std::isnan(auroc)) return "";
  return fmt::format("AUROC {:.3f} ", auroc) +
         (!interval.known() ? "(too few)" : fmt::format("({:.3f} .. {:.3f})", interval.low, interval.high));
}

std::string ClassMeasures::table(const std::vector<std::string>& labels) const {
  std::string out = std::isnan(auroc) ? "AUROC: no class has pictures of it and pictures of others\n"
                                      : fmt::format("AUROC, one against the rest, mean  {:.3f} ({}); chance 0.5\n", auroc,
                                                    within_words(auroc_interval));
  const double classes = double(by_class.size());
  out += fmt::format(
      "log loss {:.3f} ({}), all as likely {:.3f}; Brier score {:.3f} ({}), all as likely {:.3f}\n"
      "calibration error {:.3f}, by chance alone {:.3f}; mean confidence {:.1f} %\n",
      log_loss, within_words(log_loss_interval), std::log(classes), brier, within_words(brier_interval), 1 - 1 / classes,
      calibration_error, calibration_by_chance, 100 * confidence);
  if (labels.size() > kMostShown) return out;
  out += fmt::format("{:<26}", "truth (rows), guess");
  for (size_t c = 0; c < labels.size(); ++c) out += fmt::format("{:>6}", c + 1);
  for (size_t t = 0; t < labels.size(); ++t) {
    out += fmt::format("\n  {:>2} {:<21}", t + 1, labels[t]);
    for (const int64_t count : confusion[t]) out += fmt::format("{:>6}", count);
  }
  return out + "\n";
}

}  // namespace duet
