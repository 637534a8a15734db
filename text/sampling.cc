#include "text/sampling.h"

#include <cmath>
#include <limits>

#include "kernels/error.h"
#include "kernels/table.h"

namespace duet {

void check_options(const SampleOptions& o) {
  if (!(o.temperature >= 0) || std::isinf(o.temperature))
    refuse("temperature ", o.temperature, " is not possible: choose 0 (most likely) or a positive number");
  if (o.top_k < 0) refuse("top_k ", o.top_k, " is not possible: choose 0 (all) or more");
  if (!(o.top_p > 0 && o.top_p <= 1)) refuse("top_p ", o.top_p, " is not possible: choose from above 0 to 1");
}

int sample_token(std::span<const float> logits, const SampleOptions& options, uint64_t counter) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  check_options(options);
  bool any = false;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i]) || logits[i] == kInf) refuse("the model's logit of token ", i, " is ", logits[i]);
    any = any || logits[i] != -kInf;
  }
  if (!any) refuse("none of ", logits.size(), " tokens is allowed next");
  return cpu::draw_token(logits.data(), nullptr, int64_t(logits.size()), options, counter);
}

}  // namespace duet
