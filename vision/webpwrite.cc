#include "vision/webpwrite.h"

#include <webp/encode.h>

#include <memory>

#include "kernels/error.h"

namespace duet {

std::vector<uint8_t> encode_webp(const Image& image, int quality) {
  CHECK(image.width > 0 && image.height > 0 && image.width <= WEBP_MAX_DIMENSION && image.height <= WEBP_MAX_DIMENSION,
        "a picture of ", image.width, " x ", image.height, " as WebP");
  CHECK(quality >= 0 && quality <= 100, "WebP quality 0..100, got ", quality);
  uint8_t* out = nullptr;
  const size_t size =
      WebPEncodeRGBA(image.rgba.data(), image.width, image.height, image.width * 4, float(quality), &out);
  const std::unique_ptr<uint8_t, void (*)(void*)> hold(out, WebPFree);
  CHECK(size > 0, "libwebp encodes a picture of ", image.width, " x ", image.height);
  return {out, out + size};
}

}  // namespace duet
