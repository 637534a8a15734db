// Which weights may be narrow: those of the blocks' products, nine tenths of all arithmetic. What feeds them (patches, times,
// words) and what reads them (heads, modulation) keeps its precision.
#pragma once
#include <string>
#include <vector>

#include "fusion/model.h"

namespace duet {

bool may_be_narrow(const std::string& name);
std::vector<const float*> int8_weights(Model&);  // for Frozen

// Moves a model from the host to the card, these weights as int8, int4 or fp8 (kernels/narrow.h), which then have no other
// form and no gradient.
void narrow_on_card(Model&, DType);

}  // namespace duet
