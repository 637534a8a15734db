#include <turbojpeg.h>

#include <cstring>
#include <memory>

#include "kernels/error.h"
#include "vision/exif.h"
#include "vision/formats.h"
#include "vision/transform.h"

namespace duet {
namespace {

struct TurboFree {
  void operator()(void* handle) const { tjDestroy(handle); }
};
using Turbo = std::unique_ptr<void, TurboFree>;

// What the decoder does not tell: the orientation (APP1 "Exif") and whether Adobe wrote it (APP14), whose inks are
// inverted.
struct Markers {
  int orientation = 1;
  bool adobe = false;
};

Markers read_markers(std::span<const uint8_t> bytes) {
  Markers m;
  size_t at = 2;
  while (at + 4 <= bytes.size() && bytes[at] == 0xff) {
    uint8_t marker = bytes[at + 1];
    if (marker == 0xff) {  // padding before a marker
      ++at;
      continue;
    }
    size_t length = bytes[at + 2] << 8 | bytes[at + 3];
    if (marker == 0xda || length < 2 || at + 2 + length > bytes.size()) break;
    auto body = bytes.subspan(at + 4, length - 2);
    if (marker == 0xe1 && body.size() > 6 && std::memcmp(body.data(), "Exif\0\0", 6) == 0) {
      m.orientation = exif_orientation(body.subspan(6));
    }
    if (marker == 0xee && body.size() >= 12 && std::memcmp(body.data(), "Adobe", 5) == 0) m.adobe = true;
    at += 2 + length;
  }
  return m;
}

void cmyk_to_rgb(Image& image, bool inverted) {
  for (size_t i = 0; i < image.rgba.size(); i += 4) {
    uint8_t* p = image.rgba.data() + i;
    int flip = inverted ? 0 : 255;  // afterwards 255 means "no ink" in all four
    int k = p[3] ^ flip;
    for (int c = 0; c < 3; ++c) p[c] = uint8_t(((p[c] ^ flip) * k + 127) / 255);
    p[3] = 255;
  }
}

// After the first segment, which is JFIF's: an APP1 of XMP (XMP Specification Part 3, 1.1.3).
void put_xmp(std::vector<uint8_t>& jpeg, std::string_view xmp) {
  constexpr std::string_view name("http://ns.adobe.com/xap/1.0/\0", 29);
  const size_t length = 2 + name.size() + xmp.size();
  CHECK(length <= 0xffff, "an XMP packet of ", xmp.size(), " bytes in a JPEG");
  CHECK(jpeg.size() > 6 && jpeg[2] == 0xff && jpeg[3] == 0xe0, "a JPEG that begins with JFIF");
  std::vector<uint8_t> segment{0xff, 0xe1, uint8_t(length >> 8), uint8_t(length)};
  segment.insert(segment.end(), name.begin(), name.end());
  segment.insert(segment.end(), xmp.begin(), xmp.end());
  jpeg.insert(jpeg.begin() + 4 + (jpeg[4] << 8 | jpeg[5]), segment.begin(), segment.end());
}

}  // namespace

Image decode_jpeg(std::span<const uint8_t> bytes, const std::string& name, const Limits& limits) {
  Turbo turbo(tjInitDecompress());
  CHECK(turbo, "libjpeg-turbo starts");
  auto damaged = [&] {
    refuse(name, ": not a whole JPEG (", tjGetErrorStr2(turbo.get()), "); it is damaged or cut off, get it again");
  };
  // A JPEG of tables alone "succeeds" without writing these, so they start at 0, which check_size refuses.
  int width = 0, height = 0, subsampling = -1, space = -1;
  if (tjDecompressHeader3(turbo.get(), bytes.data(), bytes.size(), &width, &height, &subsampling, &space) != 0) damaged();
  check_size(width, height, name, limits);
  // Every 8x8 block costs at least one bit, so 512 pixels a byte is the most Huffman coding can do; 4 times that leaves
  // room for arithmetic coding, and a header with nothing behind it allocates nothing.
  if (int64_t(width) * height / 2048 > int64_t(bytes.size())) {
    refuse(name, ": ", bytes.size(), " bytes cannot hold the ", width, " x ", height,
           " pixels of its header; it is cut off, get it again");
  }
  Markers markers = read_markers(bytes);
  Image image(width, height);
  bool inks = space == TJCS_CMYK || space == TJCS_YCCK;
  int format = inks ? TJPF_CMYK : TJPF_RGBA;
  int flags = TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS | TJFLAG_STOPONWARNING;
  if (tjDecompress2(turbo.get(), bytes.data(), bytes.size(), image.rgba.data(), width, 0, height, format, flags) != 0) {
    damaged();
  }
  if (inks) cmyk_to_rgb(image, markers.adobe);
  return turn_upright(std::move(image), markers.orientation);
}

std::vector<uint8_t> encode_jpeg(const Image& image, int quality, std::string_view xmp) {
  CHECK(image.width > 0 && image.height > 0 && image.width <= 65500 && image.height <= 65500, "a picture of ", image.width,
        " x ", image.height, " as JPEG");
  CHECK(quality >= 1 && quality <= 100, "JPEG quality 1..100, got ", quality);
  Turbo turbo(tjInitCompress());
  CHECK(turbo, "libjpeg-turbo starts");
  Image flat = over(image, 255, 255, 255);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  int rc = tjCompress2(turbo.get(), flat.rgba.data(), flat.width, 0, flat.height, TJPF_RGBA, &out, &size, TJSAMP_444, quality,
                       TJFLAG_ACCURATEDCT);
  std::unique_ptr<unsigned char, void (*)(unsigned char*)> hold(out, tjFree);
  CHECK(rc == 0, tjGetErrorStr2(turbo.get()));
  std::vector<uint8_t> file(out, out + size);
  if (!xmp.empty()) put_xmp(file, xmp);
  return file;
}

}  // namespace duet
