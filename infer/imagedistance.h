// How far two pictures are apart, by a fixed formula that no model has learned; for judging what a model drew.
//
// Both are fitted into a square of 64 pixels, in premultiplied colour 0..1, and halved to 32, 16 and 8 pixels by 2x2
// means. With D the difference of two pictures, a scale of s x s pixels contributes the mean over its pixels of
//   1/2 (|D on black|^2 + |D on white|^2) / 3      colour, seen on two grounds
//   + 1/4 (D alpha)^2                              outline
//   + |grad D luma|^2 + |grad D alpha|^2           steps to the right and lower neighbour; luma (BT.601) on mid-grey
// and the distance is the root of the mean over the four scales: fine scales ask for the same edges, coarse ones forgive
// a shift of some pixels. It is a metric (a Euclidean distance of descriptors): 0 for equal pictures, below about 1.4.
// Since |x|^2 + |x - y|^2 = 2 |x - y/2|^2 + y^2/2, the two grounds are kept as mid-grey and alpha.
#pragma once
#include <span>
#include <vector>

#include "vision/image.h"

namespace duet {

using PictureDescriptor = std::vector<float>;  // 8 (64^2 + 32^2 + 16^2 + 8^2) numbers
PictureDescriptor describe(const Image&);
double distance(const PictureDescriptor&, const PictureDescriptor&);

// out (a, b): distance of each of a to each of b, on all threads, the descriptors read in pieces that stay in the cache.
std::vector<float> distances(std::span<const PictureDescriptor> a, std::span<const PictureDescriptor> b);

}  // namespace duet
