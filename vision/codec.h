// Pictures in and out of bytes. Everything that reads takes hostile bytes: the size in the header is checked against
// Limits before any pixel is allocated, a damaged or truncated file is refused, and what comes out is a whole Image or
// an Error whose one line names the file, what is wrong with it and what to do.
// JPEG by libjpeg-turbo, PNG by libpng, WebP by libwebp; their headers stay inside vision/{jpeg,png,webp}.cc.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/files.h"
#include "vision/image.h"
#include "vision/pngtext.h"

namespace duet {

// Of DICOM, in what the stored values mean (CT: Hounsfield units); see vision/dicom.h.
struct Window {
  double center = 0, width = 0;  // width above 0
};

struct Limits {
  int64_t max_pixels = 50'000'000;    // width * height; decoding needs 4 to 12 bytes of memory per pixel
  int max_side = 16384;               // pixels
  int64_t max_bytes = 64 << 20;       // of the encoded file
  std::optional<Window> window = {};  // of grey DICOM, in the place of the file's own; nothing to other formats
};

// JPEG, PNG, WebP or DICOM (vision/dicom.h; of several frames the first), told apart by their first bytes. `name` stands in the
// error text. Orientation from EXIF is applied; CMYK becomes RGB, 16 bits become 8, of an animation the first picture is taken;
// colour profiles are ignored.
Image decode_image(std::span<const uint8_t> bytes, const std::string& name, const Limits& limits = {});
Image load_image(const std::string& path, const Limits& limits = {});
bool has_picture_name(const std::string& path);  // ends in .png .jpg .jpeg .webp, or names_dicom()

// RGBA, or RGB if every pixel is opaque. Lossless, the colour of transparent pixels included; same input, same bytes.
std::vector<uint8_t> encode_png(const Image& image, const std::vector<PngText>& texts = {});
// JPEG has no alpha: the picture is laid on white. quality 1..100; no chroma subsampling. xmp: an XMP packet of at most
// 65502 bytes to carry along; empty: none.
std::vector<uint8_t> encode_jpeg(const Image& image, int quality, std::string_view xmp = {});

// kernels/files.h reads (read_file) and writes (write_file); this is its write_file for the bytes of one encoder:
// after a full disk or a crash the path holds the old file or the new one, never a part.
inline void write_file_atomic(const std::string& path, Bytes bytes) { write_file(path, std::span<const Bytes>(&bytes, 1)); }

}  // namespace duet
