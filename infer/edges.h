// How cleanly a picture with transparency is cut out: what a designer sees when it is laid on another ground.
//
// The outline is where alpha crosses one half: a pixel of alpha >= 128 with a neighbour beside, above or below it of less.
// A pixel is partly transparent if its alpha is neither 0 nor 255. A clean cut has such pixels along its outline alone, one
// or two wide (what antialiasing leaves); a haze over the background or a body that is not quite opaque has them elsewhere.
// Shadows and glass have them too: read both figures beside those of true pictures.
#pragma once
#include "vision/image.h"

namespace duet {

struct EdgeFigures {
  double stray = 0;  // share, 0 to 1, of all pixels that are partly transparent and more than kNear pixels from the outline
  double width = 0;  // partly transparent pixels within kNear of the outline, a pixel of outline; NaN where there is no outline
  static constexpr int kNear = 2;  // in rows and in columns
};
EdgeFigures edges_of(const Image&);  // not an empty one

}  // namespace duet
