// Text and contact sheets, to look at pictures. Colours are 0xRRGGBBAA, straight alpha.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "vision/image.h"

namespace duet {

// (x, y) is the top left corner of the line, px its height in pixels (ascent to descent). One line; clipped at the
// borders. Fonts: NanumGothic (Korean), then DejaVu or Noto, from Debian's folders; draws nothing if there is none.
void draw_text(Image& image, int x, int y, const std::string& utf8, int px, uint32_t rgba);
int text_width(const std::string& utf8, int px);  // in pixels; 0 without a font

void blit(Image& dst, const Image& src, int x, int y);                      // src over dst, clipped
void fill(Image& dst, int x, int y, int width, int height, uint32_t rgba);  // replaces, clipped

// A white page of pictures in rows, each fitted into a square of cell_px with its label wrapped below (at most 3
// lines).
Image contact_sheet(const std::vector<std::pair<Image, std::string>>& cells, int columns, int cell_px,
                    bool checkerboard = true);

}  // namespace duet
