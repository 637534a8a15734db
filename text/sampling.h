// Choosing the next token from its logits.
#pragma once
#include <cstdint>
#include <span>

namespace duet {

struct SampleOptions {
  float temperature = 0;  // 0: the most likely token; otherwise logits are divided by it. Finite, not negative
  int top_k = 0;          // only the k most likely tokens; 0: all
  float top_p = 1;        // then the fewest of them whose probability, after temperature, reaches p: in (0, 1]
  uint64_t seed = 0;
  bool operator==(const SampleOptions&) const = default;
};

// A token drawn from softmax(logits / temperature), cut to top_k and then to top_p. The draw is a function of seed and
// counter alone (count the tokens of a sequence). Among equal logits the smaller id is the more likely one: greedy
// choice and cuts are deterministic. A logit of -inf forbids its token. Refuses NaN, +inf, no token allowed, options
// out of range.
int sample_token(std::span<const float> logits, const SampleOptions& options, uint64_t counter);

}  // namespace duet
