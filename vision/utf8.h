// One code point at a time, for labels and PNG texts (text/ has the real Unicode; vision may not see it).
#pragma once
#include <cstdint>
#include <string_view>

namespace duet {

constexpr int32_t kBadUtf8 = -1;

// Reads the code point at s[i] and moves i behind it. A broken byte (overlong, surrogate, above U+10FFFF, cut off)
// gives kBadUtf8 and moves by one. i < s.size().
inline int32_t next_code_point(std::string_view s, size_t& i) {
  uint8_t lead = uint8_t(s[i++]);
  if (lead < 0x80) return lead;
  int more = lead >= 0xf8 ? 0 : lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
  if (more == 0 || i + more > s.size()) return kBadUtf8;
  int32_t c = lead & (0x3f >> more);
  for (int k = 0; k < more; ++k) {
    uint8_t next = uint8_t(s[i + k]);
    if ((next & 0xc0) != 0x80) return kBadUtf8;
    c = c << 6 | (next & 0x3f);
  }
  constexpr int32_t kSmallest[] = {0, 0x80, 0x800, 0x10000};
  if (c < kSmallest[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return kBadUtf8;
  i += more;
  return c;
}

}  // namespace duet
