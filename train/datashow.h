// `duet data show`: a contact sheet of a data set, to look at before training on it.
#pragma once
#include <string>

namespace duet {

// `count` samples of DIR/SPLIT ("" reads DIR/*.tar), evenly spread over the split, each with its captions in both
// languages and its style, on a checkerboard. Writes a PNG; a count of 0 or less shows 64. Refuses an empty split.
void show_data(const std::string& dir, const std::string& out_png, int count, const std::string& split);

// The same of `count` compositions that the loader makes of the data set's pictures (train/compose.h), with their
// captions.
void show_compositions(const std::string& dir, const std::string& out_png, int count, const std::string& split);

}  // namespace duet
