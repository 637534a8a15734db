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
// codestream does: the table of offsets may be empty. Walked along the list, which finds its i-th entry by counting.
std::vector<uint8_t> codestream(DcmDataset& d, int64_t frame, int64_t frames) {
  DcmElement* e = nullptr;
  auto* pixels = d.findAndGetElement(DCM_PixelData, e).good() ? dynamic_cast<DcmPixelData*>(e) : nullptr;
  DcmPixelSequence* all = nullptr;
  if (!pixels || pixels->getEncapsulatedRepresentation(d.getOriginalXfer(), nullptr, all).bad() || !all) return {};
  std::vector<uint8_t> out;
  const bool one_each = int64_t(all->card()) - 1 == frames;
  int64_t at = -1;
  DcmObject* table = all->nextInContainer(nullptr);
  for (DcmObject* o = table ? all->nextInContainer(table) : nullptr; o; o = all->nextInContainer(o)) {
    auto* fragment = dynamic_cast<DcmPixelItem*>(o);
    Uint8* p = nullptr;
    if (!fragment) return {};
    const Bytes bytes = fragment->getUint8Array(p).good() && p ? Bytes(p, fragment->getLength()) : Bytes();
    if (one_each || begins_codestream(bytes)) ++at;
    if (at > frame) break;
    if (at == frame) out.insert(out.end(), bytes.begin(), bytes.end());
  }
  return out;
}

// Absent tiles would be shown as black.
bool has_all_tiles(opj_codec_t* codec) {
  opj_codestream_index_t* index = opj_get_cstr_index(codec);
  bool all = index && index->tile_index;
  for (OPJ_UINT32 i = 0; all && i < index->nb_of_tiles; ++i) {
    const opj_tile_index_t& t = index->tile_index[i];  // nb_tps: 0 where the codestream does not say
    constexpr OPJ_UINT16 sot = 0xff90;
    const auto parts = std::count_if(t.marker, t.marker + t.marknum, [](const opj_marker_info_t& m) { return m.type == sot; });
    all = parts > 0 && OPJ_UINT32(parts) >= t.nb_tps;
  }
  if (index) opj_destroy_cstr_index(&index);
  return all;
}

// What a value of the codestream is in the data set. The signs may disagree, and then the bits are meant, as the data set has
// them (pydicom does likewise; PS3.5 8.2.4 trusts the codestream, whose writers often do not know). Lossy packing goes
// beyond what may be stored, which is cut, unless other things lie in the bits above (overlays, PS3.3 C.9.2 of old).
struct Value {
  bool is_signed;
  uint32_t stored;
  bool overlays;
  uint16_t operator()(OPJ_INT32 v, const opj_image_comp_t& c) const {
    const uint32_t unused = 32 - std::clamp<uint32_t>(c.prec, 1, 16);
    if (is_signed && !c.sgnd) v = OPJ_INT32(uint32_t(v) << unused) >> unused;
    if (!is_signed && c.sgnd) v = OPJ_INT32(uint32_t(v) << unused >> unused);
    const OPJ_INT32 low = is_signed ? -(1 << (stored - 1)) : 0, high = (1 << (is_signed ? stored - 1 : stored)) - 1;
    if (!overlays) v = std::clamp(v, low, high);
    return uint16_t(uint32_t(v) & ((1u << stored) - 1));
  }
};

bool has_overlays_in_pixels(DcmDataset& d) {
  for (Uint16 group = 0x6000; group < 0x6020; group += 2) {
    Uint16 bit = 0;
    if (d.findAndGetUint16(DcmTagKey(group, 0x0102), bit).good() && bit) return true;
  }
  return false;
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
  Uint16 rows = 0, columns = 0, samples = 1, allocated = 0, stored = 0, is_signed = 0;
  d.findAndGetUint16(DCM_Rows, rows), d.findAndGetUint16(DCM_Columns, columns);
  d.findAndGetUint16(DCM_SamplesPerPixel, samples), d.findAndGetUint16(DCM_BitsAllocated, allocated);
  d.findAndGetUint16(DCM_BitsStored, stored), d.findAndGetUint16(DCM_PixelRepresentation, is_signed);
  OFString kind;
  d.findAndGetOFString(DCM_PhotometricInterpretation, kind);
  if (kind.substr(0, 11) == "YBR_PARTIAL") return "colours of YBR_PARTIAL are not read here in JPEG 2000";
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
  parameters.flags |= OPJ_DPARAMETERS_IGNORE_PCLR_CMAP_CDEF_FLAG;  // palettes are the data set's own
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
  if (!opj_decode(codec.get(), stream.get(), picture.p) || !opj_end_decompress(codec.get(), stream.get()))
    return "its pixels are damaged, or need more memory than is given to them";
  if (picture.p->numcomps != samples || !has_all_tiles(codec.get())) return kDamaged;

  const Value value{is_signed != 0, stored, has_overlays_in_pixels(d)};
  const size_t n = size_t(rows) * columns;
  std::vector<uint16_t> values(n * samples);
  for (unsigned i = 0; i < samples; ++i) {
    const opj_image_comp_t& c = picture.p->comps[i];
    if (!c.data || c.w != columns || c.h != rows) return kDamaged;
    for (size_t k = 0; k < n; ++k) values[k * samples + i] = value(c.data[k], c);
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
  put = put && d.putAndInsertUint16(DCM_HighBit, Uint16(stored - 1)).good();
  if (kind == "YBR_ICT" || kind == "YBR_RCT")  // undone with the unpacking
    put = put && d.putAndInsertString(DCM_PhotometricInterpretation, "RGB").good();
  if (kind == "YBR_FULL_422")  // left over from before it was packed: all samples are there
    put = put && d.putAndInsertString(DCM_PhotometricInterpretation, "YBR_FULL").good();
  if (samples == 3) put = put && d.putAndInsertUint16(DCM_PlanarConfiguration, 0).good();
  if (d.tagExists(DCM_NumberOfFrames)) put = put && d.putAndInsertString(DCM_NumberOfFrames, "1").good();
  return put ? "" : kDamaged;
}

}  // namespace duet::dicom
