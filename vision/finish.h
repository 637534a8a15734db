// The last touch of a drawn picture. What a small model draws is right but for a mottle of some hundredths in flat colour, a
// haze of alpha where nothing should be, and a body not quite opaque: on any ground but grey a person sees all three.
//   clean  twice a bilateral filter (Tomasi and Manduchi 1998) over 5x5 pixels of premultiplied RGBA, with deviations of 1.3
//          pixels and 0.12 in colour: mottle is averaged, edges stay; then alpha below 0.06 becomes 0, above 0.94
//          1, and what is between is spread, colour along with it
//   raw    nothing
#pragma once
#include <string>

#include "vision/image.h"

namespace duet {

enum class Finish { raw, clean };
const char* name_of(Finish);
Finish finish_of(const std::string& name);  // refuses another name

// pixels (H,W,4), see vision/patch.h. Depends on them alone, to the bit.
Image finished(const float* pixels, int width, int height, Finish);

}  // namespace duet
