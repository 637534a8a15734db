// The last touch of a drawn picture. What a small model draws is right but for a mottle of some hundredths in flat colour, a
// haze of alpha where nothing should be, a body not quite opaque and ragged outlines: a person sees all four.
//   clean  of premultiplied RGBA. Below 96 pixels twice a bilateral filter (Tomasi and Manduchi 1998) over 5x5 pixels, with
//          deviations of 1.3 pixels and 0.12 in colour: mottle is averaged, edges stay. Larger pictures hold mottle and
//          raggedness of more pixels, in proportion to s, a 64th of their smaller side, rounded: there the filter is
//          rolled three times from a picture blurred by 0.35 s, which straightens edges (rolling guidance, Zhang et al. 2014),
//          over pixels s / 2 apart, and then goes over pixels s and 2 s apart (à trous, Dammertz et al. 2010).
//          Then alpha below 0.06 becomes 0, above 0.94 1, and what is between is spread, colour along with it. In larger
//          pictures the outline of what is solid then follows alpha blurred by 0.6 s, 1.3 pixels wide, in the colour
//          next to it; thin lines, gaps and what is translucent stay
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
