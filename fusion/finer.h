// A model of finer pictures from one of coarser: k times the pixels a side in patches k times as large, so that a picture
// stays as many tokens and all blocks stay as they are. Only what meets pixels grows: the patch embedding sees the mean of
// k x k pixels where it saw one, and the heads give one value to k x k pixels. Shown a picture whose every pixel comes k x k
// times, the new model says what the old one says, every value k x k times (but for a refiner, which works pixel by pixel);
// training then teaches it what lies between. That patches of another size are a linear map of the same weights: arXiv
// 2212.08013.
#pragma once
#include <string>

#include "kernels/tensor.h"

namespace duet {

// What the parameter of that name of a model with patches of `patch` pixels becomes with patches of k * patch.
Tensor finer_parameter(const std::string& name, const Tensor&, int64_t patch, int64_t k);

}  // namespace duet
