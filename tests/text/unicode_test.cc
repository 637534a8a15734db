#include "text/unicode.h"

#include <gtest/gtest.h>

#include <random>

#include "text/pretokenize.h"

namespace duet {
namespace {

// The naive reading: decode the value, then ask whether it may stand there.
size_t sequence_by_value(const std::string& s) {
  auto b = [&](size_t i) { return static_cast<unsigned char>(s[i]); };
  size_t n = b(0) < 0x80 ? 1 : b(0) >> 5 == 6 ? 2 : b(0) >> 4 == 14 ? 3 : b(0) >> 3 == 30 ? 4 : 0;
  if (n == 0 || n > s.size()) return 0;
  uint32_t c = n == 1 ? b(0) : b(0) & (0x7F >> n);
  for (size_t i = 1; i < n; ++i) {
    if (b(i) >> 6 != 2) return 0;
    c = c << 6 | (b(i) & 0x3F);
  }
  uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  return c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF) ? 0 : n;
}

TEST(Utf8, SequenceOfEveryThreeBytes) {
  for (int a = 0; a < 256; ++a)
    for (int b = 0; b < 256; ++b)
      for (int c : {0x00, 0x41, 0x7F, 0x80, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF})
        for (int n = 1; n <= 4; ++n) {
          std::string s = {static_cast<char>(a), static_cast<char>(b), static_cast<char>(c), '\x80'};
          s.resize(n);
          ASSERT_EQ(utf8_sequence(s, 0), sequence_by_value(s)) << a << " " << b << " " << c << " of " << n;
        }
}

TEST(Utf8, Valid) {
  EXPECT_TRUE(valid_utf8(""));
  EXPECT_TRUE(valid_utf8("a빨간\U0001F600"));
  EXPECT_FALSE(valid_utf8("a\xED\xA0\x80"));
  EXPECT_FALSE(valid_utf8("\xEB\xB9"));
}

TEST(Nfc, Composes) {
  EXPECT_EQ(nfc("\u1112\u1161\u11AB\u1100\u1173\u11AF"), "한글");
  EXPECT_EQ(nfc("e\u0301"), "\u00E9");
  EXPECT_EQ(nfc("a\xFF\xEB\xB9z"), "a\uFFFD\uFFFD\uFFFDz");
}

TEST(CleanCaption, WhatItDoes) {
  EXPECT_EQ(clean_caption("  a \t\r\n red\u3000 circle \u00A0"), "a red circle");
  EXPECT_EQ(clean_caption("a\u0007b\u202Ec\uFEFF\u0000"), "abc");
  EXPECT_EQ(clean_caption("👩\u200D🚀 ❤\uFE0F"), "👩\u200D🚀 ❤\uFE0F");
  EXPECT_EQ(clean_caption("e\u0007\u0301"), "\u00E9");
  EXPECT_EQ(clean_caption("빨간", 5), "빨");
  EXPECT_EQ(clean_caption("ab cd", 3), "ab");
  EXPECT_EQ(clean_caption(std::string(40, ' ') + "한", 5), "");  // only the first 8 x 5 bytes are read
  EXPECT_EQ(clean_caption(""), "");
  EXPECT_EQ(clean_caption("x", 0), "");
}

TEST(CleanCaption, TwiceIsOnceOnRandomText) {
  std::mt19937 rng(4);
  const std::string parts[] = {" ",      "\n",     "a",      "\u0301", "\u1112", "\u1161", "\u11AB", "가", "\xFF",  "\xE3",
                               "\u200E", "\u0000", "\u0344", "\u0315", "\u3000", "\u2000", "\u0958", "😀",  "\u0007"};
  for (int i = 0; i < 20000; ++i) {
    std::string s;
    for (unsigned n = rng() % 12; n > 0; --n) s += parts[rng() % std::size(parts)];
    std::string once = clean_caption(s, 1 + rng() % 20);
    ASSERT_TRUE(valid_utf8(once));
    ASSERT_EQ(clean_caption(once, 20), once) << s;
  }
}

TEST(CleanCaption, StackedMarksAreNoAttack) {
  std::string s = "a";
  for (int i = 0; i < 1 << 20; ++i) s += i % 2 ? "\u0301" : "\u0316";
  EXPECT_LE(clean_caption(s).size(), 2048u);
}

std::vector<std::string> pieces(std::string_view text) {
  std::vector<std::string_view> views;
  pretokenize(text, views);
  return {views.begin(), views.end()};
}

TEST(Pretokenize, ByHand) {
  using V = std::vector<std::string>;
  EXPECT_EQ(pieces("it's  3 red circles!!\n"), (V{"it", "'s", " ", " 3", " red", " circles", "!!", "\n"}));
  EXPECT_EQ(pieces("빨간 원  "), (V{"빨간", " 원", "  "}));
  EXPECT_EQ(pieces("a\u00A0b"), (V{"a", "\u00A0", "b"}));
  EXPECT_EQ(pieces("a\u180Eb"), (V{"a", "\u180E", "b"}));
  EXPECT_EQ(pieces("a\xFF\xFE b"), (V{"a", "\xFF", "\xFE", " b"}));
  EXPECT_EQ(pieces(" \u180E"), (V{" \u180E"}));  // white space of old Unicode would stand alone
  EXPECT_EQ(pieces(""), V{});
}

}  // namespace
}  // namespace duet
