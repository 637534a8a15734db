#include "vision/dicom/grey.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmimgle/dcmimage.h>
#include <dcmtk/dcmimgle/dipixel.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace duet::dicom {
namespace {

// Where an attribute of a macro stands: enhanced files have it for each frame or for all of them, others in the data set
// itself.
DcmItem* holder(DcmDataset& d, long frame, const DcmTagKey& macro) {
  DcmItem *group = nullptr, *item = nullptr;
  if (d.findAndGetSequenceItem(DCM_PerFrameFunctionalGroupsSequence, group, frame).good() &&
      group->findAndGetSequenceItem(macro, item, 0).good())
    return item;
  if (d.findAndGetSequenceItem(DCM_SharedFunctionalGroupsSequence, group, 0).good() &&
      group->findAndGetSequenceItem(macro, item, 0).good())
    return item;
  return &d;
}

bool number(DcmItem& item, const DcmTagKey& tag, double& to) {
  return item.tagExistsWithValue(tag) && item.findAndGetFloat64(tag, to).good() && std::isfinite(to);
}

struct Lut {
  std::vector<double> entries;
  double first = 0;  // value of the first entry
  double most = 1;   // that an entry can be
  double operator()(double v) const {
    const double at = std::clamp(std::nearbyint(v - first), 0.0, double(entries.size() - 1));
    return entries[size_t(at)];
  }
};

// is_signed: the first value is, where the file does not say so itself: a word of 16 bits stands for either.
bool read_lut(DcmItem& item, bool is_signed, bool says_kind, Lut& lut) {
  DcmElement* descriptor = nullptr;
  if (item.findAndGetElement(DCM_LUTDescriptor, descriptor).bad()) return false;
  const auto word = [&](unsigned long i, long& to) {
    Uint16 u = 0;
    Sint16 s = 0;
    if (descriptor->getUint16(u, i).good()) to = u;
    else if (descriptor->getSint16(s, i).good()) to = Uint16(s);
    else return false;
    return true;
  };
  long count = 0, first = 0, bits = 0;
  if (!word(0, count) || !word(1, first) || !word(2, bits) || bits < 1 || bits > 16) return false;
  if (count == 0) count = 65536;
  if (says_kind && (descriptor->ident() == EVR_SS || descriptor->ident() == EVR_US)) is_signed = descriptor->ident() == EVR_SS;
  lut.first = is_signed ? double(Sint16(Uint16(first))) : double(first);
  lut.most = double((1 << bits) - 1);
  const Uint16* data = nullptr;
  unsigned long words = 0;
  DcmElement* e = nullptr;
  Uint16* held = nullptr;
  Sint16* held_signed = nullptr;
  if (item.findAndGetElement(DCM_LUTData, e).bad()) return false;
  if (e->getUint16Array(held).good() && held) data = held;
  else if (e->getSint16Array(held_signed).good() && held_signed) data = reinterpret_cast<const Uint16*>(held_signed);
  else return false;
  words = (unsigned long)(e->getLength() / 2);
  if (long(words) >= count) {
    for (long i = 0; i < count; ++i) lut.entries.push_back(double(data[i]));
  } else if (bits <= 8 && long(words) * 2 >= count) {  // two to a word
    for (long i = 0; i < count; ++i) lut.entries.push_back(double((data[i / 2] >> (i % 2 * 8)) & 255));
  } else {
    return false;
  }
  return true;
}

std::vector<double> stored(const DiPixel& p) {
  std::vector<double> out(size_t(p.getCount()));
  const auto take = [&](const auto* from) { std::copy(from, from + out.size(), out.begin()); };
  switch (p.getRepresentation()) {
    case EPR_Uint8:
      take(static_cast<const Uint8*>(p.getData()));
      break;
    case EPR_Sint8:
      take(static_cast<const Sint8*>(p.getData()));
      break;
    case EPR_Uint16:
      take(static_cast<const Uint16*>(p.getData()));
      break;
    case EPR_Sint16:
      take(static_cast<const Sint16*>(p.getData()));
      break;
    case EPR_Uint32:
      take(static_cast<const Uint32*>(p.getData()));
      break;
    case EPR_Sint32:
      take(static_cast<const Sint32*>(p.getData()));
      break;
  }
  return out;
}

// Stored values that stand for no measurement (PS3.3 C.7.5.1.1.2): they shall not stretch the range.
struct Padding {
  bool there = false;
  double low = 0, high = 0;
  // Its words stand as signed or not, whatever the pixels are; the bits are meant.
  Padding(DcmDataset& d, bool is_signed) {
    Uint16 bits = 16;
    d.findAndGetUint16(DCM_BitsStored, bits);
    const auto value = [&](const DcmTagKey& tag, double& to) {
      Uint16 u = 0;
      Sint16 s = 0;
      if (d.findAndGetSint16(tag, s).good()) u = Uint16(s);
      else if (d.findAndGetUint16(tag, u).bad()) return false;
      const int shift = bits < 16 ? 16 - bits : 0;
      u = Uint16(u << shift);
      to = is_signed ? double(Sint16(u) >> shift) : double(u >> shift);
      return true;
    };
    there = value(DCM_PixelPaddingValue, low);
    high = low;
    if (there && value(DCM_PixelPaddingRangeLimit, high) && high < low) std::swap(low, high);
  }
  bool operator()(double v) const { return there && v >= low && v <= high; }
};

}  // namespace

std::vector<uint8_t> grey(DcmDataset& d, const DicomImage& image, long frame, std::string& why, double asked_center,
                          double asked_width) {
  const DiPixel* pixels = image.getInterData();
  const size_t N = size_t(image.getWidth()) * image.getHeight();
  if (!pixels || pixels->getCount() < N) return why = "its pixels are damaged", std::vector<uint8_t>{};
  std::vector<double> v = stored(*pixels);
  v.resize(N);
  Uint16 representation = 0;
  d.findAndGetUint16(DCM_PixelRepresentation, representation);
  bool is_signed = representation == 1;
  const Padding padding(d, is_signed);
  double low = std::numeric_limits<double>::infinity(), high = -low;  // of the measured values
  for (const double x : v)
    if (!padding(x)) low = std::min(low, x), high = std::max(high, x);

  // Modality. Angiography's is not for display (PS3.4 N.2.5: it turns log values back). What it makes of `low` and `high` is
  // still the range, either way round.
  DcmItem* lut_item = nullptr;
  Lut lut;
  DcmItem& rescale = *holder(d, frame, DCM_PixelValueTransformationSequence);
  double slope = 1, intercept = 0;
  OFString sop_class;
  d.findAndGetOFString(DCM_SOPClassUID, sop_class);
  const bool angiography = sop_class == UID_XRayAngiographicImageStorage ||
                           sop_class == UID_XRayRadiofluoroscopicImageStorage ||
                           sop_class == UID_RETIRED_XRayAngiographicBiPlaneImageStorage;
  const bool says_kind = DcmXfer(d.getOriginalXfer()).isExplicitVR();
  if (!angiography && d.findAndGetSequenceItem(DCM_ModalityLUTSequence, lut_item, 0).good()) {
    if (!read_lut(*lut_item, is_signed, says_kind, lut)) return why = "its modality LUT is damaged", std::vector<uint8_t>{};
    low = std::numeric_limits<double>::infinity(), high = -low;
    for (double& x : v) {
      const bool padded = padding(x);
      x = lut(x);
      if (!padded) low = std::min(low, x), high = std::max(high, x);
    }
  } else if (!angiography && (number(rescale, DCM_RescaleSlope, slope) | number(rescale, DCM_RescaleIntercept, intercept))) {
    if (slope == 0) return why = "its rescale slope is 0", std::vector<uint8_t>{};
    for (double& x : v) x = x * slope + intercept;
    low = low * slope + intercept, high = high * slope + intercept;
    if (low > high) std::swap(low, high);
  }

  // VOI: to 0 .. 1.
  DcmItem& voi = *holder(d, frame, DCM_FrameVOILUTSequence);
  DcmItem* voi_item = nullptr;
  double center = 0, width = 0;
  if (asked_width > 0) {
    for (double& x : v) x = std::clamp((x - asked_center) / asked_width + 0.5, 0.0, 1.0);
  } else if (voi.findAndGetSequenceItem(DCM_VOILUTSequence, voi_item, 0).good() ||
             d.findAndGetSequenceItem(DCM_VOILUTSequence, voi_item, 0).good()) {
    Lut window;
    if (!read_lut(*voi_item, *std::min_element(v.begin(), v.end()) < 0, says_kind, window))
      return why = "its VOI LUT is damaged", std::vector<uint8_t>{};
    for (double& x : v) x = std::min(window(x) / window.most, 1.0);
  } else if (number(voi, DCM_WindowCenter, center) && number(voi, DCM_WindowWidth, width) && width > 0) {
    OFString function;
    voi.findAndGetOFString(DCM_VOILUTFunction, function);
    if (function == "SIGMOID") {
      for (double& x : v) x = 1 / (1 + std::exp(-4 * (x - center) / width));
    } else if (function == "LINEAR_EXACT") {
      for (double& x : v) x = std::clamp((x - center) / width + 0.5, 0.0, 1.0);
    } else {  // C.11.2.1.2.1: the middle lies half a value lower, the width is of whole values
      const double c = center - 0.5, w = std::max(width - 1, 0.0);
      for (double& x : v) x = x <= c - w / 2 ? 0 : x > c + w / 2 ? 1 : (x - c) / w + 0.5;
    }
  } else {
    const double range = high > low ? high - low : 1;
    for (double& x : v) x = std::clamp((x - low) / range, 0.0, 1.0);
  }

  OFString kind;
  d.findAndGetOFString(DCM_PhotometricInterpretation, kind);
  const bool inverse = kind == "MONOCHROME1";
  std::vector<uint8_t> out(N);
  for (size_t i = 0; i < N; ++i) {
    const double x = std::isfinite(v[i]) ? v[i] : 0;
    out[i] = uint8_t(std::lround(255 * (inverse ? 1 - x : x)));
  }
  return out;
}

}  // namespace duet::dicom
