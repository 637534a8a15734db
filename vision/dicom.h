// DICOM pictures (PS3.5, PS3.10), as a viewer would show them: the pixel pipeline of PS3.3 C.11 in its order. Stored values go
// through rescale slope and intercept or the modality LUT; then through the file's first VOI LUT, or without one its first
// window, with the function it names (LINEAR, LINEAR_EXACT, SIGMOID), or without one the least to the greatest value of the
// picture; then MONOCHROME1 is inverted. Colour (RGB, YBR, PALETTE) becomes RGB. 8 bits come out. Overlay planes and pixel
// spacing are not used.
//
// The bytes are foreign; DCMTK and OpenJPEG read them, which are not made for that, in a process of their own, the program
// duet-dicom beside this one, with limits on memory and time, from a file that has no name; what it is killed by is an error
// here and no more. No word of the header's (names, dates, numbers of a patient) leaves that process, nor stands in an error.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "kernels/error.h"
#include "vision/codec.h"

namespace duet {

struct DicomHead {
  int frames = 1;
  // The same for files of one patient id and issuer, or, without an id, of one study; 0: it has neither. To compare in memory:
  // who knows an id can find this number, so it is not to be written down.
  uint64_t patient = 0;
  bool names_patient = false;  // there is an id
  bool burned_in = false;      // the file says that words of the patient are in its pixels (BurnedInAnnotation)
};

struct DicomDied : Error {  // the process that read it did, or took too long
  using Error::Error;
};
struct DicomHoldsNone : Error {  // no picture but a report, a plan, a signal: nothing is wrong with it
  using Error::Error;
};
struct DicomUnavailable : Error {  // duet-dicom is not there, or does not run
  using Error::Error;
};

bool is_dicom(std::span<const uint8_t> bytes);  // "DICM" after 128 bytes
// The name ends in .dcm, .dicom or .ima, or has no ending ("IM0001", "1.2.840.1") and the file begins as DICOM does. Not
// DICOMDIR, which lists others.
bool names_dicom(const std::string& path);

// The path without the ending of its name; what follows the last dot of "1.2.840.17" is the end of a UID and stays.
std::filesystem::path without_ending(const std::filesystem::path& path);

// Refuses what is no picture, pictures of one value, frames that are not there, video and what else DCMTK and
// OpenJPEG do not unpack, and what is over the limits.
DicomHead read_dicom_head(std::span<const uint8_t> bytes, const std::string& name, const Limits& limits = {});
Image decode_dicom(std::span<const uint8_t> bytes, const std::string& name, const Limits& limits = {}, int frame = 0);

}  // namespace duet
