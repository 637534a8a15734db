// Which weights may be int8: those of the blocks' products, nine tenths of all arithmetic. What feeds them (patches,
// times, words) and what reads them (heads, modulation) keeps its precision.
#pragma once
#include <string>
#include <vector>

#include "fusion/model.h"
#include "fusion/weights.h"

namespace duet {

std::vector<const float*> int8_weights(Model&);  // for Frozen

// DIR as save_weights writes it, but for these weights: NAME is I8 (O,C), beside NAME.scale F32 (O), with w = q scale;
// all others BF16. load_weights reads it anywhere, as f32; whether products are int8 is asked for when a model is
// opened.
void save_int8(const std::string& dir, Model&, const Tokenizer&, const Provenance& = {});

}  // namespace duet
