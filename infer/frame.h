// Pictures of any size and shape from a model that draws squares of one size, which is what it has learned: at any other its
// things come out tiny, cut off or not at all (assets/xs-128/README.md). So a square is drawn, and brought to what was asked.
#pragma once
#include <cstdint>
#include <vector>

#include "vision/image.h"

namespace duet {

inline constexpr int kLeastSide = 8, kMostSide = 2048;  // of a picture that is asked for; no side over four times the other

// Whether a picture of this size can be asked for.
bool can_frame(int width, int height);

// The drawn square, as large as fits into width x height and in the middle. What is beside it goes on as the square's border
// there is: in its colour where that is opaque, else transparent.
Image framed(const Image& square, int width, int height);

// A given picture for drawing from: in the middle of a square of `side`; what is beside it is as with framed().
// change: of each of its pixels whether it may change (0: not); gives that of the square's, where what is around stays.
Image squared(const Image& picture, int side);
std::vector<uint8_t> squared(const std::vector<uint8_t>& change, int width, int height, int side);
// The same for a picture of another size and shape.
std::vector<uint8_t> stretched(const std::vector<uint8_t>& change, int width, int height, int to_width, int to_height);
// And back: what of the square is the picture, at its own size.
Image unsquared(const Image& square, int width, int height);

}  // namespace duet
