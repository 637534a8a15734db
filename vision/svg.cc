#include "vision/svg.h"

#include <cairo.h>
#include <librsvg/rsvg.h>

#include <algorithm>
#include <memory>

#include "kernels/error.h"

namespace duet {
namespace {

constexpr size_t kMaxBytes = 8 << 20;

struct Unref {
  void operator()(void* object) const { g_object_unref(object); }
  void operator()(cairo_surface_t* s) const { cairo_surface_destroy(s); }
  void operator()(cairo_t* c) const { cairo_destroy(c); }
};

[[noreturn]] void refuse_svg(const std::string& name, GError* error) {
  std::string why = error ? error->message : "no reason given";
  g_clear_error(&error);
  std::replace(why.begin(), why.end(), '\n', ' ');
  refuse(name, ": cannot be drawn as SVG (", why, "); leave it out or save it again as plain SVG");
}

// cairo keeps premultiplied ARGB in the machine's byte order.
Image from_cairo(cairo_surface_t* surface, int size) {
  cairo_surface_flush(surface);
  const uint8_t* data = cairo_image_surface_get_data(surface);
  const int stride = cairo_image_surface_get_stride(surface);
  Image image(size, size);
  for (int y = 0; y < size; ++y) {
    const uint32_t* from = reinterpret_cast<const uint32_t*>(data + size_t(y) * stride);
    uint8_t* to = image.at(0, y);
    for (int x = 0; x < size; ++x, to += 4) {
      const uint32_t alpha = from[x] >> 24;
      if (alpha == 0) continue;
      for (int c = 0; c < 3; ++c) {
        uint32_t v = from[x] >> (16 - 8 * c) & 255;
        to[c] = uint8_t(std::min(255u, (v * 255 + alpha / 2) / alpha));
      }
      to[3] = uint8_t(alpha);
    }
  }
  return image;
}

}  // namespace

Image render_svg(std::span<const uint8_t> bytes, const std::string& name, int size) {
  CHECK(size >= 1 && size <= 4096, "an SVG drawn at 1..4096 pixels, not ", size);
  if (bytes.empty()) refuse(name, ": the file is empty");
  if (bytes.size() > kMaxBytes) refuse(name, ": ", bytes.size(), " bytes is more than the 8 MiB read of an SVG");
  GError* error = nullptr;
  // Without a base file librsvg resolves no reference to other files.
  std::unique_ptr<GInputStream, Unref> stream(g_memory_input_stream_new_from_data(bytes.data(), gssize(bytes.size()), nullptr));
  std::unique_ptr<RsvgHandle, Unref> svg(
      rsvg_handle_new_from_stream_sync(stream.get(), nullptr, RSVG_HANDLE_FLAGS_NONE, nullptr, &error));
  if (!svg) refuse_svg(name, error);
  std::unique_ptr<cairo_surface_t, Unref> surface(cairo_image_surface_create(CAIRO_FORMAT_ARGB32, size, size));
  std::unique_ptr<cairo_t, Unref> cairo(cairo_create(surface.get()));
  CHECK(cairo_status(cairo.get()) == CAIRO_STATUS_SUCCESS, cairo_status_to_string(cairo_status(cairo.get())));
  RsvgRectangle viewport{0, 0, double(size), double(size)};
  if (!rsvg_handle_render_document(svg.get(), cairo.get(), &viewport, &error)) refuse_svg(name, error);
  if (cairo_status(cairo.get()) != CAIRO_STATUS_SUCCESS) refuse_svg(name, nullptr);
  return from_cairo(surface.get(), size);
}

}  // namespace duet
