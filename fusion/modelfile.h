// What every kind of weights file of a model has in common (fusion/weights.h, fusion/quantize.h).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "fusion/weights.h"
#include "kernels/safetensors.h"

namespace duet {

uint16_t to_bf16(float);  // to nearest, ties to even
// DIR/model.safetensors with format, config and tokenizer hash in __metadata__, and DIR/tokenizer.json
void write_model(const std::string& dir, const ModelConfig&, const Tokenizer&, const std::vector<TensorOut>&, Provenance);

}  // namespace duet
