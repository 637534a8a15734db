// Choosing the next token from its logits.
#pragma once
#include <cstdint>
#include <span>

#include "kernels/sample.h"

namespace duet {

// Refuses options that are out of range.
void check_options(const SampleOptions&);

// A token drawn from softmax(logits / temperature), cut to top_k and then to top_p. The draw is a function of seed and
// counter alone (count the tokens of a sequence). Among equal logits the smaller id is the more likely one: greedy
// choice and cuts are deterministic. A logit of -inf forbids its token. Refuses NaN, +inf, no token allowed, options
// out of range.
int sample_token(std::span<const float> logits, const SampleOptions& options, uint64_t counter);

}  // namespace duet
