// A model begun from the parameters of a smaller one, so that training goes on where that one stopped: finer pictures
// (fusion/finer.h), more channels (fusion/wider.h), parts that the smaller one lacks.
#pragma once
#include <string>

#include "fusion/model.h"

namespace duet {

// Whether a model of `from` can grow to one of `to`: all fields agree, but that
//   patch and size of `to` may both be the same multiple of `from`'s,
//   width and hidden may be larger (width in whole heads).
bool grows_to(const ModelConfig& from, const ModelConfig& to);

// `to` takes every parameter of `from`, grown where need be; what it has beyond them (a refiner, blocks, say) stays as it
// begins. Refuses what does not fit; `name` is what `from` is called then.
void take_parameters(Model& to, Model& from, const std::string& name);

}  // namespace duet
