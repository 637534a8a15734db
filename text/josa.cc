#include "text/josa.h"

#include <cstdint>

#include "kernels/error.h"

namespace duet {
namespace {

// The last three bytes as a code point, where they are a Hangul syllable (U+AC00 .. U+D7A3); else 0.
uint32_t last_syllable(std::string_view word) {
  if (word.size() < 3) return 0;
  auto byte = [&](size_t back) { return uint32_t(uint8_t(word[word.size() - back])); };
  if ((byte(3) & 0xf0) != 0xe0) return 0;
  uint32_t c = (byte(3) & 15) << 12 | (byte(2) & 63) << 6 | (byte(1) & 63);
  return c >= 0xac00 && c <= 0xd7a3 ? c : 0;
}

}  // namespace

bool ends_in_hangul(std::string_view word) { return last_syllable(word) != 0; }

std::string josa(std::string_view word, std::string_view closed, std::string_view open) {
  uint32_t c = last_syllable(word);
  CHECK(c, "a word that ends in Hangul, not '", word, "'");
  // Syllables come in blocks of 28 endings, the first of which is none.
  return std::string(word) += (c - 0xac00) % 28 ? closed : open;
}

}  // namespace duet
