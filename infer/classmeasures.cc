#include "infer/classmeasures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "kernels/error.h"
#include "kernels/parallel.h"
#include "kernels/random.h"

namespace duet {
namespace {

constexpr int kResamples = 1000;
constexpr int64_t kBins = 15;
constexpr size_t kMostShown = 12;
constexpr double kLeast = 1e-12;

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
  return above > 0 && negatives > 0 ? sum / (above * negatives) : std::numeric_limits<double>::quiet_NaN();
}

double mean_of_known(std::span<const double> v) {
  double sum = 0, n = 0;
  for (const double x : v)
    if (!std::isnan(x)) sum += x, ++n;
  return n > 0 ? sum / n : std::numeric_limits<double>::quiet_NaN();
}

double weighted_mean(std::span<const double> v, std::span<const double> weight) {
  double sum = 0, all = 0;
  for (size_t i = 0; i < v.size(); ++i) sum += weight[i] * v[i], all += weight[i];
  return sum / all;
}

double calibration(const std::vector<double>& confidence, const std::vector<double>& right) {
  const Order o = order_of(confidence);
  const int64_t n = int64_t(right.size()), bins = std::min(kBins, n);
  double error = 0;
  for (int64_t b = 0; b < bins; ++b) {
    double apart = 0;
    for (int64_t i = b * n / bins; i < (b + 1) * n / bins; ++i)
      apart += confidence[size_t(o.item[size_t(i)])] - right[size_t(o.item[size_t(i)])];
    error += std::abs(apart) / double(n);
  }
  return error;
}

Interval middle(std::vector<double> v) {
  std::erase_if(v, [](double x) { return std::isnan(x); });  // resamplings without one side
  return v.size() < 40 ? Interval{0, 1} : middle_95(std::move(v));
}

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
    const size_t guess = size_t(std::max_element(p[i].begin(), p[i].end()) - p[i].begin());
    double apart = 0;
    for (size_t c = 0; c < classes; ++c) apart += std::pow(p[i][c] - (c == size_t(truth[i])), 2);
    brier.push_back(apart), loss.push_back(-std::log(std::max(p[i][size_t(truth[i])], kLeast)));
    right.push_back(guess == size_t(truth[i])), confidence.push_back(p[i][guess]);
    ++m.confusion[size_t(truth[i])][guess];
  }
  m.log_loss = mean(loss), m.brier = mean(brier), m.confidence = mean(confidence);
  m.calibration_error = calibration(confidence, right);

  std::map<int64_t, int64_t> units;
  std::vector<int64_t> unit_of(n);
  for (size_t i = 0; i < n; ++i)
    unit_of[i] = units.emplace(unit.empty() ? int64_t(i) : unit[i], int64_t(units.size())).first->second;
  m.units = int64_t(units.size());
  std::vector<std::vector<double>> weights;
  for (int r = 0; r < kResamples; ++r) {
    const auto counts = resample_counts(m.units, mix(seed, uint64_t(r)));
    auto& w = weights.emplace_back(n);
    for (size_t i = 0; i < n; ++i) w[i] = counts[size_t(unit_of[i])];
  }
  const auto of_means = [&](const std::vector<double>& values) {
    std::vector<double> v;
    for (const auto& w : weights) v.push_back(weighted_mean(values, w));
    return middle(std::move(v));
  };
  m.log_loss_interval = of_means(loss), m.brier_interval = of_means(brier);
  m.accuracy_interval = share_interval(right, seed);
  if (m.units < int64_t(n)) m.accuracy_interval = of_means(right);
  std::vector<double> balanced;
  for (const auto& w : weights) {
    std::vector<double> found(classes), all(classes);
    for (size_t i = 0; i < n; ++i) found[size_t(truth[i])] += w[i] * right[i], all[size_t(truth[i])] += w[i];
    for (size_t c = 0; c < classes; ++c) found[c] /= all[c];  // of a class that is not there no number
    balanced.push_back(mean_of_known(found));
  }
  m.balanced_interval = middle(std::move(balanced));

  std::vector<std::vector<double>> resampled(classes);  // (classes, resamplings)
  parallel_for(int64_t(classes), [&](int64_t c) {
    auto& one = m.by_class[size_t(c)];
    std::vector<double> score;
    std::vector<uint8_t> positive;
    for (size_t i = 0; i < n; ++i) score.push_back(p[i][size_t(c)]), positive.push_back(truth[i] == c);
    one.positives = std::count(positive.begin(), positive.end(), 1), one.negatives = int64_t(n) - one.positives;
    const Order order = order_of(score);
    one.auroc = area(order, positive, {});
    if (std::isnan(one.auroc)) return;
    for (const auto& w : weights) resampled[size_t(c)].push_back(area(order, positive, w));
    one.interval = middle(resampled[size_t(c)]);
    if (one.auroc == 1) one.interval = {std::pow(0.025, 1 / double(std::min(one.positives, one.negatives))), 1};
  });
  std::vector<double> known, macro;
  for (const auto& one : m.by_class) known.push_back(one.auroc);
  m.auroc = mean_of_known(known);
  for (int r = 0; r < kResamples && !std::isnan(m.auroc); ++r) {
    std::vector<double> v;
    for (const auto& of_class : resampled)
      if (!of_class.empty()) v.push_back(of_class[size_t(r)]);
    macro.push_back(mean_of_known(v));
  }
  if (!macro.empty()) m.auroc_interval = middle(std::move(macro));
  return m;
}

std::string ClassMeasures::OneAgainstRest::words() const {
  return std::isnan(auroc) ? "" : fmt::format("AUROC {:.3f} ({:.3f} .. {:.3f})", auroc, interval.low, interval.high);
}

std::string ClassMeasures::table(const std::vector<std::string>& labels) const {
  std::string out = std::isnan(auroc)
                        ? "AUROC: no class has pictures of it and pictures of others\n"
                        : fmt::format("AUROC, one against the rest, mean  {:.3f} (95 % {:.3f} .. {:.3f}); chance 0.5\n", auroc,
                                      auroc_interval.low, auroc_interval.high);
  out += fmt::format(
      "log loss {:.3f} (95 % {:.3f} .. {:.3f}), all as likely {:.3f}; Brier score {:.3f} (95 % {:.3f} .. {:.3f})\n"
      "calibration error {:.3f}; mean confidence {:.1f} %\n",
      log_loss, log_loss_interval.low, log_loss_interval.high, std::log(double(by_class.size())), brier, brier_interval.low,
      brier_interval.high, calibration_error, 100 * confidence);
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
