#include "text/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/error.h"
#include "kernels/random.h"

namespace duet {
namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

void check(const SampleOptions& o) {
  if (!(o.temperature >= 0) || std::isinf(o.temperature))
    refuse("temperature ", o.temperature, " is not possible: choose 0 (most likely) or a positive number");
  if (o.top_k < 0) refuse("top_k ", o.top_k, " is not possible: choose 0 (all) or more");
  if (!(o.top_p > 0 && o.top_p <= 1)) refuse("top_p ", o.top_p, " is not possible: choose from above 0 to 1");
}

int most_likely(std::span<const float> logits) {
  int best = -1;
  for (int i = 0; i < static_cast<int>(logits.size()); ++i) {
    if (std::isnan(logits[i]) || logits[i] == -kForbidden) refuse("the model's logit of token ", i, " is ", logits[i]);
    if (logits[i] != kForbidden && (best < 0 || logits[i] > logits[best])) best = i;
  }
  if (best < 0) refuse("none of ", logits.size(), " tokens is allowed next");
  return best;
}

}  // namespace

int sample_token(std::span<const float> logits, const SampleOptions& options, uint64_t counter) {
  check(options);
  int best = most_likely(logits);
  if (options.temperature == 0 || options.top_k == 1) return best;

  std::vector<int> ids;
  for (int i = 0; i < static_cast<int>(logits.size()); ++i)
    if (logits[i] != kForbidden) ids.push_back(i);
  auto likelier = [&](int a, int b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; };
  size_t kept = options.top_k == 0 ? ids.size() : std::min<size_t>(options.top_k, ids.size());
  bool sorted = options.top_p < 1;
  if (sorted) {
    std::partial_sort(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(kept), ids.end(), likelier);
  } else if (kept < ids.size()) {
    std::nth_element(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(kept), ids.end(), likelier);
    std::sort(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(kept));  // nth_element's order is the library's choice
  }
  ids.resize(kept);

  // Relative to the best logit every weight is in [0, 1] and the best one's is 1, so that the sum is neither 0 nor inf,
  // however small the temperature.
  std::vector<double> weight(kept);
  double sum = 0;
  for (size_t i = 0; i < kept; ++i)
    sum += weight[i] = std::exp((double(logits[ids[i]]) - double(logits[best])) / double(options.temperature));
  if (sorted) {
    double reached = 0, enough = double(options.top_p) * sum;
    size_t n = 0;
    while (n < kept && (n == 0 || reached < enough)) reached += weight[n++];
    kept = n;
    sum = reached;
  }
  double left = uniform(options.seed, counter) * sum;
  size_t chosen = 0;
  for (size_t i = 0; i < kept; ++i) {
    if (weight[i] == 0) continue;  // never a token of no probability, also when rounding leaves something at the end
    chosen = i;
    if (left < weight[i]) break;
    left -= weight[i];
  }
  return ids[chosen];
}

}  // namespace duet
