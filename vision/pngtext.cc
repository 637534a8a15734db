#include "vision/pngtext.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "kernels/error.h"
#include "vision/utf8.h"

namespace duet {
namespace {

constexpr size_t kMaxText = 4 << 20;  // bytes of text in one file, unpacked
constexpr size_t kMaxTexts = 1024;

void append_utf8(std::string& out, uint8_t latin1) {
  if (latin1 >= 0x80) {
    out += char(0xc0 | latin1 >> 6);
    out += char(0x80 | (latin1 & 0x3f));
  } else {
    out += char(latin1);
  }
}

std::string latin1_to_utf8(std::string_view s) {
  std::string out;
  for (char c : s) append_utf8(out, uint8_t(c));
  return out;
}

bool valid_utf8(std::string_view s) {
  for (size_t i = 0; i < s.size();) {
    if (next_code_point(s, i) == kBadUtf8) return false;
  }
  return true;
}

// Inflates a zlib stream of at most `room` bytes; false if it is broken or longer.
bool unpack(std::string_view packed, size_t room, std::string& out) {
  z_stream z{};
  if (inflateInit(&z) != Z_OK) return false;
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  z.avail_in = uInt(packed.size());
  int rc = Z_OK;
  while (rc == Z_OK && out.size() <= room) {
    char part[16384];
    z.next_out = reinterpret_cast<Bytef*>(part);
    z.avail_out = sizeof part;
    rc = inflate(&z, Z_NO_FLUSH);
    out.append(part, sizeof part - z.avail_out);
  }
  inflateEnd(&z);
  return rc == Z_STREAM_END && out.size() <= room;
}

// Takes what comes before the next NUL off the front of `rest`; false if there is no NUL.
bool take(std::string_view& rest, std::string_view& field) {
  size_t nul = rest.find('\0');
  if (nul == std::string_view::npos) return false;
  field = rest.substr(0, nul);
  rest.remove_prefix(nul + 1);
  return true;
}

// The body of one tEXt, zTXt or iTXt chunk; false if it is malformed.
bool parse_text(std::string_view type, std::string_view body, size_t room, PngText& text) {
  std::string_view key, language, translated;
  if (!take(body, key) || key.empty() || key.size() > 79) return false;
  text.key = latin1_to_utf8(key);
  if (type == "tEXt") {
    text.value = latin1_to_utf8(body);
    return text.value.size() <= room;
  }
  if (type == "zTXt") {
    std::string plain;
    if (body.empty() || body[0] != 0 || !unpack(body.substr(1), room, plain)) return false;
    text.value = latin1_to_utf8(plain);
    return text.value.size() <= room;
  }
  if (body.size() < 2 || body[1] != 0) return false;
  bool packed = body[0] != 0;
  body.remove_prefix(2);
  if (!take(body, language) || !take(body, translated) || (!packed && body.size() > room)) return false;
  if (!packed) text.value = body;
  if (packed && !unpack(body, room, text.value)) return false;
  return valid_utf8(text.value);
}

}  // namespace

std::vector<PngText> read_png_text(std::span<const uint8_t> png, const std::string& name) {
  auto damaged = [&](size_t at, const char* why) {
    refuse(name, ": not a whole PNG (", why, " at byte ", at, "); it is damaged or cut off, get it again");
  };
  static constexpr uint8_t kMagic[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  if (png.size() < 8 || std::memcmp(png.data(), kMagic, 8) != 0) refuse(name, ": not a PNG; give one made by duet");
  std::vector<PngText> texts;
  size_t room = kMaxText;
  for (size_t at = 8;;) {
    auto u32 = [&](size_t i) { return uint32_t(png[i]) << 24 | png[i + 1] << 16 | png[i + 2] << 8 | png[i + 3]; };
    if (png.size() - at < 12) damaged(at, "it ends early");
    size_t length = u32(at);
    if (length > png.size() - at - 12) damaged(at, "a chunk longer than the file");
    std::string_view type(reinterpret_cast<const char*>(png.data()) + at + 4, 4);
    if (type == "IEND") return texts;
    if (type == "tEXt" || type == "zTXt" || type == "iTXt") {
      if (crc32(0, png.data() + at + 4, uInt(length + 4)) != u32(at + 8 + length)) damaged(at, "a wrong checksum");
      PngText text;
      std::string_view body(reinterpret_cast<const char*>(png.data()) + at + 8, length);
      if (!parse_text(type, body, room, text)) damaged(at, "a malformed or too long text");
      if (texts.size() == kMaxTexts) damaged(at, "more than 1024 texts");
      room -= text.value.size();
      texts.push_back(std::move(text));
    }
    at += 12 + length;
  }
}

void check_png_text(const PngText& text) {
  bool printable = std::all_of(text.key.begin(), text.key.end(), [](char c) { return c >= ' ' && c <= '~'; });
  CHECK(printable && !text.key.empty() && text.key.size() <= 79 && text.key.front() != ' ' && text.key.back() != ' ' &&
            text.key.find("  ") == std::string::npos,
        "a PNG text key of 1..79 printable ASCII bytes, without needless spaces, not '", text.key, "'");
  if (text.value.find('\0') != std::string::npos || !valid_utf8(text.value)) {
    refuse("the text '", text.key, "' for the PNG is not UTF-8 without NUL; mend its bytes");
  }
}

bool fits_latin1(const std::string& utf8) {
  for (size_t i = 0; i < utf8.size();) {
    int32_t c = next_code_point(utf8, i);
    if (c < 0 || c > 0xff) return false;
  }
  return true;
}

std::string utf8_to_latin1(const std::string& utf8) {
  std::string out;
  for (size_t i = 0; i < utf8.size();) out += char(next_code_point(utf8, i));
  return out;
}

}  // namespace duet
