#include "train/neardup.h"

#include <cstdlib>

#include "vision/transform.h"

namespace duet {

int64_t NearDuplicates::find_or_keep(const Image& image, const std::function<bool(int64_t)>& may_repeat) {
  Image small = resize(image, kSide, kSide);
  Cells cells;
  std::array<int, kBands> sums{};  // upper and lower half of each channel
  for (int i = 0; i < kValues; i++) {
    int alpha = small.rgba[size_t(i | 3)], channel = i & 3;
    cells[size_t(i)] = channel == 3 ? uint8_t(alpha) : uint8_t((small.rgba[size_t(i)] * alpha + 127) / 255);
    sums[size_t(channel * 2 + (i >= kValues / 2))] += cells[size_t(i)];
  }
  Bands bands;
  for (int b = 0; b < kBands; b++) bands[size_t(b)] = uint8_t(sums[size_t(b)] / (kValues / kBands));

  // The square of a band's difference is at most the mean square of its cells, which is at most kBands times that of
  // all.
  constexpr int most_band = int(kNearRms * 2.8284271) + 1;
  constexpr int most_square = int(kNearRms * kNearRms * kValues);
  for (size_t k = 0; k < cells_.size(); k++) {
    bool far = false;
    for (size_t b = 0; b < kBands; b++) far |= std::abs(bands_[k][b] - bands[b]) > most_band;
    if (far) continue;
    int square = 0;
    for (size_t i = 0; i < kValues && square <= most_square; i++) {
      int d = std::abs(cells_[k][i] - cells[i]);
      square += d > kNearMost ? most_square + 1 : d * d;
    }
    if (square <= most_square && !(may_repeat && may_repeat(int64_t(k)))) return int64_t(k);
  }
  cells_.push_back(cells);
  bands_.push_back(bands);
  return -1;
}

}  // namespace duet
