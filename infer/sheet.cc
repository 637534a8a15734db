#include "infer/sheet.h"

#include <algorithm>

#include "kernels/error.h"
#include "vision/draw.h"
#include "vision/transform.h"

namespace duet {
namespace {

std::string shortened(std::string text, int px, int room) {
  if (text_width(text, px) <= room) return text;
  while (!text.empty() && text_width(text + "…", px) > room) {
    do text.pop_back();
    while (!text.empty() && (uint8_t(text.back()) & 0xc0) == 0x80);
    if (!text.empty() && uint8_t(text.back()) >= 0xc0) text.pop_back();
  }
  return text + "…";
}

}  // namespace

Image captioned_sheet(const std::string& heading, const std::vector<SheetCell>& cells) {
  constexpr int kSide = 128, kInner = 4, kGap = 22, kMargin = 30, kText = 16, kBelow = 28, kHead = 44;
  CHECK(!cells.empty() && !cells[0].pictures.empty(), "pictures to show");
  const int each = int(cells[0].pictures.size());
  const int columns = std::min<int>(8, int(cells.size())), rows = (int(cells.size()) + columns - 1) / columns;
  const int w = each * (kSide + kInner) - kInner, h = kSide + kBelow;
  Image page(2 * kMargin + columns * w + (columns - 1) * kGap, 2 * kMargin + kHead + rows * h + (rows - 1) * kGap);
  fill(page, 0, 0, page.width, page.height, 0xffffffff);
  draw_text(page, kMargin, kMargin - 6, shortened(heading, 18, page.width - 2 * kMargin), 18, 0x59616eff);
  for (size_t i = 0; i < cells.size(); ++i) {
    const SheetCell& c = cells[i];
    CHECK(int(c.pictures.size()) == each, c.pictures.size(), " pictures beside cells of ", each);
    const int x = kMargin + int(i) % columns * (w + kGap), y = kMargin + kHead + int(i) / columns * (h + kGap);
    for (int k = 0; k < each; ++k)
      blit(page, checkerboard_under(fit_square(*c.pictures[size_t(k)], kSide), 8), x + k * (kSide + kInner), y);
    const int mark = text_width(c.mark, kText), room = w - mark - (mark ? 8 : 0);
    draw_text(page, x, y + kSide + 6, shortened(c.label, kText, room), kText, 0x2b2f36ff);
    draw_text(page, x + w - mark, y + kSide + 6, c.mark, kText, c.good ? 0x1a7f37ff : 0xb3261eff);
  }
  return page;
}

}  // namespace duet
