// Pages of pictures with a word below each, for reports and model cards.
#pragma once
#include <string>
#include <vector>

#include "vision/image.h"

namespace duet {

struct SheetCell {
  std::vector<const Image*> pictures;  // side by side; as many in each cell of a page
  std::string label, mark;             // below, left and right; the label is cut where it has no room
  bool good = true;                    // the mark is green, else red
};

// A white page, at most eight cells a row, pictures of 128 pixels a side on a checkerboard, the heading above.
Image captioned_sheet(const std::string& heading, const std::vector<SheetCell>& cells);

}  // namespace duet
