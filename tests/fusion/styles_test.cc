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

}  // namespace
}  // namespace duet
