// Pictures that are nearly another: what the noise of a training sample is laid over in place of its own picture, while the
// words and the picture to guess stay. A sampler walks along the model's own guesses, which go astray where training only
// ever saw noise over true pictures (exposure bias; Gaussian noise for the same end: arXiv 2301.11706). From these the model
// learns to turn a drawing that has the wrong shape back to what the words say. It is also what teaches the words at all: over
// a true picture the shape shows through the noise before the loss sees much of it, and then no words are needed to guess it.
#pragma once
#include "train/augment.h"
#include "vision/scene.h"

namespace duet {

// The same places and sizes with other things there: shapes or colours are new, or, where the words say what stands where
// (`placed`), have changed hands. Never the same scene.
Scene other_things(const Scene&, bool placed, Draws&);

// out, in (size, size, 4) of pixels (vision/patch.h): bent by a smooth field of shifts of some percent of the side. Beyond
// the edge the edge goes on. They must not overlap.
void bend(float* out, const float* in, int size, Draws&);

}  // namespace duet
