// A model of finer pictures from one of coarser: k times the pixels a side in patches k times as large, so that a picture
// stays as many tokens and all blocks stay as they are. Only what meets pixels grows: the patch embedding sees the mean of
// k x k pixels where it saw one, and the heads give one value to k x k pixels. Shown a picture whose every pixel comes k x k
// times, the new model says what the old one says, every value k x k times (but for a refiner, which works pixel by pixel);
// training then teaches it what lies between. That patches of another size are a linear map of the same weights: arXiv
// 2212.08013.
#pragma once
#include <string>

#include "fusion/model.h"

namespace duet {

// `to` takes every parameter of `from`; what it has beyond them (a refiner, say) stays as it begins. Their configs agree, or
// patch and size of `to` are the same whole multiple of `from`'s. Refuses all else; `name` is what `from` is called then.
void take_parameters(Model& to, Model& from, const std::string& name);

}  // namespace duet
