// Image <-> the numbers the model reads and draws: premultiplied RGBA, each channel mapped from [0,1] to [-1,1].
#pragma once
#include "vision/image.h"

namespace duet {

// out (H,W,4). Transparent black is -1 in all four channels.
void to_pixels(const Image& image, float* out);

// The inverse of to_pixels for in (H,W,4) of any values: clamped, NaN read as -1, colour at most alpha. Alpha up to
// 2/255 becomes transparent black. Opaque pixels return exactly.
Image from_pixels(const float* in, int width, int height);

}  // namespace duet
