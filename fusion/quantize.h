// A model's file with int8 weights.
#pragma once
#include <string>

#include "fusion/weights.h"

namespace duet {

// DIR as save_weights writes it, but for the weights that may be narrow (fusion/narrow.h): NAME is I8 (O,C), beside NAME.scale
// F32 (O), with w = q scale; all others BF16. load_weights reads it anywhere, as f32; whether products are int8 is asked for
// when a model is opened.
void save_int8(const std::string& dir, Model&, const Tokenizer&, const Provenance& = {});

}  // namespace duet
