#include "vision/codec.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "kernels/error.h"
#include "vision/dicom.h"
#include "vision/formats.h"

namespace duet {

void check_size(int64_t width, int64_t height, const std::string& name, const Limits& limits) {
  if (width <= 0 || height <= 0) refuse(name, ": the header says ", width, " x ", height, " pixels; the file is damaged");
  if (width > limits.max_side || height > limits.max_side || width * height > limits.max_pixels) {
    refuse(name, ": ", width, " x ", height, " pixels is more than is read here (", limits.max_pixels, " pixels, no side over ",
           limits.max_side, "); make it smaller first");
  }
}

Image decode_image(std::span<const uint8_t> bytes, const std::string& name, const Limits& limits) {
  auto has = [&](size_t at, const char* magic, size_t n) {
    return bytes.size() >= at + n && std::memcmp(bytes.data() + at, magic, n) == 0;
  };
  if (bytes.empty()) refuse(name, ": the file is empty");
  if (int64_t(bytes.size()) > limits.max_bytes) {
    refuse(name, ": ", bytes.size(), " bytes is more than is read here (", limits.max_bytes, "); make it smaller first");
  }
  if (has(0, "\xff\xd8", 2)) return decode_jpeg(bytes, name, limits);
  if (has(0, "\x89PNG", 4)) return decode_png(bytes, name, limits);
  if (has(0, "RIFF", 4) && has(8, "WEBP", 4)) return decode_webp(bytes, name, limits);
  if (is_dicom(bytes)) return decode_dicom(bytes, name, limits);
  const char* kind = has(0, "GIF8", 4)                              ? "a GIF file"
                     : has(0, "BM", 2)                              ? "a BMP file"
                     : has(0, "II*", 3) || has(0, "MM\0*", 4)       ? "a TIFF file"
                     : has(4, "ftyp", 4)                            ? "a HEIC, AVIF or video file"
                     : has(0, "<svg", 4) || has(0, "<?xml", 5)      ? "an SVG or XML file"
                     : has(0, "<!DOCTYPE", 9) || has(0, "<html", 5) ? "a web page"
                                                                    : "no picture that duet knows";
  refuse(name, ": this is ", kind, "; save the picture as JPEG, PNG or WebP");
}

bool has_picture_name(const std::string& path) {
  std::string e = std::filesystem::path(path).extension().string();
  for (char& c : e) c = char(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return e == ".png" || e == ".jpg" || e == ".jpeg" || e == ".webp" || names_dicom(path);
}

Image load_image(const std::string& path, const Limits& limits) {
  return decode_image(as_bytes(read_file(path, limits.max_bytes)), path, limits);
}

}  // namespace duet
