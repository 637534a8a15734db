// The refiner: small 3x3 convolutions over the whole picture after the flow head, at half its resolution. Patches are
// each predicted from one token, so flat colour mottles and outlines break at their seams; a convolution sees across
// them and compares the guess with the noisy input pixel by pixel, as the denoisers of arXiv 2006.11239 do.
//   u = silu(conv(guess) + conv(noisy) + time);  v = silu(conv(u) + time);  refined = guess + linear(v)
// A cell is 2x2 pixels of 4 channels: 16 values; R channels inside. Its last layer starts at 0: a new refiner changes
// nothing. On a card cells of pictures of one size lie row by row, as conv3x3() wants them; else patch by patch.
#pragma once
#include "kernels/module.h"

namespace duet {

class Refiner {
 public:
  Refiner() = default;  // none
  Refiner(int64_t width, int64_t channels, int64_t patch, Init&);
  explicit operator bool() const { return channels_ > 0; }
  // (R,C) features of t -> (R, 2 channels)
  Var time(const Var& features) const { return time_(features); }
  // guess and noisy (N, patch^2 4): the patches of some pictures, one behind the other, rows of patches from the top
  // left. `place` (N,2): row and column of each patch (a picture begins where both are 0); row (N): 1 + index of its
  // picture's t.
  Var operator()(const Var& guess, const Tensor& noisy, const Tensor& place, const Tensor& row, const Var& time) const;
  void params(const Visit&);

 private:
  int64_t channels_ = 0, patch_ = 0;
  Linear time_, guess_, noisy_, between_, out_;
};

}  // namespace duet
