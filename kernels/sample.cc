#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/random.h"
#include "kernels/table.h"

namespace duet::cpu {

constexpr float kInf = std::numeric_limits<float>::infinity();
static bool may(const float* logits, const uint8_t* allowed, int64_t v) {
  return (!allowed || allowed[v]) && logits[v] != -kInf;
}

double log_sum(const float* logits, const uint8_t* allowed, int64_t V) {
  double most = -kInf, sum = 0;
  for (int64_t v = 0; v < V; ++v) {
    if (!may(logits, allowed, v)) continue;
    if (!(logits[v] < kInf)) return NAN;
    most = std::max<double>(most, logits[v]);
  }
  for (int64_t v = 0; v < V; ++v)
    if (may(logits, allowed, v)) sum += std::exp(logits[v] - most);
  return sum > 0 ? most + std::log(sum) : NAN;
}

void best_tokens(int32_t* token, double* log_prob, const float* logits, const uint8_t* allowed, int64_t V, int64_t n) {
  const double sum = log_sum(logits, allowed, V);
  std::fill_n(token, n, 0), std::fill_n(log_prob, n, std::isnan(sum) ? NAN : -double(kInf));
  if (std::isnan(sum)) return;
  int64_t found = 0;
  for (int64_t v = 0; v < V; ++v) {
    if (!may(logits, allowed, v) || (found == n && logits[v] <= logits[token[n - 1]])) continue;
    int64_t at = found < n ? found++ : n - 1;
    for (; at > 0 && logits[token[at - 1]] < logits[v]; --at) token[at] = token[at - 1];
    token[at] = int32_t(v);
  }
  for (int64_t i = 0; i < found; ++i) log_prob[i] = logits[token[i]] - sum;
}

int32_t draw_token(const float* logits, const uint8_t* allowed, int64_t V, const SampleOptions& o, uint64_t counter) {
  std::vector<int32_t> ids;
  for (int64_t v = 0; v < V; ++v)
    if (may(logits, allowed, v)) ids.push_back(int32_t(v));
  const auto likelier = [&](int32_t a, int32_t b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; };
  const int32_t best = *std::min_element(ids.begin(), ids.end(), likelier);
  if (o.temperature == 0 || o.top_k == 1) return best;

  size_t kept = o.top_k == 0 ? ids.size() : std::min(size_t(o.top_k), ids.size());
  const bool sorted = o.top_p < 1;
  if (sorted) {
    std::partial_sort(ids.begin(), ids.begin() + std::ptrdiff_t(kept), ids.end(), likelier);
  } else if (kept < ids.size()) {
    std::nth_element(ids.begin(), ids.begin() + std::ptrdiff_t(kept), ids.end(), likelier);
    std::sort(ids.begin(), ids.begin() + std::ptrdiff_t(kept));  // nth_element's order is the library's choice
  }
  ids.resize(kept);

  // Relative to the best logit every weight is in [0, 1] and the best one's is 1, so that the sum is neither 0 nor inf,
  // however small the temperature.
  std::vector<double> weight(kept);
  double sum = 0;
  for (size_t i = 0; i < kept; ++i)
    sum += weight[i] = std::exp((double(logits[ids[i]]) - double(logits[best])) / double(o.temperature));
  if (sorted) {
    double reached = 0;
    const double enough = double(o.top_p) * sum;
    size_t n = 0;
    while (n < kept && (n == 0 || reached < enough)) reached += weight[n++];
    kept = n;
    sum = reached;
  }
  double left = uniform(o.seed, counter) * sum;
  size_t chosen = 0;
  for (size_t i = 0; i < kept; ++i) {
    if (weight[i] == 0) continue;  // never a token of no probability, also when rounding leaves something at the end
    chosen = i;
    if (left < weight[i]) break;
    left -= weight[i];
  }
  return ids[chosen];
}

}  // namespace duet::cpu
