// The numbers behind every evaluation: ranks, shares with their uncertainty, and what guessing would have reached.
#pragma once
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace duet {

struct Interval {
  double low = 0, high = 0;
  bool known() const { return low == low; }
};
inline constexpr Interval kNoInterval{std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN()};

// 95 % percentile bootstrap of the mean (Efron 1979): `resamples` draws with replacement, fixed by the seed.
Interval bootstrap(std::span<const double> values, uint64_t seed, int resamples = 2000);

// The same where values of an equal unit are no independent ones, such as those of the slices of a patient: units are drawn,
// with all that is theirs. kNoInterval of fewer than two units.
Interval bootstrap_units(std::span<const double> values, std::span<const int64_t> unit, uint64_t seed, int resamples = 2000);
std::vector<int64_t> units_of(std::span<const std::string> names);  // equal for equal names; one without a name is alone

// The same of a share, values 0 or 1. Where all are alike, resampling them would say that the share is known for certain:
// there it is Clopper and Pearson's (1934) interval, from 0 of n up to 1 - 0.025^(1/n).
Interval share_interval(std::span<const double> hits, uint64_t seed);

Interval middle_95(std::vector<double> resampled);              // of at least 40 values
std::vector<double> resample_counts(int64_t n, uint64_t seed);  // how often each of n is drawn in n draws with replacement

double mean(std::span<const double>);    // 0 of none
double median(std::span<const double>);  // the middle, or the mean of the two middles; 0 of none

// 1 + how many others score at least as well: a tie counts against. `relevant` are indices of `scores`, at least one;
// they do not count against each other. Higher scores are better.
int64_t rank_of(std::span<const float> scores, std::span<const int64_t> relevant);

// The chance that k different picks out of n hold one of m right ones: 1 - C(n-m, k) / C(n, k).
double chance_within(int64_t k, int64_t n, int64_t m = 1);

// Ranks of many queries as shares within 1, 5, 10, beside chance.
struct RankSummary {
  static constexpr int kWithin[3] = {1, 5, 10};
  int64_t n = 0, candidates = 0;
  double share[3] = {}, chance[3] = {};
  Interval interval[3];
  double median_rank = 0;
};
// relevant: how many right candidates each query has. n = 0 gives zeros.
RankSummary summarize_ranks(std::span<const int64_t> ranks, std::span<const int64_t> relevant, int64_t candidates,
                            uint64_t seed);

// Classes guessed against classes that are so; every entry in [0, classes).
struct ClassSummary {
  int64_t n = 0;
  int classes = 0, present = 0;       // that could be said; that occur
  double accuracy = 0, balanced = 0;  // balanced: mean over the classes that occur of the share found
  double majority = 0, uniform = 0;   // always the commonest class; a random one
  double balanced_chance = 0;         // what always saying one class that occurs gives: 1 / present
  std::vector<int64_t> right, total;  // (classes)
};
ClassSummary summarize_classes(std::span<const int> truth, std::span<const int> guess, int classes);

// n different indices of [0, size) in random order, all of them when n is larger.
std::vector<int64_t> sample(int64_t size, int64_t n, uint64_t seed);

}  // namespace duet
