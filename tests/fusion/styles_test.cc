// Styles as people write them.
#include "fusion/styles.h"

#include <gtest/gtest.h>

#include <set>

namespace duet {
namespace {

TEST(Styles, AreFoundAsPeopleWriteThem) {
  const std::vector<std::string> known{"emoji", "3D", "line icon", "my own"};
  const auto found = [&](std::string_view said, bool korean = false) {
    return learned_style(known, said, korean).value_or("?");
  };
  for (const char* said :
       {"line icon", "Line icon", "LINE-ICON", "line_icon", "lineicon", "선 아이콘", "선아이콘", "라인 아이콘"}) {
    EXPECT_EQ(found(said), "line icon");
    EXPECT_EQ(found(said, true), "선 아이콘");
  }
  EXPECT_EQ(found("3d"), "3D");
  EXPECT_EQ(found("입체", true), "입체");
  EXPECT_EQ(found("My Own", true), "my own") << "it has no Korean name";
  EXPECT_EQ(found("My Own"), "my own");
  for (const char* said : {"", " ", "outline", "line", "아웃라인"}) EXPECT_EQ(found(said), "?") << said;
  EXPECT_EQ(both_names(known), "emoji (이모지), 3D (입체), line icon (선 아이콘), my own");
  EXPECT_EQ(learned_style({}, "emoji", false), std::nullopt);
  EXPECT_FALSE(prompt_is_korean("a heart", "선 아이콘"));
  EXPECT_TRUE(prompt_is_korean("하트", "line icon"));
  EXPECT_TRUE(prompt_is_korean("", "선 아이콘"));
}

TEST(Styles, EveryNameMeansOneStyle) {
  std::vector<std::string> all;
  for (const auto& s : kStyleNames) all.push_back(s.en);
  std::set<std::string> seen;
  for (const auto& s : kStyleNames) {
    EXPECT_EQ(learned_style(all, s.en, false), s.en);
    EXPECT_EQ(learned_style(all, s.ko, true), s.ko);
    std::string_view rest = s.other;
    while (!rest.empty()) {
      const auto other = rest.substr(0, rest.find('|'));
      EXPECT_EQ(learned_style(all, other, true), s.ko) << other;
      EXPECT_TRUE(seen.insert(std::string(other)).second) << other;
      rest.remove_prefix(std::min(rest.size(), other.size() + 1));
    }
  }
  EXPECT_GE(seen.size(), 12u);
}

TEST(Styles, ACaptionSaysItsOwnInItsLanguage) {
  EXPECT_EQ(style_in_language("사과, emoji", true), "사과, 이모지");
  EXPECT_EQ(style_in_language("a red, round apple, 선 아이콘", false), "a red, round apple, line icon");
  for (const char* ko : {"사과, 이모지", "사과", "emoji", "사과, emoji, 빨간", "사과,emoji", ""})
    EXPECT_EQ(style_in_language(ko, true), ko);
  EXPECT_EQ(style_in_language("an apple, emoji", false), "an apple, emoji");
}

// What a stream has said stays said: each beginning that it may show begins the whole caption.
TEST(Styles, WhatIsSettledOfACaptionBeginsIt) {
  for (const bool korean : {true, false})
    for (const char* caption : {"사과, emoji", "사과, line icon", "사과, 선 아이콘", "a, b, outline", "a red, big star, 외곽선",
                                "x, photos", "사진, photo"}) {
      const std::string all = style_in_language(caption, korean), said = caption;
      size_t shown = 0;
      for (size_t n = 0; n < said.size(); ++n) {
        const size_t settled = settled_bytes(said.substr(0, n), korean);
        EXPECT_TRUE(all.starts_with(said.substr(0, settled))) << said.substr(0, n) << " of " << all;
        shown = std::max(shown, settled);
      }
      EXPECT_GE(shown + 18, said.size()) << "the style alone is held back";
    }
}

}  // namespace
}  // namespace duet
