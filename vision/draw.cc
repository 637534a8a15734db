#include "vision/draw.h"

#include <algorithm>
#include <cmath>

#include "kernels/error.h"
#include "vision/font.h"
#include "vision/transform.h"

namespace duet {
namespace {

// Lays a straight-alpha colour over a straight-alpha pixel (Porter and Duff 1984, "over").
void lay_over(uint8_t* under, const uint8_t* color, int alpha) {
  if (alpha == 0) return;
  const int below = under[3] * (255 - alpha);  // what of the lower one shows, times 255
  const int total = alpha * 255 + below;
  for (int c = 0; c < 3; ++c) under[c] = uint8_t((color[c] * alpha * 255 + under[c] * below + total / 2) / total);
  under[3] = uint8_t((total + 127) / 255);
}

struct Color {
  uint8_t rgba[4];
  explicit Color(uint32_t v) : rgba{uint8_t(v >> 24), uint8_t(v >> 16), uint8_t(v >> 8), uint8_t(v)} {}
};

constexpr const char* kMore = "...";  // not U+2026, which Korean fonts set at half height

// The whole characters at the front of s that fit into `width`; at least one.
size_t fitting(const std::string& s, int px, int width) {
  size_t end = 0;
  while (end < s.size()) {
    size_t next = end + 1;
    while (next < s.size() && (s[next] & 0xc0) == 0x80) ++next;
    if (end > 0 && text_width(s.substr(0, next), px) > width) break;
    end = next;
  }
  return end;
}

// Breaks at spaces, and inside words that are too long; what does not fit into `most` lines ends in kMore.
std::vector<std::string> wrap(std::string rest, int px, int width, size_t most) {
  std::replace_if(
      rest.begin(), rest.end(), [](char c) { return c == '\n' || c == '\t' || c == '\r'; }, ' ');
  std::vector<std::string> lines;
  auto strip = [&] { rest.erase(0, rest.find_first_not_of(' ')); };
  for (strip(); !rest.empty(); strip()) {
    if (text_width(rest, px) <= width) {
      lines.push_back(rest);
      break;
    }
    if (lines.size() + 1 == most) {
      std::string head = rest.substr(0, fitting(rest, px, width - text_width(kMore, px)));
      head.erase(head.find_last_not_of(' ') + 1);
      lines.push_back(head + kMore);
      break;
    }
    size_t end = fitting(rest, px, width);
    size_t space = rest.rfind(' ', end);
    if (space != std::string::npos && space > 0 && end < rest.size()) end = space;
    lines.push_back(rest.substr(0, end));
    rest.erase(0, end);
  }
  return lines;
}

}  // namespace

void draw_text(Image& image, int x, int y, const std::string& utf8, int px, uint32_t rgba) {
  const Color color(rgba);
  set_line(utf8, px, [&](const Glyph& g) {
    for (int row = 0; row < g.height; ++row) {
      for (int col = 0; col < g.width; ++col) {
        int64_t tx = int64_t(x) + g.x + col, ty = int64_t(y) + g.y + row;
        if (tx < 0 || ty < 0 || tx >= image.width || ty >= image.height) continue;
        int alpha = (g.coverage[size_t(row) * g.stride + col] * color.rgba[3] + 127) / 255;
        lay_over(image.at(int(tx), int(ty)), color.rgba, alpha);
      }
    }
  });
}

int text_width(const std::string& utf8, int px) {
  return set_line(utf8, px, [](const Glyph&) {});
}

void blit(Image& dst, const Image& src, int x, int y) {
  for (int row = std::max(0, -y); row < src.height && y + row < dst.height; ++row) {
    for (int col = std::max(0, -x); col < src.width && x + col < dst.width; ++col) {
      const uint8_t* from = src.at(col, row);
      lay_over(dst.at(x + col, y + row), from, from[3]);
    }
  }
}

void fill(Image& dst, int x, int y, int width, int height, uint32_t rgba) {
  const Color color(rgba);
  for (int row = std::max(0, y); row < std::min(y + height, dst.height); ++row) {
    for (int col = std::max(0, x); col < std::min(x + width, dst.width); ++col) {
      std::copy_n(color.rgba, 4, dst.at(col, row));
    }
  }
}

Image contact_sheet(const std::vector<std::pair<Image, std::string>>& cells, int columns, int cell_px, bool checkerboard) {
  CHECK(columns >= 1 && cell_px >= 8, "at least 1 column of at least 8 pixels, not ", columns, " of ", cell_px);
  CHECK(!cells.empty(), "pictures to show");
  columns = std::min<int>(columns, int(cells.size()));
  const int rows = (int(cells.size()) + columns - 1) / columns;
  const int px = std::clamp(cell_px / 9, 12, 20), leading = px * 5 / 4;
  const int gap = std::clamp(cell_px / 8, 8, 24), margin = gap * 3 / 2, below_picture = px / 2;

  std::vector<std::vector<std::string>> labels;
  std::vector<int> row_height(rows, cell_px);
  for (size_t i = 0; i < cells.size(); ++i) {
    labels.push_back(wrap(cells[i].second, px, cell_px, 3));
    int text = labels[i].empty() ? 0 : below_picture + int(labels[i].size()) * leading;
    row_height[i / columns] = std::max(row_height[i / columns], cell_px + text);
  }
  int height = 2 * margin + (rows - 1) * gap;
  for (int h : row_height) height += h;
  Image page(2 * margin + columns * cell_px + (columns - 1) * gap, height);
  fill(page, 0, 0, page.width, page.height, 0xffffffff);

  for (int row = 0, y = margin; row < rows; y += row_height[row++] + gap) {
    for (int column = 0; column < columns && row * columns + column < int(cells.size()); ++column) {
      const size_t i = size_t(row) * columns + column;
      const int x = margin + column * (cell_px + gap);
      if (!cells[i].first.empty()) {
        Image picture = fit_square(cells[i].first, cell_px);
        blit(page, checkerboard ? checkerboard_under(picture, std::max(4, cell_px / 16)) : picture, x, y);
      }
      for (size_t line = 0; line < labels[i].size(); ++line) {
        int indent = (cell_px - text_width(labels[i][line], px)) / 2;
        draw_text(page, x + indent, y + cell_px + below_picture + int(line) * leading, labels[i][line], px, 0x2b2f36ff);
      }
    }
  }
  return page;
}

}  // namespace duet
