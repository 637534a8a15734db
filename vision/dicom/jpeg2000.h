// JPEG 2000 in DICOM (PS3.5 A.4.4), which DCMTK does not unpack: by OpenJPEG.
#pragma once
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <cstdint>
#include <string>

namespace duet::dicom {

bool is_jpeg2000(E_TransferSyntax);
// Frame `frame` of `frames` (0 and up), unpacked, in place of the data set's pixels, which hold that frame alone from then on,
// as Explicit VR Little Endian has them, colours as the file says or RGB. Empty, or why there is none, in words that may stand
// after "it cannot be shown: ".
std::string unpack_jpeg2000(DcmDataset&, int64_t frame, int64_t frames);

}  // namespace duet::dicom
