// Near-duplicates: the same picture again, in another size, file format or package.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "vision/image.h"

namespace duet {

// Every picture is compared as 16 x 16 cells of premultiplied RGBA with every one kept before; a bound on eight
// averages rules out nearly all of them first. Two pictures are near-duplicates when the root of the mean square
// difference is at most `kNearRms` and no value differs by more than `kNearMost` (of 255): tighter than two clock faces
// an hour apart.
constexpr double kNearRms = 3.0;
constexpr int kNearMost = 24;

class NearDuplicates {
 public:
  // The number (in order of keeping, from 0) of a kept picture that this one repeats, or -1; then it is kept.
  // Pictures that it `may_repeat` (asked by number, only of those it does repeat) do not count.
  int64_t find_or_keep(const Image& image, const std::function<bool(int64_t)>& may_repeat = {});
  int64_t size() const { return int64_t(cells_.size()); }

 private:
  static constexpr int kSide = 16, kValues = kSide * kSide * 4, kBands = 8;
  using Cells = std::array<uint8_t, kValues>;
  using Bands = std::array<uint8_t, kBands>;
  std::vector<Cells> cells_;
  std::vector<Bands> bands_;
};

}  // namespace duet
