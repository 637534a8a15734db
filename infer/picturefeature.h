// A fixed description of a picture in a few numbers, for comparing sets of pictures (infer/setdistance.h). No network and
// no data is in it: edges, colours and the outline, as they have been counted since the 1990s, in code of our own.
//
// The picture is fitted into a square of 64 pixels in premultiplied colour 0..1. Then
//   edges    histogram of oriented gradients (Dalal, Triggs 2005): steps of luma (BT.601, on mid-grey) to the right and below,
//            in 4 x 4 cells of 16 pixels, 6 directions of 180 degrees with linear sharing between neighbours; a bin is the
//            root of the mean length of the steps in it. Blur lowers all of them, noise raises them.         96 numbers
//   colours  histogram of straight colour weighted by alpha, 3 x 3 x 3 bins with trilinear sharing; a bin is the root of its
//            share (Hellinger). Nothing visible: zeros.                                                       27 numbers
//   outline  mean alpha of the 4 x 4 cells; centre of alpha (x, y) and its second moments (xx, yy, xy) about it, in sides
//            from the middle; share of pixels with 0.1 < alpha < 0.9                                           22 numbers
// each part times a fixed weight, so that the parts vary alike over pictures (picked once on Noto's emoji, see the .cc).
#pragma once
#include <array>
#include <span>
#include <vector>

#include "vision/image.h"

namespace duet {

inline constexpr int kFeatureSize = 4 * 4 * 6 + 3 * 3 * 3 + 4 * 4 + 6;
using PictureFeature = std::array<double, kFeatureSize>;

PictureFeature feature(const Image&);
std::vector<PictureFeature> features(std::span<const Image* const>);  // on all threads

}  // namespace duet
