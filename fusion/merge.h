// One model of several: the weighted mean of their weights. Where they come of one ancestor, the mean often knows what each
// of them learnt since, at the cost of one: "Model soups", arXiv 2203.05482. It is also a start to train on from. A share
// below 0 takes away: NEW + TUNED - BASE gives to NEW what tuning taught BASE ("Task arithmetic", arXiv 2212.04089).
#pragma once
#include <vector>

#include "fusion/weights.h"

namespace duet {

// shares: one for each, in all above 0, any scale; empty: equal ones. A model of coarser pictures or fewer channels is
// grown first (fusion/grow.h). The result's metadata says of what it was merged, the styles that any with a share above 0 knows
// (the first's first), and how to draw: as number draw_as does, or below 0 as all do, where they say the same. Refuses fewer
// than two, other configs, other tokenizers. Weights on the host.
Loaded merged(std::vector<Loaded>, std::vector<double> shares, int draw_as = -1);

}  // namespace duet
