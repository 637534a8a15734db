#include "fusion/patchify.h"

#include <algorithm>

#include "kernels/device.h"
#include "kernels/patchlines.h"

namespace duet {

Tensor patchify(const float* pixels, int64_t B, int64_t H, int64_t W, int64_t p, Device d) {
  CHECK(p > 0 && H % p == 0 && W % p == 0, "a picture of ", W, "x", H, " in patches of ", p);
  const Tensor t({B * (H / p) * (W / p), p * p * 4}, DType::f32, d);
  if (d == Device::cpu) {
    for_patch_lines(B, H, W, p,
                    [&](int64_t patch, int64_t picture) { std::copy_n(pixels + picture, p * 4, t.data() + patch); });
    return t;
  }
  const Tensor there({B, H, W, 4}, DType::f32, d);
  kernels(d).memory.copy(there.data(), d, pixels, Device::cpu, there.bytes());
  kernels(d).patchify(t, there);
  return t;
}

void unpatchify(float* pixels, const float* patches, int64_t B, int64_t H, int64_t W, int64_t p) {
  for_patch_lines(B, H, W, p, [&](int64_t patch, int64_t picture) { std::copy_n(patches + patch, p * 4, pixels + picture); });
}

}  // namespace duet
