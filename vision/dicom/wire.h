// What duet and duet-dicom say to each other. In: the file is standard input, the order the arguments
// FRAME MAX_PIXELS MAX_SIDE [CENTER WIDTH] (FRAME -1: no pixels are asked for). Out, on standard output: a Head, then its
// bytes: pixels (H,W,channels) or, in words for a person, why there are none ("the header says ...", to stand after the file's
// name). Both sides are one build.
#pragma once
#include <cstdint>

namespace duet::dicom {

constexpr uint32_t kMagic = 0x4d434444;
struct Head {
  uint32_t magic = kMagic;
  uint32_t refused = 0;  // 1: `bytes` are words; 2: so they are, and say that it is no picture but something else
  uint64_t bytes = 0;    // that follow
  uint64_t patient = 0;
  uint32_t width = 0, height = 0, channels = 0, frames = 0;
  uint32_t burned_in = 0, names_patient = 0;
};

}  // namespace duet::dicom
