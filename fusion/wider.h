// A wider model from a narrower: more channels, heads and hidden units, which at first change nothing of what it says
// (Net2Net, arXiv 1511.05641; here by zeros and scaled norms, after arXiv 2308.06103, so that the width need not double). With
// s^2 = old width / new:
//   - nothing writes to the new channels of the residual stream; what reads them is random, so that gradients reach both;
//   - new heads and hidden units are random, what they say is weighed by 0;
//   - a norm divides by the mean square over more channels, of which the new are 0: its result is 1/s as large, and the
//     scale after it s times as large as before;
//   - words enter the stem through such a norm without a scale, 1/s as large; what the blocks add to them is made 1/s as
//     large too.
// The same to rounding and the 1e-6 that norms add to the mean square.
#pragma once
#include <string>

#include "fusion/model.h"

namespace duet {

// What the parameter `t` of that name becomes. fresh: the same parameter of a new model of `to`, from which the new entries
// come that are not 0. A `t` that does not grow to fresh's shape comes back as it is.
Tensor wider_parameter(const std::string& name, const Tensor& t, const Tensor& fresh, const ModelConfig& from,
                       const ModelConfig& to);

}  // namespace duet
