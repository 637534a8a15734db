#include "vision/webpwrite.h"

#include <webp/encode.h>
#include <webp/mux.h>

#include <memory>

#include "kernels/error.h"

namespace duet {

namespace {

std::vector<uint8_t> with_xmp(const uint8_t* webp, size_t size, std::string_view xmp) {
  const WebPData still{webp, size}, packet{reinterpret_cast<const uint8_t*>(xmp.data()), xmp.size()};
  const std::unique_ptr<WebPMux, void (*)(WebPMux*)> mux(WebPMuxCreate(&still, 0), WebPMuxDelete);
  CHECK(mux && WebPMuxSetChunk(mux.get(), "XMP ", &packet, 0) == WEBP_MUX_OK, "libwebpmux takes XMP");
  WebPData out;
  WebPDataInit(&out);
  const WebPMuxError error = WebPMuxAssemble(mux.get(), &out);
  const std::unique_ptr<WebPData, void (*)(WebPData*)> hold(&out, WebPDataClear);
  CHECK(error == WEBP_MUX_OK, "libwebpmux writes a file with XMP: error ", int(error));
  return {out.bytes, out.bytes + out.size};
}

}  // namespace

std::vector<uint8_t> encode_webp(const Image& image, int quality, std::string_view xmp) {
  CHECK(image.width > 0 && image.height > 0 && image.width <= WEBP_MAX_DIMENSION && image.height <= WEBP_MAX_DIMENSION,
        "a picture of ", image.width, " x ", image.height, " as WebP");
  CHECK(quality >= 0 && quality <= 100, "WebP quality 0..100, got ", quality);
  uint8_t* out = nullptr;
  const size_t size = WebPEncodeRGBA(image.rgba.data(), image.width, image.height, image.width * 4, float(quality), &out);
  const std::unique_ptr<uint8_t, void (*)(void*)> hold(out, WebPFree);
  CHECK(size > 0, "libwebp encodes a picture of ", image.width, " x ", image.height);
  return xmp.empty() ? std::vector<uint8_t>(out, out + size) : with_xmp(out, size, xmp);
}

}  // namespace duet
