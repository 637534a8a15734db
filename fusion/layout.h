// Sequences as lists of segments, and the one masking rule: a segment sees all earlier segments of its sequence; inside
// itself text is causal and a picture is fully visible. Text that is given and never predicted, a prompt, may be fully visible
// too: "circle" in "a circle left of a star" then knows that it is on the left.
#pragma once
#include <vector>

#include "kernels/ops.h"

namespace duet {

struct Segment {
  bool picture = false;
  int rows = 0, cols = 0;  // a picture's patches; text: `rows` tokens
  int mod = 0;             // row of the modulation table: 0 for text, 1 + index of its t for a picture
  int first = 0;           // text: rotary position of the first token
  bool whole = false;      // each token sees all of the segment
  int count() const { return picture ? rows * cols : rows; }
  static Segment text(int tokens, int first = 0) { return {false, tokens, 0, 0, first, false}; }
  static Segment prompt(int tokens, bool whole) { return {false, tokens, 0, 0, 0, whole}; }
  static Segment image(int rows, int cols, int mod) { return {true, rows, cols, mod, 0, true}; }
};
using Sequence = std::vector<Segment>;

// `seen`: for each sequence, how many earlier tokens a KV cache holds (empty: none).
Layout make_layout(const std::vector<Sequence>&, const std::vector<int32_t>& seen = {});

}  // namespace duet
