// Letters as coverage masks, by FreeType. Only draw.cc needs this.
#pragma once
#include <cstdint>
#include <functional>
#include <string_view>

namespace duet {

struct Glyph {
  const uint8_t* coverage = nullptr;  // (height, width), 0..255, rows `stride` bytes apart; valid during the call only
  int width = 0, height = 0, stride = 0;
  int x = 0, y = 0;  // of its top left corner, from the top left corner of the line
};

// Sets one line of UTF-8 at px pixels from ascent to descent, calls each(glyph) in order and returns the width of the
// line in pixels. A letter that no font has is left out. Without a font: 0 and no calls.
int set_line(std::string_view utf8, int px, const std::function<void(const Glyph&)>& each);

}  // namespace duet
