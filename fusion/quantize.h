// Which weights may be int8: those of the blocks' products, nine tenths of all arithmetic. What feeds them (patches,
// times, words) and what reads them (heads, modulation) keeps its precision.
#pragma once
#include <vector>

#include "fusion/model.h"

namespace duet {

std::vector<const float*> int8_weights(Model&);  // for Frozen

}  // namespace duet
