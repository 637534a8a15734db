#include "vision/font.h"

#include <ft2build.h>
#include FT_FREETYPE_H

#include <algorithm>
#include <mutex>
#include <vector>

#include "vision/utf8.h"

namespace duet {
namespace {

// In order of preference: a letter comes from the first of these that has it.
constexpr const char* kFonts[] = {
    "/usr/share/fonts/truetype/nanum/NanumGothic.ttf",        "/usr/share/fonts/truetype/nanum/NanumBarunGothic.ttf",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
};

struct Fonts {
  FT_Library library = nullptr;
  std::vector<FT_Face> faces;
  std::mutex mutex;  // a face keeps the size and the glyph it is working on

  Fonts() {
    if (FT_Init_FreeType(&library) != 0) return;
    for (const char* path : kFonts) {
      FT_Face face;
      if (FT_New_Face(library, path, 0, &face) != 0) continue;
      if (FT_IS_SCALABLE(face)) {
        faces.push_back(face);
      } else {
        FT_Done_Face(face);
      }
    }
  }
  ~Fonts() { FT_Done_FreeType(library); }
};

// Scales the face so that ascent to descent is px pixels; returns the ascent.
int set_size(FT_Face face, int px) {
  int64_t line = int64_t(face->ascender) - face->descender;
  int em = line > 0 ? int((int64_t(px) * face->units_per_EM * 64 + line / 2) / line) : px * 64;
  FT_Size_RequestRec request{FT_SIZE_REQUEST_TYPE_NOMINAL, em, em, 0, 0};
  FT_Request_Size(face, &request);
  return line > 0 ? int((int64_t(face->ascender) * px + line / 2) / line) : px;
}

}  // namespace

int set_line(std::string_view utf8, int px, const std::function<void(const Glyph&)>& each) {
  static Fonts fonts;
  if (fonts.faces.empty() || px < 1 || px > 1000) return 0;
  std::lock_guard lock(fonts.mutex);
  std::vector<int> ascents;
  for (FT_Face face : fonts.faces) ascents.push_back(set_size(face, px));
  const int baseline = ascents[0];  // one for the whole line, whatever font a letter comes from
  int64_t pen = 0;                  // 1/64 pixel
  for (size_t i = 0; i < utf8.size();) {
    int32_t c = next_code_point(utf8, i);
    if (c == kBadUtf8) c = 0xfffd;
    auto has = [&](FT_Face face) { return FT_Get_Char_Index(face, FT_ULong(c)) != 0; };
    auto face = std::find_if(fonts.faces.begin(), fonts.faces.end(), has);
    if (face == fonts.faces.end()) continue;
    if (FT_Load_Char(*face, FT_ULong(c), FT_LOAD_RENDER | FT_LOAD_TARGET_LIGHT) != 0) continue;
    FT_GlyphSlot slot = (*face)->glyph;
    if (slot->bitmap.pixel_mode == FT_PIXEL_MODE_GRAY && slot->bitmap.pitch > 0) {
      each(Glyph{slot->bitmap.buffer, int(slot->bitmap.width), int(slot->bitmap.rows), slot->bitmap.pitch,
                 int((pen + 32) / 64) + slot->bitmap_left, baseline - slot->bitmap_top});
    }
    pen += slot->linearHoriAdvance / 1024;  // 16.16 pixels, unhinted: widths scale evenly
  }
  return int((pen + 63) / 64);
}

}  // namespace duet
