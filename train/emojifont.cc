#include "train/emojifont.h"

#include <ft2build.h>
#include FT_FREETYPE_H
#include <hb-ft.h>

#include <algorithm>
#include <mutex>

#include "kernels/error.h"

namespace duet {

struct EmojiFont::Face {
  FT_Library library = nullptr;
  FT_Face face = nullptr;
  hb_font_t* shaper = nullptr;
  std::string file;
  std::mutex one_at_a_time;  // an FT_Face has one glyph slot

  ~Face() {
    if (shaper) hb_font_destroy(shaper);
    if (face) FT_Done_Face(face);
    if (library) FT_Done_FreeType(library);
  }
};

EmojiFont::EmojiFont(const std::string& ttf) : face_(std::make_unique<Face>()) {
  face_->file = ttf;
  if (FT_Init_FreeType(&face_->library)) refuse("FreeType does not start");
  if (FT_New_Face(face_->library, ttf.c_str(), 0, &face_->face)) refuse(ttf, ": not a font that FreeType can read");
  if (!FT_HAS_COLOR(face_->face) || face_->face->num_fixed_sizes < 1 || FT_Select_Size(face_->face, 0))
    refuse(ttf, ": a font without colour bitmaps; NotoColorEmoji.ttf as Debian ships it has them");
  face_->shaper = hb_ft_font_create(face_->face, nullptr);
}

EmojiFont::~EmojiFont() = default;

unsigned EmojiFont::glyph(const std::string& utf8) const {
  std::lock_guard lock(face_->one_at_a_time);
  hb_buffer_t* buffer = hb_buffer_create();
  hb_buffer_add_utf8(buffer, utf8.data(), int(utf8.size()), 0, int(utf8.size()));
  hb_buffer_guess_segment_properties(buffer);
  hb_shape(face_->shaper, buffer, nullptr, 0);
  unsigned count = 0, found = 0;
  const hb_glyph_info_t* infos = hb_buffer_get_glyph_infos(buffer, &count);
  const hb_glyph_position_t* places = hb_buffer_get_glyph_positions(buffer, &count);
  int drawn = 0;
  for (unsigned i = 0; i < count; i++) {
    // A variation selector may stay behind as a glyph without width.
    if (infos[i].codepoint == 0 || places[i].x_advance == 0) {
      if (places[i].x_advance != 0) drawn = 2;
      continue;
    }
    found = infos[i].codepoint;
    drawn++;
  }
  hb_buffer_destroy(buffer);
  return drawn == 1 ? found : 0;
}

Image EmojiFont::draw(unsigned glyph) const {
  std::lock_guard lock(face_->one_at_a_time);
  if (FT_Load_Glyph(face_->face, glyph, FT_LOAD_COLOR)) refuse(face_->file, ": glyph ", glyph, " cannot be read");
  const FT_Bitmap& b = face_->face->glyph->bitmap;
  if (b.pixel_mode != FT_PIXEL_MODE_BGRA || b.width < 1 || b.rows < 1 || b.width > 1024 || b.rows > 1024)
    refuse(face_->file, ": glyph ", glyph, " is no colour bitmap");
  Image image(int(b.width), int(b.rows));
  for (int y = 0; y < image.height; y++) {
    const uint8_t* from = b.buffer + ptrdiff_t(y) * b.pitch;
    for (int x = 0; x < image.width; x++, from += 4) {
      uint8_t* to = image.at(x, y);
      int a = from[3];
      for (int c = 0; c < 3 && a; c++) to[c] = uint8_t(std::min(255, (from[2 - c] * 255 + a / 2) / a));  // premultiplied BGR
      to[3] = uint8_t(a);
    }
  }
  return image;
}

}  // namespace duet
