// The model's guess of the clean picture from one noisy picture and its words: a single evaluation, without guidance.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fusion/model.h"
#include "text/tokenizer.h"

namespace duet {

inline constexpr int kGuessSteps = 1000;  // t is taken to 1 / kGuessSteps

// under (B,S,S,4): values of pixels (vision/patch.h) that the noise is laid over, at noise level t (fusion/flow.h: 0 is noise
// alone). S: a multiple of the patch. Returns the guesses, (B,S,S,4). Each depends on its own prompt, picture and seed alone;
// the noise of a seed is draw()'s.
std::vector<float> guess_clean(const Model&, const Tokenizer&, std::span<const std::string> prompts,
                               const std::vector<float>& under, int64_t S, float t, std::span<const uint64_t> seeds);

}  // namespace duet
