// Where the lines of patches lie: pictures (B,H,W,4) beside their patches (B P, p p 4), rows of patches from the top left.
#pragma once
#include <cstdint>

#include "kernels/error.h"

namespace duet {

// f(first value of a line in the patches, its first value in the pictures): p * 4 values side by side in both.
template <class F>
void for_patch_lines(int64_t B, int64_t H, int64_t W, int64_t p, F f) {
  CHECK(p > 0 && H % p == 0 && W % p == 0, "a picture of ", W, "x", H, " in patches of ", p);
  int64_t patch_line = 0;
  for (int64_t b = 0; b < B; ++b)
    for (int64_t py = 0; py < H / p; ++py)
      for (int64_t px = 0; px < W / p; ++px)
        for (int64_t y = 0; y < p; ++y, ++patch_line) f(patch_line * p * 4, ((b * H + py * p + y) * W + px * p) * 4);
}

}  // namespace duet
