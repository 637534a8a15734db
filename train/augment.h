// Augmentation that keeps the caption true: a picture is mirrored only when no word or mark of it has a side, and is
// moved and scaled by a few percent without losing anything drawn. Transparent stays transparent.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "fusion/shards.h"
#include "kernels/random.h"
#include "vision/image.h"

namespace duet {

// Random numbers one after the other: the n-th draw is a function of (seed, n) alone (kernels/random.h).
class Draws {
 public:
  explicit Draws(uint64_t seed) : seed_(seed) {}
  uint64_t bits() { return mix(seed_, count_++); }
  double unit() { return uniform(seed_, count_++); }                                 // [0, 1)
  int below(int n) { return int((unsigned __int128)(bits()) * unsigned(n) >> 64); }  // [0, n), n > 0
  bool chance(double p) { return unit() < p; }

 private:
  uint64_t seed_, count_ = 0;
};

// True when the words speak of a side, a direction of turning, letters, digits or flags (English or Korean).
bool has_side(std::string_view words);

// Whether the mirrored picture is as true as the picture: mirror_ok, and no word of any caption, tag or group has a side.
bool may_mirror(const Meta&);

// left <-> right, 왼쪽 <-> 오른쪽: the caption of the mirrored picture, where the words are a scene's and nothing else has a
// side.
std::string mirror_words(std::string_view caption);

// A square picture of `size` pixels: the whole of `image`, or with `jitter` a window a few percent larger, smaller or
// beside it that holds everything drawn (a picture without transparency is cropped instead).
Image frame(const Image& image, int size, bool jitter, Draws&);

}  // namespace duet
