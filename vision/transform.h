// Geometry and backgrounds. Every resampling happens on premultiplied colour, so that what hides under transparent
// pixels never bleeds into the edges. Sizes in pixels, all > 0. Deterministic, single-threaded, safe to call in
// parallel.
#pragma once
#include <cstdint>

#include "vision/image.h"

namespace duet {

Image resize(const Image& image, int width, int height);  // area average when shrinking, cubic when growing, per axis
struct Fitted {
  int x, y, width, height;
};
Fitted fitted_in_square(int width, int height, int size);             // where fit_square() lays a picture of that size
Image fit_square(const Image& image, int size);                       // aspect kept, centred, transparent around
Image crop(const Image& image, int x, int y, int width, int height);  // what lies outside the picture is transparent
Image mirror(const Image& image);                                     // left <-> right
bool opaque(const Image& image);                                      // every pixel
Image trim(const Image& image);  // without its fully transparent border; 1x1 if nothing is visible
Image over(const Image& image, uint8_t r, uint8_t g, uint8_t b);  // laid on a colour: opaque
Image checkerboard_under(const Image& image, int cell);           // laid on light grey squares of `cell` pixels: opaque

}  // namespace duet
