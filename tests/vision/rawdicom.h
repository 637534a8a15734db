// DICOM files put together by hand (PS3.10, Explicit VR Little Endian), so that the tests can hold what no writer would write.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace duet::rawdicom {

using Raw = std::vector<uint8_t>;

inline void put16(Raw& out, uint32_t v) { out.push_back(uint8_t(v)), out.push_back(uint8_t(v >> 8)); }
inline void put32(Raw& out, uint32_t v) { put16(out, v & 0xffff), put16(out, v >> 16); }
inline void append(Raw& out, const Raw& more) { out.insert(out.end(), more.begin(), more.end()); }

inline bool is_long(const std::string& vr) { return vr == "OB" || vr == "OW" || vr == "SQ" || vr == "UN" || vr == "UT"; }

// length: as declared, where that is not the value's own
inline void element(Raw& out, uint32_t tag, const std::string& vr, Raw value, int64_t length = -1) {
  if (value.size() % 2) value.push_back(vr == "OB" || vr == "UI" ? 0 : ' ');
  put16(out, tag >> 16), put16(out, tag & 0xffff);
  out.insert(out.end(), {uint8_t(vr[0]), uint8_t(vr[1])});
  const uint32_t n = length < 0 ? uint32_t(value.size()) : uint32_t(length);
  if (is_long(vr)) put16(out, 0), put32(out, n);
  else put16(out, n);
  append(out, value);
}
inline void text(Raw& out, uint32_t tag, const std::string& vr, const std::string& s) {
  element(out, tag, vr, Raw(s.begin(), s.end()));
}
inline void words(Raw& out, uint32_t tag, const std::string& vr, const std::vector<int>& v) {
  Raw value;
  for (const int w : v) put16(value, uint32_t(w) & 0xffff);
  element(out, tag, vr, value);
}
// A sequence of the given items, each a data set.
inline void sequence(Raw& out, uint32_t tag, const std::vector<Raw>& items) {
  Raw value;
  for (const Raw& item : items)
    put16(value, 0xfffe), put16(value, 0xe000), put32(value, uint32_t(item.size())), append(value, item);
  element(out, tag, "SQ", value);
}

// Pixels in fragments, after an empty table of offsets.
inline void fragmented(Raw& out, const std::vector<Raw>& fragments) {
  element(out, 0x7fe00010, "OB", {}, 0xffffffff);
  put16(out, 0xfffe), put16(out, 0xe000), put32(out, 0);
  for (const Raw& f : fragments) put16(out, 0xfffe), put16(out, 0xe000), put32(out, uint32_t(f.size())), append(out, f);
  put16(out, 0xfffe), put16(out, 0xe0dd), put32(out, 0);
}

// Preamble, "DICM" and the header's group, then the data set.
inline Raw file(const Raw& dataset, const std::string& syntax = "1.2.840.10008.1.2.1") {
  Raw meta;
  element(meta, 0x00020001, "OB", {0, 1});
  text(meta, 0x00020002, "UI", "1.2.840.10008.5.1.4.1.1.7");
  text(meta, 0x00020003, "UI", "1.2.3.4");
  text(meta, 0x00020010, "UI", syntax);
  Raw out(128);
  for (const char c : std::string("DICM")) out.push_back(uint8_t(c));
  Raw length;
  put32(length, uint32_t(meta.size()));
  element(out, 0x00020000, "UL", length);
  append(out, meta), append(out, dataset);
  return out;
}

// A picture of one sample a pixel in 16 bits; `more` are elements in their order between (0028,0103) and the pixels.
struct Grey {
  int columns = 4, rows = 1, frames = 0;
  std::vector<int> stored = {0, 100, 200, 300};
  std::string photometric = "MONOCHROME2", patient = "4711", issuer = {};
  int bits = 16, high = -1;  // high: the highest of them, where that is not bits - 1
  bool is_signed = false, burned_in = false;
  Raw more = {}, functional = {};  // groups, after 0028
  std::string syntax = "1.2.840.10008.1.2.1";
  std::vector<Raw> fragments = {Raw(4, 0xff)};  // of a compressed one
  std::string study = {}, sop_class = "1.2.840.10008.5.1.4.1.1.7";
  Raw dataset() const {
    Raw d;
    text(d, 0x00080016, "UI", sop_class);
    text(d, 0x00100010, "PN", "SECRET^NAME");
    if (!patient.empty()) text(d, 0x00100020, "LO", patient);
    if (!issuer.empty()) text(d, 0x00100021, "LO", issuer);
    if (!study.empty()) text(d, 0x0020000d, "UI", study);
    words(d, 0x00280002, "US", {1});
    text(d, 0x00280004, "CS", photometric);
    if (frames) text(d, 0x00280008, "IS", std::to_string(frames));
    words(d, 0x00280010, "US", {rows});
    words(d, 0x00280011, "US", {columns});
    words(d, 0x00280100, "US", {16});
    words(d, 0x00280101, "US", {bits});
    words(d, 0x00280102, "US", {high < 0 ? bits - 1 : high});
    words(d, 0x00280103, "US", {is_signed});
    append(d, more);
    if (burned_in) text(d, 0x00280301, "CS", "YES");
    append(d, functional);
    if (syntax.starts_with("1.2.840.10008.1.2.4")) fragmented(d, fragments);  // compressed
    else words(d, 0x7fe00010, "OW", stored);
    return d;
  }
  Raw bytes() const { return file(dataset(), syntax); }
};

}  // namespace duet::rawdicom
