#include "infer/eval_stats.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "kernels/error.h"
#include "kernels/random.h"

namespace duet {
namespace {

int64_t below(uint64_t seed, uint64_t i, int64_t n) { return std::min(int64_t(uniform(seed, i) * double(n)), n - 1); }

// The middle 95 % of what `value(r)` gives for every resampling r.
template <class F>
Interval middle(int resamples, F value) {
  std::vector<double> v;
  for (int r = 0; r < resamples; ++r) v.push_back(value(uint64_t(r)));
  return middle_95(std::move(v));
}

double resampled_mean(std::span<const double> values, uint64_t seed) {
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) sum += values[size_t(below(seed, i, int64_t(values.size())))];
  return sum / double(values.size());
}

}  // namespace

Interval bootstrap(std::span<const double> values, uint64_t seed, int resamples) {
  if (values.empty()) return {};
  return middle(resamples, [&](uint64_t r) { return resampled_mean(values, mix(seed, r)); });
}

Interval bootstrap_units(std::span<const double> values, std::span<const int64_t> unit, uint64_t seed, int resamples) {
  CHECK(values.size() == unit.size(), "a unit for each value");
  std::map<int64_t, std::pair<double, double>> of;  // sum of each unit, and how many
  for (size_t i = 0; i < values.size(); ++i) of[unit[i]].first += values[i], ++of[unit[i]].second;
  if (of.size() < 2) return kNoInterval;
  std::vector<std::pair<double, double>> all;
  for (const auto& [name, sum] : of) all.push_back(sum);
  return middle(resamples, [&](uint64_t r) {
    const auto counts = resample_counts(int64_t(all.size()), mix(seed, r));
    double sum = 0, n = 0;
    for (size_t u = 0; u < all.size(); ++u) sum += counts[u] * all[u].first, n += counts[u] * all[u].second;
    return sum / n;
  });
}

std::vector<int64_t> units_of(std::span<const std::string> names) {
  std::map<std::string, int64_t> first;
  std::vector<int64_t> out;
  for (size_t i = 0; i < names.size(); ++i)
    out.push_back(names[i].empty() ? int64_t(i) : first.emplace(names[i], int64_t(i)).first->second);
  return out;
}

Interval share_interval(std::span<const double> hits, uint64_t seed) {
  if (hits.empty()) return {};
  const double sum = std::accumulate(hits.begin(), hits.end(), 0.0), n = double(hits.size()), far = std::pow(0.025, 1 / n);
  return sum == 0 ? Interval{0, 1 - far} : sum == n ? Interval{far, 1} : bootstrap(hits, seed);
}

Interval middle_95(std::vector<double> v) {
  CHECK(v.size() >= 40, "resamples ", v.size());
  std::sort(v.begin(), v.end());
  const size_t cut = size_t(0.025 * double(v.size()));
  return {v[cut], v[v.size() - 1 - cut]};
}

std::vector<double> resample_counts(int64_t n, uint64_t seed) {
  std::vector<double> counts(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) counts[size_t(below(seed, uint64_t(i), n))] += 1;
  return counts;
}

double mean(std::span<const double> v) { return v.empty() ? 0 : std::accumulate(v.begin(), v.end(), 0.0) / double(v.size()); }

double median(std::span<const double> values) {
  if (values.empty()) return 0;
  std::vector<double> v(values.begin(), values.end());
  std::sort(v.begin(), v.end());
  return (v[(v.size() - 1) / 2] + v[v.size() / 2]) / 2;
}

int64_t rank_of(std::span<const float> scores, std::span<const int64_t> relevant) {
  CHECK(!relevant.empty(), "something to be found");
  float best = scores[size_t(relevant[0])];
  for (int64_t i : relevant) best = std::max(best, scores[size_t(i)]);
  int64_t ahead = 0;
  for (float s : scores) ahead += s >= best || std::isnan(s);
  for (int64_t i : relevant) ahead -= scores[size_t(i)] >= best || std::isnan(scores[size_t(i)]);
  return 1 + ahead;
}

double chance_within(int64_t k, int64_t n, int64_t m) {
  double none = 1;
  for (int64_t i = 0; i < std::min(k, n); ++i) none *= double(std::max<int64_t>(n - m - i, 0)) / double(n - i);
  return n > 0 ? 1 - none : 0;
}

RankSummary summarize_ranks(std::span<const int64_t> ranks, std::span<const int64_t> relevant, int64_t candidates,
                            uint64_t seed) {
  CHECK(ranks.size() == relevant.size(), ranks.size(), " ranks");
  RankSummary s;
  s.n = int64_t(ranks.size()), s.candidates = candidates;
  for (int k = 0; k < 3; ++k) {
    std::vector<double> hit, guess;
    for (size_t i = 0; i < ranks.size(); ++i) {
      hit.push_back(ranks[i] <= RankSummary::kWithin[k]);
      guess.push_back(chance_within(RankSummary::kWithin[k], candidates, relevant[i]));
    }
    s.share[k] = mean(hit), s.chance[k] = mean(guess), s.interval[k] = share_interval(hit, mix(seed, uint64_t(k)));
  }
  s.median_rank = median(std::vector<double>(ranks.begin(), ranks.end()));
  return s;
}

ClassSummary summarize_classes(std::span<const int> truth, std::span<const int> guess, int classes) {
  CHECK(truth.size() == guess.size() && classes > 0, truth.size(), " and ", guess.size());
  ClassSummary s;
  s.n = int64_t(truth.size()), s.classes = classes;
  s.right.resize(size_t(classes)), s.total.resize(size_t(classes));
  if (truth.empty()) return s;
  std::vector<double> hit;
  std::vector<std::vector<double>> of_class(static_cast<size_t>(classes));
  for (size_t i = 0; i < truth.size(); ++i) {
    hit.push_back(truth[i] == guess[i]);
    of_class[size_t(truth[i])].push_back(hit.back());
    s.right[size_t(truth[i])] += truth[i] == guess[i], s.total[size_t(truth[i])]++;
  }
  std::erase_if(of_class, [](const auto& c) { return c.empty(); });
  s.present = int(of_class.size());
  s.accuracy = mean(hit);
  for (const auto& c : of_class) s.balanced += mean(c) / s.present;
  s.majority = double(*std::max_element(s.total.begin(), s.total.end())) / double(s.n);
  s.uniform = 1.0 / classes;
  s.balanced_chance = 1.0 / s.present;
  return s;
}

std::vector<int64_t> sample(int64_t size, int64_t n, uint64_t seed) {
  std::vector<int64_t> v(static_cast<size_t>(size));
  std::iota(v.begin(), v.end(), 0);
  n = std::clamp<int64_t>(n, 0, size);
  for (int64_t i = 0; i < n; ++i) std::swap(v[size_t(i)], v[size_t(i + below(seed, uint64_t(i), size - i))]);
  v.resize(size_t(n));
  return v;
}

}  // namespace duet
