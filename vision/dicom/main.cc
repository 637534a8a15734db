// duet-dicom: reads one foreign DICOM file by DCMTK and OpenJPEG and gives its pixels, see wire.h and vision/dicom.h. It can
// open no file, start no process and reach no network, and ends itself when it takes too much.
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcfilefo.h>
#include <dcmtk/dcmdata/dcistrmf.h>
#include <dcmtk/dcmdata/dcrledrg.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmdata/dcuid.h>
#include <dcmtk/dcmimage/diregist.h>
#include <dcmtk/dcmimgle/dcmimage.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "vision/dicom/grey.h"
#include "vision/dicom/jpeg2000.h"
#include "vision/dicom/wire.h"
#include "vision/lockdown.h"

namespace {

using duet::dicom::Head;

void put(const void* from, size_t n) {
  for (auto* at = static_cast<const char*>(from); n > 0;) {
    const ssize_t put = write(1, at, n);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) _exit(1);
    at += put, n -= size_t(put);
  }
}

[[noreturn]] void refuse(std::string_view why, uint32_t kind = 1) {
  Head head;
  head.refused = kind, head.bytes = why.size();
  put(&head, sizeof head), put(why.data(), why.size());
  _exit(0);
}

[[noreturn]] void no_memory() { refuse("reading it takes more memory than is given to that; make the picture smaller"); }

// At most what is allowed already. The hard limit of time is a second later: reaching it would end this by SIGKILL, which says
// nothing.
void limit(decltype(RLIMIT_AS) what, uint64_t to) {
  rlimit l{};
  if (getrlimit(what, &l) != 0) refuse("limits for reading DICOM cannot be set here");
  l.rlim_max = std::min<rlim_t>(to + (what == RLIMIT_CPU), l.rlim_max);
  l.rlim_cur = std::min<rlim_t>(to, l.rlim_max);
  if (setrlimit(what, &l) != 0) refuse("limits for reading DICOM cannot be set here");
}

void shut_in() {
  if (!duet::kSanitized) limit(RLIMIT_AS, uint64_t(1536) << 20);
  limit(RLIMIT_CPU, 20);
  limit(RLIMIT_FSIZE, 0);
  limit(RLIMIT_CORE, 0);
  syscall(SYS_close_range, 3u, ~0u, 0u);
  signal(SIGINT, SIG_IGN);  // a terminal's Ctrl-C goes to all; who started this ends it
  prctl(PR_SET_PDEATHSIG, SIGKILL);
}

// Without the patient's id the study's, which at least keeps its pictures together.
uint64_t patient_of(DcmDataset& d) {
  OFString id, issuer, study;
  d.findAndGetOFString(DCM_PatientID, id), d.findAndGetOFString(DCM_IssuerOfPatientID, issuer);
  d.findAndGetOFString(DCM_StudyInstanceUID, study);
  if (id.empty() && study.empty()) return 0;
  const std::string all = id.empty() ? "study " + std::string(study.c_str()) : std::string(issuer.c_str()) + '\0' + id.c_str();
  const uint64_t h = XXH3_64bits(all.data(), all.size());
  return h ? h : 1;
}

// Of the compressed syntaxes DCMTK and OpenJPEG read most; of the rest a person learns what to do.
void check_syntax(const std::string& uid) {
  const DcmXfer syntax(uid.c_str());
  const std::string name = syntax.getXfer() == EXS_Unknown ? "" : syntax.getXferName();
  for (const char* video : {"MPEG", "HEVC"})
    if (name.find(video) != name.npos) refuse("it holds a video (" + name + "); save the frames that matter as pictures");
  std::string digits;
  for (const char c : uid)
    if ((c >= '0' && c <= '9') || c == '.') digits += c;
  if (name.empty() || (name.find("2000") != name.npos && !duet::dicom::is_jpeg2000(syntax.getXfer())))
    refuse("its pixels are packed as " +
           (!name.empty()    ? name
            : digits.empty() ? "an unknown transfer syntax"
                             : "transfer syntax " + digits.substr(0, 64)) +
           ", which is not read here; 'gdcmconv --raw IN OUT' (package libgdcm-tools) unpacks " +
           (name.empty() ? "what it knows" : "them"));
}

void check_pixels(DcmDataset& d, std::string kind, int64_t max_pixels, int max_side) {
  Uint16 rows = 0, columns = 0;
  const bool there = d.findAndGetUint16(DCM_Rows, rows).good() && d.findAndGetUint16(DCM_Columns, columns).good();
  if (!d.tagExists(DCM_PixelData)) {
    const char* name = dcmFindNameOfUID(kind.c_str());
    refuse("it holds no picture" + (name ? " (it is a " + std::string(name) + ")" : std::string()) + "; leave it out", 2);
  }
  if (!there || rows == 0 || columns == 0)
    refuse("its header says " + std::to_string(columns) + " x " + std::to_string(rows) + " pixels; the file is damaged");
  Uint16 allocated = 0;
  d.findAndGetUint16(DCM_BitsAllocated, allocated);
  if (allocated > 16 && d.getOriginalXfer() == EXS_BigEndianExplicit)  // DCMTK swaps them by halves
    refuse("its pixels are big-endian of " + std::to_string(allocated) +
           " bits, which are not read here; save it as Explicit VR Little Endian");
  if (columns > max_side || rows > max_side || int64_t(rows) * columns > max_pixels)
    refuse(std::to_string(columns) + " x " + std::to_string(rows) + " pixels is more than is read here (" +
           std::to_string(max_pixels) + " pixels, no side over " + std::to_string(max_side) + "); make it smaller first");
}

// A number that a header makes up costs its reader a picture each.
void check_frames(DcmDataset& d, int64_t frames) {
  DcmElement* e = nullptr;
  auto* pixels = d.findAndGetElement(DCM_PixelData, e).good() ? dynamic_cast<DcmPixelData*>(e) : nullptr;
  if (!pixels) refuse("its pixels are damaged");
  int64_t most = 0;
  DcmPixelSequence* fragments = nullptr;
  if (DcmXfer(d.getOriginalXfer()).isEncapsulated()) {  // after a table of offsets one for each frame, at least
    if (pixels->getEncapsulatedRepresentation(d.getOriginalXfer(), nullptr, fragments).good() && fragments)
      most = int64_t(fragments->card()) - 1;
  } else {
    Uint16 rows = 0, columns = 0, samples = 1, bits = 8;
    OFString kind;
    d.findAndGetUint16(DCM_Rows, rows), d.findAndGetUint16(DCM_Columns, columns);
    d.findAndGetUint16(DCM_SamplesPerPixel, samples), d.findAndGetUint16(DCM_BitsAllocated, bits);
    d.findAndGetOFString(DCM_PhotometricInterpretation, kind);
    if (kind == "YBR_FULL_422" || kind == "YBR_PARTIAL_422") samples = 2;
    if (samples == 0 || bits == 0 || bits > 64)
      refuse("an attribute has a value that cannot be: samples per pixel or bits allocated");
    most = int64_t(pixels->getLength()) * 8 / (int64_t(rows) * columns * samples * bits);
  }
  if (frames > most)
    refuse("its header says " + std::to_string(frames) + (frames == 1 ? " frame" : " frames") + ", and it has the pixels of " +
           std::to_string(most) + "; the file is damaged");
}

const char* why(EI_Status s) {
  switch (s) {
    case EIS_MissingAttribute:
      return "an attribute that pictures need is missing; 'dcmdump' (package dcmtk) lists what there is";
    case EIS_InvalidValue:
      return "an attribute of the picture has a value that cannot be; 'dcmdump' (package dcmtk) lists them";
    case EIS_NotSupportedValue:
      return "an attribute of the picture has a value that is not read here; 'dcmdump' (package dcmtk) lists them";
    case EIS_MemoryFailure:
      return "it needs more memory than is given to it";
    case EIS_InvalidImage:
      return "its pixels are damaged";
    default:
      return "its pixels cannot be read";
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4 && count != 6) {
    std::fprintf(stderr, "duet-dicom serves duet, which starts it where it meets a DICOM file\n");
    return 2;
  }
  shut_in();
  std::set_new_handler(no_memory);
  const long frame = std::atol(arguments[1]), max_pixels = std::atol(arguments[2]), max_side = std::atol(arguments[3]);
  OFLog::configure(OFLogger::OFF_LOG_LEVEL);
  DJDecoderRegistration::registerCodecs();
  DJLSDecoderRegistration::registerCodecs();
  DcmRLEDecoderRegistration::registerCodecs();

  if (!dcmDataDict.isDictionaryLoaded()) refuse("DCMTK's dictionary is not there; install the package libdcmtk17 anew");

  // All of the file is read at once: what is left for later would be opened anew.
  DcmInputFileStream stream("/proc/self/fd/0");
  if (!duet::lock_down()) refuse("a process cannot be shut in on this system, and foreign files are read in such a one");
  DcmFileFormat file;
  file.transferInit();
  const bool read = stream.good() && file.read(stream, EXS_Unknown, EGL_noChange, 0xfffffffe).good();
  file.transferEnd();
  DcmDataset& d = *file.getDataset();
  const auto said = [](DcmItem* item, const DcmTagKey& tag) {
    OFString s;
    if (item) item->findAndGetOFString(tag, s);
    return std::string(s.c_str());
  };
  if (const std::string uid = said(file.getMetaInfo(), DCM_TransferSyntaxUID); !uid.empty()) check_syntax(uid);
  if (!read) refuse("this DICOM file is damaged: its attributes end before they should, or are none");
  std::string kind = said(&d, DCM_SOPClassUID);
  if (kind.empty()) kind = said(file.getMetaInfo(), DCM_MediaStorageSOPClassUID);
  check_pixels(d, kind, max_pixels, int(max_side));
  Sint32 frames = 1;
  if (d.tagExists(DCM_NumberOfFrames) && (d.findAndGetSint32(DCM_NumberOfFrames, frames).bad() || frames < 1))
    refuse("its number of frames is none that can be; the file is damaged");
  check_frames(d, frames);
  if (frame >= frames)
    refuse("frame " + std::to_string(frame) + " is asked for; it has " + std::to_string(frames) + " (0 to " +
           std::to_string(frames - 1) + ")");

  Head head;
  head.frames = uint32_t(frames), head.patient = patient_of(d);
  head.names_patient = !said(&d, DCM_PatientID).empty();
  OFString burned;
  d.findAndGetOFString(DCM_BurnedInAnnotation, burned);
  head.burned_in = burned == "YES";
  if (frame < 0) put(&head, sizeof head), _exit(0);

  E_TransferSyntax syntax = d.getOriginalXfer();
  unsigned long first = (unsigned long)frame;
  if (duet::dicom::is_jpeg2000(syntax)) {
    if (const std::string wrong = duet::dicom::unpack_jpeg2000(d, frame, frames); !wrong.empty())
      refuse("this DICOM file cannot be shown: " + wrong);
    syntax = EXS_LittleEndianExplicit, first = 0;
  }
  DicomImage image(&d, syntax, CIF_UsePartialAccessToPixelData | CIF_IgnoreModalityTransformation, first, 1);
  if (image.getStatus() != EIS_Normal) refuse(std::string("this DICOM file cannot be shown: ") + why(image.getStatus()));
  head.width = uint32_t(image.getWidth()), head.height = uint32_t(image.getHeight());
  std::vector<uint8_t> values;
  const void* pixels = nullptr;
  if (image.isMonochrome()) {
    std::string wrong;
    values = duet::dicom::grey(d, image, frame, wrong, count == 6 ? std::atof(arguments[4]) : 0,
                               count == 6 ? std::atof(arguments[5]) : 0);
    if (values.empty()) refuse("this DICOM file cannot be shown: " + wrong);
    head.channels = 1, pixels = values.data();
  } else {
    head.channels = 3, pixels = image.getOutputData(8);
  }
  head.bytes = uint64_t(head.width) * head.height * head.channels;
  if (!pixels || (head.channels == 3 && image.getOutputDataSize(8) < head.bytes))
    refuse("this DICOM file cannot be shown: its pixels cannot be read");
  put(&head, sizeof head), put(pixels, size_t(head.bytes));
  _exit(0);
}
