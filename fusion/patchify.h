// Pictures (B,S,S,4) <-> patches (B*P, patch*patch*4), rows of patches from the top left.
#pragma once
#include "kernels/tensor.h"

namespace duet {

// pixels lie on the host; on a card they are laid out anew there.
Tensor patchify(const float* pixels, int64_t B, int64_t height, int64_t width, int64_t patch, Device = Device::cpu);
void unpatchify(float* pixels, const float* patches, int64_t B, int64_t height, int64_t width, int64_t patch);

}  // namespace duet
