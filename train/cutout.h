// A picture drawn on white paper becomes a cut-out: the white that reaches the border turns transparent.
#pragma once
#include "vision/image.h"

namespace duet {

// White is flooded from the border; what is almost white along the flood becomes partly transparent, with the white
// taken out of its colour. White inside the thing stays. A picture whose border is not white for nine tenths, or that
// has transparency already, comes back as it was.
Image cut_out(const Image& image);

}  // namespace duet
