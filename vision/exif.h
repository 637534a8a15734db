// EXIF orientation: which way up the camera was held (Exif 2.32, tag 0x0112).
#pragma once
#include <cstdint>
#include <span>

#include "vision/image.h"

namespace duet {

// `tiff` is the EXIF block from its "II" or "MM" on. 1..8; 1 (upright) if the block is broken or says nothing.
int exif_orientation(std::span<const uint8_t> tiff);

// The picture as it should be seen: orientation 2 is mirrored, 3 upside down, 6 lies on its left side, ...
Image turn_upright(Image image, int orientation);

}  // namespace duet
