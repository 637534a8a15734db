#include "vision/dicom/jpeg2000.h"

#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <openjpeg.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

namespace duet::dicom {
namespace {

using Bytes = std::span<const uint8_t>;
using Codec = std::unique_ptr<opj_codec_t, decltype(&opj_destroy_codec)>;
using Stream = std::unique_ptr<opj_stream_t, decltype(&opj_stream_destroy)>;
struct Picture {
  opj_image_t* p = nullptr;
  ~Picture() { opj_image_destroy(p); }
};

constexpr const char* kDamaged = "its pixels are damaged";

bool begins_codestream(Bytes b) {  // SOC, SIZ; or the box that begins a JP2 file, which some writers leave around it
  constexpr uint8_t soc[] = {0xff, 0x4f, 0xff, 0x51}, box[] = {0, 0, 0, 12, 'j', 'P', ' ', ' '};
  const auto begins = [&](Bytes with) { return b.size() >= with.size() && std::equal(with.begin(), with.end(), b.begin()); };
  return begins(soc) || begins(box);
}

// A frame has one fragment or several, each frame its own. Where there are more fragments than frames, one begins where a
// codestream does: the table of offsets may be empty.
std::vector<uint8_t> codestream(DcmDataset& d, int64_t frame, int64_t frames) {
  DcmElement* e = nullptr;
  auto* pixels = d.findAndGetElement(DCM_PixelData, e).good() ? dynamic_cast<DcmPixelData*>(e) : nullptr;
  DcmPixelSequence* all = nullptr;
  if (!pixels || pixels->getEncapsulatedRepresentation(d.getOriginalXfer(), nullptr, all).bad() || !all) return {};
  std::vector<uint8_t> out;
  const bool one_each = int64_t(all->card()) - 1 == frames;
  int64_t at = -1;
  for (unsigned long i = 1; i < all->card(); ++i) {  // 0 is the table
    DcmPixelItem* fragment = nullptr;
    Uint8* p = nullptr;
    if (all->getItem(fragment, i).bad() || fragment->getUint8Array(p).bad() || !p) return {};
    const Bytes bytes(p, fragment->getLength());
    if (one_each || begins_codestream(bytes)) ++at;
    if (at == frame) out.insert(out.end(), bytes.begin(), bytes.end());
  }
  return out;
}

struct Reader {
  Bytes all;
  size_t at = 0;
  static OPJ_SIZE_T read(void* to, OPJ_SIZE_T n, void* self) {
    auto& r = *static_cast<Reader*>(self);
    n = std::min(n, r.all.size() - r.at);
    if (n == 0) return OPJ_SIZE_T(-1);
    std::memcpy(to, r.all.data() + r.at, n);
    r.at += n;
    return n;
  }
  static OPJ_OFF_T skip(OPJ_OFF_T n, void* self) {
    auto& r = *static_cast<Reader*>(self);
    const OPJ_OFF_T to = std::clamp<OPJ_OFF_T>(OPJ_OFF_T(r.at) + n, 0, OPJ_OFF_T(r.all.size())), moved = to - OPJ_OFF_T(r.at);
    r.at = size_t(to);
    return moved;
  }
  static OPJ_BOOL seek(OPJ_OFF_T to, void* self) {
    auto& r = *static_cast<Reader*>(self);
    if (to < 0 || size_t(to) > r.all.size()) return OPJ_FALSE;
    r.at = size_t(to);
    return OPJ_TRUE;
  }
};

}  // namespace

bool is_jpeg2000(E_TransferSyntax s) { return s == EXS_JPEG2000 || s == EXS_JPEG2000LosslessOnly; }

std::string unpack_jpeg2000(DcmDataset& d, int64_t frame, int64_t frames) {
  Uint16 rows = 0, columns = 0, samples = 1, allocated = 0, stored = 0;
  d.findAndGetUint16(DCM_Rows, rows), d.findAndGetUint16(DCM_Columns, columns);
  d.findAndGetUint16(DCM_SamplesPerPixel, samples), d.findAndGetUint16(DCM_BitsAllocated, allocated);
  d.findAndGetUint16(DCM_BitsStored, stored);
  if ((allocated != 8 && allocated != 16) || stored < 1 || stored > allocated || (samples != 1 && samples != 3))
    return "JPEG 2000 of other than 1 or 3 samples of 8 or 16 bits is not read here";

  const std::vector<uint8_t> packed = codestream(d, frame, frames);
  Reader reader{{packed.data(), packed.size()}};
  if (!begins_codestream(reader.all)) return kDamaged;
  const Stream stream(opj_stream_create(1 << 16, OPJ_TRUE), opj_stream_destroy);
  const Codec codec(opj_create_decompress(packed[0] == 0xff ? OPJ_CODEC_J2K : OPJ_CODEC_JP2), opj_destroy_codec);
  if (!stream || !codec) return "it needs more memory than is given to it";
  opj_stream_set_user_data(stream.get(), &reader, nullptr);
  opj_stream_set_user_data_length(stream.get(), packed.size());
  opj_stream_set_read_function(stream.get(), Reader::read);
  opj_stream_set_skip_function(stream.get(), Reader::skip);
  opj_stream_set_seek_function(stream.get(), Reader::seek);
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  Picture picture;
  if (!opj_setup_decoder(codec.get(), &parameters) || !opj_read_header(stream.get(), codec.get(), &picture.p)) return kDamaged;
  // Before anything is made for them
  const opj_image_t& head = *picture.p;
  if (head.numcomps != samples) return "its header and its pixels disagree about the samples of a pixel";
  for (unsigned i = 0; i < head.numcomps; ++i) {
    const opj_image_comp_t& c = head.comps[i];
    if (c.dx != 1 || c.dy != 1) return "its colours are coarser than its pixels, which is not read here in JPEG 2000";
    if (c.w != columns || c.h != rows) return "its header and its pixels disagree about its size";
    if (c.prec > 16) return "JPEG 2000 of more than 16 bits is not read here";
  }
  if (!opj_decode(codec.get(), stream.get(), picture.p) || !opj_end_decompress(codec.get(), stream.get())) return kDamaged;

  // As bits: whether the codestream calls them signed or not, what the data set says holds (PS3.5 8.2.4), and DCMTK reads them
  // so.
  const size_t n = size_t(rows) * columns;
  const uint32_t mask = (1u << stored) - 1;
  std::vector<uint16_t> values(n * samples);
  for (unsigned i = 0; i < samples; ++i) {
    const OPJ_INT32* from = picture.p->comps[i].data;
    if (!from || picture.p->comps[i].w != columns || picture.p->comps[i].h != rows) return kDamaged;
    for (size_t k = 0; k < n; ++k) values[k * samples + i] = uint16_t(uint32_t(from[k]) & mask);
  }
  if (values.size() % 2 && allocated == 8) values.push_back(0);  // an even length
  delete d.remove(DCM_PixelData);
  bool put;
  if (allocated == 8) {
    const std::vector<Uint8> bytes(values.begin(), values.end());
    put = d.putAndInsertUint8Array(DCM_PixelData, bytes.data(), (unsigned long)bytes.size()).good();
  } else {
    put = d.putAndInsertUint16Array(DCM_PixelData, values.data(), (unsigned long)values.size()).good();
  }
  OFString kind;
  d.findAndGetOFString(DCM_PhotometricInterpretation, kind);
  if (kind == "YBR_ICT" || kind == "YBR_RCT")  // undone with the unpacking
    put = put && d.putAndInsertString(DCM_PhotometricInterpretation, "RGB").good();
  if (samples == 3) put = put && d.putAndInsertUint16(DCM_PlanarConfiguration, 0).good();
  if (d.tagExists(DCM_NumberOfFrames)) put = put && d.putAndInsertString(DCM_NumberOfFrames, "1").good();
  return put ? "" : kDamaged;
}

}  // namespace duet::dicom
