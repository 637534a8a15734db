#include "fusion/patchify.h"

#include <algorithm>

namespace duet {

// calls f(row of the picture inside its patch's storage, the same row in the picture), each patch * 4 values
template <class F>
static void for_lines(int64_t B, int64_t H, int64_t W, int64_t p, F f) {
  CHECK(p > 0 && H % p == 0 && W % p == 0, "a picture of ", W, "x", H, " in patches of ", p);
  int64_t patch_line = 0;
  for (int64_t b = 0; b < B; ++b)
    for (int64_t py = 0; py < H / p; ++py)
      for (int64_t px = 0; px < W / p; ++px)
        for (int64_t y = 0; y < p; ++y, ++patch_line) f(patch_line * p * 4, ((b * H + py * p + y) * W + px * p) * 4);
}

Tensor patchify(const float* pixels, int64_t B, int64_t H, int64_t W, int64_t p) {
  Tensor t({B * (H / p) * (W / p), p * p * 4});
  for_lines(B, H, W, p, [&](int64_t patch, int64_t picture) { std::copy_n(pixels + picture, p * 4, t.data() + patch); });
  return t;
}

void unpatchify(float* pixels, const float* patches, int64_t B, int64_t H, int64_t W, int64_t p) {
  for_lines(B, H, W, p, [&](int64_t patch, int64_t picture) { std::copy_n(patches + patch, p * 4, pixels + picture); });
}

}  // namespace duet
