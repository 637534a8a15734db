#include "train/order.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "kernels/error.h"
#include "kernels/random.h"

namespace duet {

uint64_t shuffled(uint64_t i, uint64_t n, uint64_t key) {
  CHECK(i < n, i, " of ", n);
  // A Feistel network permutes [0, 4^half) with 4^half < 4n; walking its cycle until it is back under n permutes [0, n).
  int half = (std::bit_width(n - 1) + 1) / 2;
  uint64_t mask = (uint64_t(1) << half) - 1;
  do {
    uint64_t left = i >> half, right = i & mask;
    for (uint64_t round = 1; round <= 6; round++) {
      uint64_t f = mix(mix(key, round), right) & mask;
      left = std::exchange(right, left ^ f);
    }
    i = left << half | right;
  } while (i >= n);
  return i;
}

Turns::Turns(const std::vector<double>& shares) : source_(kCycle), rank_(kCycle), quota_(shares.size()) {
  double total = std::accumulate(shares.begin(), shares.end(), 0.0);
  CHECK(total > 0 && shares.size() <= kCycle / 2, "shares of ", shares.size(), " sources, sum ", total);
  int left = kCycle;
  for (size_t k = 0; k < shares.size(); k++) {
    CHECK(shares[k] >= 0, "share ", shares[k]);
    quota_[k] = shares[k] > 0 ? std::max(1, int(shares[k] / total * kCycle)) : 0;
    left -= quota_[k];
  }
  quota_[std::max_element(quota_.begin(), quota_.end()) - quota_.begin()] += left;

  // The source that lags its quota most has the next place.
  std::vector<int64_t> credit(shares.size()), given(shares.size());
  for (int g = 0; g < kCycle; g++) {
    for (size_t k = 0; k < shares.size(); k++) credit[k] += quota_[k];
    int k = std::max_element(credit.begin(), credit.end()) - credit.begin();
    credit[k] -= kCycle;
    source_[g] = k;
    rank_[g] = given[k]++;
  }
}

Turns::Turn Turns::at(int64_t g) const {
  int k = source_[g % kCycle];
  return {k, g / kCycle * quota_[k] + rank_[g % kCycle]};
}

}  // namespace duet
