// Pictures in another colour, for captions that say it: only where one hue makes the picture, so that its name in front
// ("a blue mug") is true of the result by measurement.
#pragma once
#include <optional>

#include "vision/image.h"
#include "vision/scene.h"

namespace duet {

// A glyph: every visible pixel is black or a dark grey.
bool monochrome(const Image&);

// The hue (degrees, 0 .. 360) of the visible, colourful pixels, where these are nearly half of what is visible and
// nearly all of one hue. Weighted by alpha.
std::optional<float> dominant_hue(const Image&);

// The picture with that hue turned to the colour, and saturation and value scaled to the colour's in the mean; white,
// grey and black details stay. A glyph is filled with the colour. Nothing when the picture is neither, when the colour
// is not one for it (black and white are for glyphs alone), or when the mean of the result is, in CIELAB, nearer to
// another colour of the scenes (vision/scene.h).
std::optional<Image> recolour(const Image&, Color);

// The scene colour that is nearest in CIELAB.
Color nearest_color(Rgb);

}  // namespace duet
