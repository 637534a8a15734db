// libpng reports errors by longjmp. Each function that calls setjmp here therefore holds no object with a destructor:
// whatever must be freed belongs to its caller, which turns the recorded message into an Error.
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>

#include "kernels/error.h"
#include "vision/exif.h"
#include "vision/formats.h"

namespace duet {
namespace {

struct Source {
  std::span<const uint8_t> bytes;
  size_t at = 0;
};

struct Reader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  Source source;
  char error[128] = "";

  Reader();
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
};

void keep_message(png_structp png, png_const_charp text) {
  char* to = static_cast<char*>(png_get_error_ptr(png));
  std::strncpy(to, text, 127);
  png_longjmp(png, 1);
}

void ignore_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep to, size_t n) {
  auto& s = *static_cast<Source*>(png_get_io_ptr(png));
  if (n > s.bytes.size() - s.at) png_error(png, "the file ends early");
  std::memcpy(to, s.bytes.data() + s.at, n);
  s.at += n;
}

Reader::Reader() {
  png = png_create_read_struct(PNG_LIBPNG_VER_STRING, error, keep_message, ignore_warning);
  info = png ? png_create_info_struct(png) : nullptr;
  if (!info) {
    png_destroy_read_struct(&png, nullptr, nullptr);
    refuse("libpng does not start: out of memory, or a library older than its headers");
  }
}

// Up to the first IDAT; asks for 8-bit RGBA whatever the file holds.
bool read_header(Reader& r, const Limits& limits, size_t* row_bytes) {
  if (setjmp(png_jmpbuf(r.png))) return false;
  png_set_read_fn(r.png, &r.source, read_bytes);
  png_set_user_limits(r.png, png_uint_32(limits.max_side), png_uint_32(limits.max_side));
  png_set_chunk_cache_max(r.png, 64);
  png_set_chunk_malloc_max(r.png, 4 << 20);
  // Chunks that unpack (iCCP, zTXt, iTXt) or are of no use to pixels are skipped unread.
  static const png_byte kSkip[] = "iCCP\0iTXt\0tEXt\0zTXt\0sPLT\0hIST\0pCAL\0sCAL\0tIME";
  png_set_keep_unknown_chunks(r.png, PNG_HANDLE_CHUNK_NEVER, kSkip, sizeof(kSkip) / 5);
  png_read_info(r.png, r.info);
  *row_bytes = png_get_rowbytes(r.png, r.info);
  png_set_expand(r.png);  // palette and low bit depths to 8 bits, tRNS to alpha
  png_set_scale_16(r.png);
  png_set_gray_to_rgb(r.png);
  png_set_add_alpha(r.png, 255, PNG_FILLER_AFTER);
  return true;
}

bool read_rows(Reader& r, Image& image) {
  if (setjmp(png_jmpbuf(r.png))) return false;
  int passes = png_set_interlace_handling(r.png);
  png_read_update_info(r.png, r.info);
  if (png_get_rowbytes(r.png, r.info) != size_t(image.width) * 4) png_error(r.png, "unexpected row size");
  for (int pass = 0; pass < passes; ++pass) {
    for (int y = 0; y < image.height; ++y) png_read_row(r.png, image.at(0, y), nullptr);
  }
  png_read_end(r.png, r.info);
  return true;
}

int orientation(Reader& r) {
  png_uint_32 size = 0;
  png_bytep exif = nullptr;
  if (!png_get_eXIf_1(r.png, r.info, &size, &exif)) return 1;
  return exif_orientation({exif, size});
}

struct Sink {
  std::vector<uint8_t> bytes;
};

void write_bytes(png_structp png, png_bytep from, size_t n) {
  auto& out = static_cast<Sink*>(png_get_io_ptr(png))->bytes;
  bool fits = true;
  try {
    out.insert(out.end(), from, from + n);
  } catch (const std::bad_alloc&) {
    fits = false;  // no exception may cross libpng, and no longjmp may leave a handler
  }
  if (!fits) png_error(png, "out of memory");
}

bool write_all(png_structp png, png_infop info, Sink& sink, const Image& image, const uint8_t* rows, bool alpha,
               png_text* texts, int text_count) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_write_fn(png, &sink, write_bytes, nullptr);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_IHDR(png, info, png_uint_32(image.width), png_uint_32(image.height), 8,
               alpha ? PNG_COLOR_TYPE_RGB_ALPHA : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  // Named, not left to the library's defaults, so that the bytes stay the same.
  png_set_compression_level(png, 6);
  png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_ALL_FILTERS);
  if (text_count > 0) png_set_text(png, info, texts, text_count);
  png_write_info(png, info);
  if (!alpha) png_set_filler(png, 0, PNG_FILLER_AFTER);  // the fourth byte of our rows is dropped
  for (int y = 0; y < image.height; ++y) png_write_row(png, rows + size_t(y) * image.width * 4);
  png_write_end(png, nullptr);
  return true;
}

}  // namespace

Image decode_png(std::span<const uint8_t> bytes, const std::string& name, const Limits& limits) {
  auto damaged = [&](const char* why) {
    refuse(name, ": not a whole PNG (", why, "); it is damaged or cut off, get it again");
  };
  if (bytes.size() < 33 || std::memcmp(bytes.data() + 12, "IHDR", 4) != 0) damaged("no header");
  auto u32 = [&](size_t at) { return int64_t(png_get_uint_32(bytes.data() + at)); };
  check_size(u32(16), u32(20), name, limits);
  Reader r;
  r.source.bytes = bytes;
  size_t row_bytes = 0;
  if (!read_header(r, limits, &row_bytes)) damaged(r.error);
  int width = int(png_get_image_width(r.png, r.info)), height = int(png_get_image_height(r.png, r.info));
  // Deflate packs at most 1032 to 1: a large header with too little behind it allocates nothing.
  if (int64_t(row_bytes) * height / 1032 > int64_t(bytes.size())) damaged("fewer bytes than its pixels need");
  Image image(width, height);
  if (!read_rows(r, image)) damaged(r.error);
  return turn_upright(std::move(image), orientation(r));
}

std::vector<uint8_t> encode_png(const Image& image, const std::vector<PngText>& texts) {
  CHECK(image.width > 0 && image.height > 0, "a picture of ", image.width, " x ", image.height, " as PNG");
  bool alpha = false;
  for (size_t i = 3; i < image.rgba.size(); i += 4) alpha |= image.rgba[i] != 255;
  std::vector<std::string> values;
  std::vector<png_text> chunks(texts.size());
  values.reserve(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    check_png_text(texts[i]);
    bool latin1 = fits_latin1(texts[i].value);
    values.push_back(latin1 ? utf8_to_latin1(texts[i].value) : texts[i].value);
    png_text& c = chunks[i];
    c.compression = latin1 ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    c.key = const_cast<char*>(texts[i].key.c_str());
    c.text = values[i].data();
    (latin1 ? c.text_length : c.itxt_length) = values[i].size();
  }
  char error[128] = "";
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, error, keep_message, ignore_warning);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  Sink sink;
  bool ok = info && write_all(png, info, sink, image, image.rgba.data(), alpha, chunks.data(), int(chunks.size()));
  png_destroy_write_struct(&png, &info);
  CHECK(ok, "the PNG is written: ", error);
  return std::move(sink.bytes);
}

}  // namespace duet
