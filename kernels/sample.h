// How a token is drawn from its logits: text/sampling.h on the host, Kernels::draw_tokens wherever the logits lie.
#pragma once
#include <cstdint>

namespace duet {

struct SampleOptions {
  float temperature = 0;  // 0: the most likely token; otherwise logits are divided by it. Finite, not negative
  int top_k = 0;          // only the k most likely tokens; 0: all
  float top_p = 1;        // then the fewest of them whose probability, after temperature, reaches p: in (0, 1]
  uint64_t seed = 0;
  bool operator==(const SampleOptions&) const = default;
};

}  // namespace duet
