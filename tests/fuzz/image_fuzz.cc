// Any bytes as a picture: a whole Image or a duet::Error, nothing else.
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels/error.h"
#include "vision/codec.h"

namespace duet {
namespace {

void must(bool ok) {
  if (!ok) std::abort();
}

void try_all(Bytes bytes) {
  const Limits limits{.max_pixels = 1 << 16, .max_side = 4096, .max_bytes = 1 << 20};
  try {
    Image image = decode_image(bytes, "fuzz", limits);
    must(image.width > 0 && image.height > 0 && int64_t(image.width) * image.height <= limits.max_pixels);
    must(image.rgba.size() == size_t(image.width) * image.height * 4);
  } catch (const Error&) {
  }
  std::vector<PngText> texts;
  try {
    texts = read_png_text(bytes, "fuzz");
  } catch (const Error&) {
  }
  // Whatever was read is UTF-8, and so can be written again.
  for (const PngText& text : texts) {
    if (text.value.find('\0') == std::string::npos) check_png_text({"key", text.value});
  }
}

// Rewrites the checksum of every chunk: without that no changed PNG gets past the first.
void mend_checksums(std::vector<uint8_t>& png) {
  for (size_t at = 8; at + 12 <= png.size();) {
    size_t length = size_t(png[at]) << 24 | png[at + 1] << 16 | png[at + 2] << 8 | png[at + 3];
    if (length > png.size() - at - 12) return;
    uLong sum = crc32(0, png.data() + at + 4, uInt(length + 4));
    for (int i = 0; i < 4; ++i) png[at + 8 + length + i] = uint8_t(sum >> (24 - 8 * i));
    at += 12 + length;
  }
}

}  // namespace
}  // namespace duet

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  duet::try_all({data, size});
  if (size > 8 && std::memcmp(data, "\x89PNG", 4) == 0) {
    std::vector<uint8_t> mended(data, data + size);
    duet::mend_checksums(mended);
    duet::try_all(mended);
  }
  return 0;
}
