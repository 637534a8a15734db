// From stored values to what a viewer shows: PS3.3 C.7.6.16 (functional groups), C.11.1 (modality), C.11.2 (VOI), in double and
// rounded once, at the end. (DCMTK's own pipeline rounds after the rescale slope and knows no LINEAR_EXACT.)
#pragma once
#include <cstdint>
#include <string>
#include <vector>

class DcmDataset;
class DicomImage;

namespace duet::dicom {

// 8 bits for each pixel of the one frame that `image` holds, which is frame `frame` of the file. `image` was made with
// CIF_IgnoreModalityTransformation. Empty, with `why` said, where an attribute has a value that cannot be.
// width above 0: that window, LINEAR_EXACT, in the place of the file's VOI LUT or window.
std::vector<uint8_t> grey(DcmDataset&, const DicomImage& image, long frame, std::string& why, double center = 0,
                          double width = 0);

}  // namespace duet::dicom
