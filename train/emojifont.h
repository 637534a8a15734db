// A colour emoji font with bitmaps (CBDT): emoji sequences shaped by HarfBuzz, drawn by FreeType.
#pragma once
#include <memory>
#include <string>

#include "vision/image.h"

namespace duet {

class EmojiFont {
 public:
  explicit EmojiFont(const std::string& ttf);  // refuses what is no font with colour bitmaps
  ~EmojiFont();
  EmojiFont(const EmojiFont&) = delete;
  EmojiFont& operator=(const EmojiFont&) = delete;

  // The glyph number of a sequence (skin tones, joiners, flags, keycaps), 0 if the font does not have it as one
  // picture.
  unsigned glyph(const std::string& utf8) const;
  Image draw(
      unsigned glyph) const;  // the bitmap as stored (136 x 128 in Noto), straight alpha; may be called from many threads

 private:
  struct Face;
  std::unique_ptr<Face> face_;
};

}  // namespace duet
