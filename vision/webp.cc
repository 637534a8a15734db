#include <webp/decode.h>
#include <webp/demux.h>

#include <cstring>
#include <memory>

#include "kernels/error.h"
#include "vision/exif.h"
#include "vision/formats.h"

namespace duet {
namespace {

[[noreturn]] void damaged(const std::string& name) {
  refuse(name, ": not a whole WebP; it is damaged or cut off, get it again");
}

// RIFF chunks: name(4), length(4, little), body, padding to even.
int orientation(std::span<const uint8_t> bytes) {
  for (size_t at = 12; at + 8 <= bytes.size();) {
    const uint8_t* p = bytes.data() + at;
    size_t length = p[4] | p[5] << 8 | p[6] << 16 | size_t(p[7]) << 24;
    if (length > bytes.size() - at - 8) return 1;
    if (std::memcmp(p, "EXIF", 4) == 0) {
      auto body = bytes.subspan(at + 8, length);
      // Some writers keep the JPEG prefix, which does not belong here.
      if (length > 6 && std::memcmp(body.data(), "Exif\0\0", 6) == 0) body = body.subspan(6);
      return exif_orientation(body);
    }
    at += 8 + length + (length & 1);
  }
  return 1;
}

void decode_first_frame(Image& image, std::span<const uint8_t> bytes, const std::string& name) {
  WebPAnimDecoderOptions options;
  CHECK(WebPAnimDecoderOptionsInit(&options), "libwebpdemux of the version of its headers");
  options.color_mode = MODE_RGBA;
  WebPData data{bytes.data(), bytes.size()};
  std::unique_ptr<WebPAnimDecoder, void (*)(WebPAnimDecoder*)> frames(WebPAnimDecoderNew(&data, &options),
                                                                      WebPAnimDecoderDelete);
  WebPAnimInfo info;
  uint8_t* canvas = nullptr;
  int timestamp = 0;
  if (!frames || !WebPAnimDecoderGetInfo(frames.get(), &info)) damaged(name);
  if (int(info.canvas_width) != image.width || int(info.canvas_height) != image.height) damaged(name);
  if (!WebPAnimDecoderGetNext(frames.get(), &canvas, &timestamp)) damaged(name);
  std::memcpy(image.rgba.data(), canvas, image.rgba.size());
}

}  // namespace

Image decode_webp(std::span<const uint8_t> bytes, const std::string& name, const Limits& limits) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(bytes.data(), bytes.size(), &features) != VP8_STATUS_OK) damaged(name);
  check_size(features.width, features.height, name, limits);
  Image image(features.width, features.height);
  if (features.has_animation) {
    decode_first_frame(image, bytes, name);
  } else if (!WebPDecodeRGBAInto(bytes.data(), bytes.size(), image.rgba.data(), image.rgba.size(), image.width * 4)) {
    damaged(name);
  }
  return turn_upright(std::move(image), orientation(bytes));
}

}  // namespace duet
