#include "train/division.h"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace duet {

long Division::place_of(const std::string& unit) {
  const uint64_t h = XXH64(unit.data(), unit.size(), 0);
  return long(h % 20 * 500 + h / 20 % 500);
}

std::string Division::split_of(const std::string& unit) const {
  if (const auto at = settled_.find(unit); at != settled_.end()) return at->second;
  const long at = place_of(unit);  // from two ends
  return double(at) < val_ * kPlaces ? "val" : at >= kPlaces - std::llround(heldout_ * kPlaces) ? "heldout" : "train";
}

void Division::settle() {
  using Units = std::set<std::pair<long, std::string>>;
  std::vector<const Units*> rarest;
  for (const auto& [category, units] : units_) rarest.push_back(&units);
  std::stable_sort(rarest.begin(), rarest.end(), [](auto* a, auto* b) { return a->size() < b->size(); });
  for (const Units* units : rarest) {
    const long n = long(units->size());
    const bool all = val_ + heldout_ > 1 - 1e-9;  // nothing is to be trained on
    long val = std::max(n > 1 ? 1L : 0L, std::lround(val_ * double(n)));
    long held = heldout_ > 0 ? std::max(n > 2 ? 1L : 0L, std::lround(heldout_ * double(n))) : 0;
    if (all) val = n - std::min(held, n), held = n - val;
    else
      while (val + held >= n && val + held > 0) --(val > held ? val : held);
    std::vector<const std::string*> free;
    for (const auto& [place, unit] : *units) {
      const auto at = settled_.find(unit);  // by a rarer category that it has too
      if (at == settled_.end()) free.push_back(&unit);
      else if (at->second == "val") --val;
      else if (at->second == "heldout") --held;
    }
    const long left = long(free.size());
    val = std::clamp(val, 0L, left), held = std::clamp(held, 0L, left - val);
    for (long i = 0; i < left; ++i) settled_[*free[size_t(i)]] = i < val ? "val" : i >= left - held ? "heldout" : "train";
  }
}

}  // namespace duet
