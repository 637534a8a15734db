// Where on a picture the model finds a class: parts of it are covered one after the other, and how much less likely the class
// becomes is laid over the picture (occlusion sensitivity; Zeiler and Fergus 2014, arXiv 1311.2901). It tells what the model
// looks at, right or wrong, not what is there.
#pragma once
#include <string>
#include <vector>

#include "infer/classify.h"
#include "vision/image.h"

namespace duet {

struct Heat {
  int side = 0;  // cells a side
  std::vector<double>
      cells;  // (side, side): mean fall of ln p / (1 - p) of the label over the covers that lie on it; above 0 speaks for it
};
// view: square, as the model sees it; patch: pixels a side of a cell, of which the view has a whole number, two at least. A
// cover is two cells wide and has the mean colour of what is visible.
Heat occlusion(const Probabilities&, const Image& view, size_t label, int patch);

// The picture in grey, 512 pixels a side, on white where it is transparent; orange where it speaks for the label, blue where
// against (colours that all kinds of colour vision tell apart), fuller where more (the fullest is the strongest of this
// picture; the words say how strong); below it `words` and, smaller, what the colours mean and that it is no diagnosis, in
// Korean where that is asked for or the words hold Hangul.
Image overlay(const Image& view, const Heat&, const std::string& words, bool korean = false);

}  // namespace duet
