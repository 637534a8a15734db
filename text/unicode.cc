#include "text/unicode.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <cstdio>

#include "kernels/error.h"

namespace duet {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

bool vanishes(UChar32 c) {
  bool control = u_charType(c) == U_CONTROL_CHAR;
  bool direction = c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
  return control || direction || c == 0xFEFF;
}

// The longest prefix of at most max_bytes that ends between code points.
std::string_view cut(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  for (int back = 0; back < 3 && max_bytes > 0 && U8_IS_TRAIL(text[max_bytes]); ++back) --max_bytes;
  return text.substr(0, max_bytes);
}

std::string tidy(std::string_view text) {
  std::string out;
  bool gap = false;
  for (size_t at = 0; at < text.size();) {
    size_t n = utf8_sequence(text, at);
    UChar32 c;
    size_t i = at;
    U8_NEXT_UNSAFE(text, i, c);
    if (u_isUWhiteSpace(c)) {
      gap = !out.empty();
    } else if (!vanishes(c)) {
      if (gap) out += ' ';
      gap = false;
      out += text.substr(at, n);
    }
    at += n;
  }
  return out;
}

}  // namespace

size_t utf8_sequence(std::string_view text, size_t at) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  auto trail = [&](size_t i, unsigned low = 0x80, unsigned high = 0xBF) { return byte(i) >= low && byte(i) <= high; };
  unsigned lead = byte(at);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return trail(at + 1) ? 2 : 0;
  // The second byte's range is what rules out overlong forms (E0, F0), surrogates (ED) and too large values (F4).
  if (lead >= 0xE0 && lead <= 0xEF)
    return trail(at + 1, lead == 0xE0 ? 0xA0 : 0x80, lead == 0xED ? 0x9F : 0xBF) && trail(at + 2) ? 3 : 0;
  if (lead >= 0xF0 && lead <= 0xF4) {
    bool second = trail(at + 1, lead == 0xF0 ? 0x90 : 0x80, lead == 0xF4 ? 0x8F : 0xBF);
    return second && trail(at + 2) && trail(at + 3) ? 4 : 0;
  }
  return 0;
}

size_t broken_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t n = utf8_sequence(text, i);
    if (n == 0) return i;
    i += n;
  }
  return text.npos;
}

std::string shown_byte(std::string_view text, size_t at) {
  char words[48];
  std::snprintf(words, sizeof words, "byte %zu (0x%02x)", at, unsigned(uint8_t(text[at])));
  return words;
}

std::string code_point(std::string_view text) {
  UChar32 c = 0;
  int32_t at = 0;
  U8_NEXT(text.data(), at, int32_t(text.size()), c);
  char out[16];
  std::snprintf(out, sizeof out, "U+%04X", unsigned(c < 0 ? 0xfffd : c));
  return out;
}

bool valid_utf8(std::string_view text) { return broken_utf8(text) == text.npos; }

std::string nfc(std::string_view text) {
  std::string whole;
  whole.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    size_t n = utf8_sequence(text, at);
    whole += n ? text.substr(at, n) : kReplacement;
    at += n ? n : 1;
  }
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* form = icu::Normalizer2::getNFCInstance(status);
  CHECK(U_SUCCESS(status), "ICU's NFC data: ", u_errorName(status));
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  form->normalizeUTF8(0, icu::StringPiece(whole.data(), static_cast<int32_t>(whole.size())), sink, nullptr, status);
  CHECK(U_SUCCESS(status), "NFC of ", whole.size(), " bytes: ", u_errorName(status));
  return out;
}

std::string clean_caption(std::string_view text, size_t max_bytes) {
  // Reordering a long run of combining marks takes quadratic time: bound it before, not after.
  std::string_view head = cut(text, 8 * max_bytes);
  // Removing a control can bring a base letter and its mark together, so the normal form comes last; it makes no white
  // space and no controls, but it may grow past the limit, and a cut cannot undo it.
  std::string out(cut(nfc(tidy(nfc(head))), max_bytes));
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

bool has_hangul(std::string_view s) {
  for (size_t i = 0; i + 2 < s.size(); ++i) {
    const auto a = uint8_t(s[i]), b = uint8_t(s[i + 1]);
    if ((a >= 0xea && a <= 0xed) && (b & 0xc0) == 0x80) return true;  // U+A000..U+DFFF: Hangul syllables and little else
    if (a == 0xe1 && (b == 0x84 || b == 0x85 || b == 0x86 || b == 0x87)) return true;  // U+1100..U+11FF: jamo
    if (a == 0xe3 && (b == 0x84 || b == 0x85 || b == 0x86)) return true;               // U+3100..U+31BF: compatibility jamo
  }
  return false;
}

}  // namespace duet
