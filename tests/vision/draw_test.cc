#include "vision/draw.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/error.h"

namespace duet {
namespace {

int touched(const Image& image) {
  int n = 0;
  for (size_t i = 3; i < image.rgba.size(); i += 4) n += image.rgba[i] != 0;
  return n;
}

#define NEEDS_FONT() \
  if (text_width("a", 20) == 0) GTEST_SKIP() << "no font installed (fonts-nanum or fonts-dejavu-core)"

TEST(Text, LandsInItsLine) {
  NEEDS_FONT();
  Image image(200, 60);
  draw_text(image, 10, 20, "Agjy", 20, 0xff0000ff);
  EXPECT_GT(touched(image), 50);
  for (int y = 0; y < 60; ++y) {
    for (int x = 0; x < 200; ++x) {
      const uint8_t* p = image.at(x, y);
      if (p[3] == 0) continue;
      EXPECT_TRUE(y >= 19 && y <= 41 && x >= 9 && x <= 11 + text_width("Agjy", 20)) << x << "," << y;
      EXPECT_EQ(p[0], 255);
      EXPECT_EQ(p[1], 0);
    }
  }
}

TEST(Text, WidthsGrow) {
  NEEDS_FONT();
  EXPECT_EQ(text_width("", 20), 0);
  EXPECT_LT(text_width("a", 20), text_width("ab", 20));
  EXPECT_NEAR(text_width("hello", 40), 2 * text_width("hello", 20), 3);
}

TEST(Text, KoreanIsDrawn) {
  NEEDS_FONT();
  Image circle(40, 40), star(40, 40);
  draw_text(circle, 0, 0, "원", 32, 0x000000ff);
  draw_text(star, 0, 0, "별", 32, 0x000000ff);
  if (touched(circle) == 0) GTEST_SKIP() << "no Korean font installed (fonts-nanum)";
  EXPECT_NE(circle.rgba, star.rgba);
}

TEST(Text, ClippedAndBroken) {
  Image image(10, 10);
  for (int at : {-1000, -5, 0, 8, 1000, 2147483000}) draw_text(image, at, at, "가나다라 abc", 30, 0x123456ff);
  draw_text(image, 0, 0, "\xff\xfe\xed\xa0\x80\xf0\x9f", 20, 0xffffffff);
  draw_text(image, 0, 0, std::string("\0\n\t", 3), 20, 0xffffffff);
  draw_text(image, 0, 0, "a", 0, 0xffffffff);
  draw_text(image, 0, 0, "a", -3, 0xffffffff);
  Image nothing;
  draw_text(nothing, 0, 0, "a", 20, 0xffffffff);
}

TEST(Blit, LaysOver) {
  Image page(3, 1), dot(1, 1);
  page.rgba = {0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 0};
  dot.rgba = {200, 100, 50, 51};
  blit(page, dot, 1, 0);
  blit(page, dot, 2, 0);
  EXPECT_EQ(page.rgba, (std::vector<uint8_t>{0, 0, 0, 255, 40, 20, 10, 255, 200, 100, 50, 51}));
  for (int at : {-9, 3, 100}) blit(page, dot, at, at);  // outside: nothing happens
  Image wide(3, 2), two(2, 1);
  two.rgba = {1, 1, 1, 255, 2, 2, 2, 255};
  blit(wide, two, -1, 1);
  EXPECT_EQ(wide.rgba, (std::vector<uint8_t>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 255, 0, 0, 0, 0, 0, 0, 0, 0}));
  Image big(9, 9);
  fill(big, -5, -5, 100, 100, 0x010203ff);
  blit(page, big, -4, -4);
  EXPECT_EQ(page.rgba, (std::vector<uint8_t>{1, 2, 3, 255, 1, 2, 3, 255, 1, 2, 3, 255}));
}

TEST(ContactSheet, HoldsEveryPicture) {
  std::vector<std::pair<Image, std::string>> cells;
  for (int i = 0; i < 5; ++i) {
    Image image(4 + i, 4);
    fill(image, 0, 0, 9, 9, 0x00000000u | uint32_t(40 * (i + 1)) << 24 | 0xff);
    cells.emplace_back(image, i == 3 ? "" : i == 4 ? std::string(3000, 'w') : "빨간 원 a red circle, again and again");
  }
  Image page = contact_sheet(cells, 3, 64);
  EXPECT_GT(page.width, 3 * 64);
  EXPECT_GT(page.height, 2 * 64);
  EXPECT_LT(page.height, 2 * 64 + 250);  // the long label was cut
  for (size_t i = 3; i < page.rgba.size(); i += 4) ASSERT_EQ(page.rgba[i], 255);
  for (int i = 0; i < 5; ++i) {
    int seen = 0;
    for (size_t p = 0; p < page.rgba.size(); p += 4) {
      seen += page.rgba[p] == 40 * (i + 1) && page.rgba[p + 1] == 0 && page.rgba[p + 2] == 0;
    }
    EXPECT_GE(seen, 64 * 64 * 4 / (4 + i) - 200) << i;
  }
  EXPECT_EQ(contact_sheet(cells, 3, 64).rgba, page.rgba);
  EXPECT_THROW(contact_sheet({}, 3, 64), Error);
  EXPECT_THROW(contact_sheet(cells, 0, 64), Error);
  EXPECT_GT(contact_sheet({{Image(), "no picture"}}, 4, 32).width, 32);
}

}  // namespace
}  // namespace duet
