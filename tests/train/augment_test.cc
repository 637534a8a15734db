#include "train/augment.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "train/wording.h"
#include "vision/transform.h"

namespace duet {
namespace {

TEST(Augment, WordsWithASideAreKnown) {
  for (const char* w : {"a dog on the left",
                        "Left",
                        "the right-hand glove",
                        "man facing right.",
                        "clockwise arrows",
                        "up arrow",
                        "keycap: 5",
                        "letter A",
                        "flag of Korea",
                        "seven o'clock",
                        "O'Clock",
                        "play button",
                        "→",
                        "a ⬅ b",
                        "🇰🇷",
                        "왼쪽에 있는 개",
                        "오른손",
                        "시계 방향",
                        "국기",
                        "화살표",
                        "left_arrow",
                        "waxing moon"})
    EXPECT_TRUE(has_side(w)) << w;
  for (const char* w : {"a bright cat", "copyright-free fox", "cleft rock", "", "a red circle above a blue star",
                        "playful puppy", "빨간 사과", "고양이가 웃는다", "grinning face 😀", "swordfish"})
    EXPECT_FALSE(has_side(w)) << w;
}

TEST(Augment, EveryWordOfASampleIsAskedBeforeMirroring) {
  Meta m;
  m.caption = "a cat";
  EXPECT_TRUE(may_mirror(m));
  for (auto change : std::vector<std::function<void(Meta&)>>{
           [](Meta& x) { x.mirror_ok = false; }, [](Meta& x) { x.caption = "a cat on the left"; },
           [](Meta& x) { x.caption_ko = "왼쪽 고양이"; },
           [](Meta& x) {
             x.captions = {"ok", "to the right"};
           },
           [](Meta& x) { x.captions_ko = {"오른쪽"}; },
           [](Meta& x) {
             x.tags = {"cat", "letter"};
           },
           [](Meta& x) { x.tags_ko = {"글자"}; }, [](Meta& x) { x.group = "flags"; }}) {
    Meta changed = m;
    change(changed);
    EXPECT_FALSE(may_mirror(changed));
  }
}

TEST(Augment, MirroredWordsSwapSides) {
  EXPECT_EQ(mirror_words("a red star left of a bright circle at the top right"),
            "a red star right of a bright circle at the top left");
  EXPECT_EQ(mirror_words("Left of it"), "Right of it");
  EXPECT_EQ(mirror_words("왼쪽 위에 빨간 원, 오른쪽에 별"), "오른쪽 위에 빨간 원, 왼쪽에 별");
  EXPECT_EQ(mirror_words("cleft copyright"), "cleft copyright");
  for (const char* w : {"left right left", "왼쪽 오른쪽", "no side"}) EXPECT_EQ(mirror_words(mirror_words(w)), w);
}

// A drawing 40 x 30 with content touching only x 6..29, y 4..21.
Image drawing() {
  Image image(40, 30);
  for (int y = 4; y < 22; y++)
    for (int x = 6; x < 30; x++) {
      uint8_t* p = image.at(x, y);
      p[0] = uint8_t(x * 8), p[1] = uint8_t(y * 8), p[3] = 255;
    }
  return image;
}

double coverage(const Image& image) {
  double sum = 0;
  for (size_t i = 3; i < image.rgba.size(); i += 4) sum += image.rgba[i] / 255.0;
  return sum;
}

TEST(Augment, WithoutJitterTheWholePictureIsCentred) {
  Draws draws(1);
  Image out = frame(drawing(), 40, false, draws);
  ASSERT_EQ(out.width, 40);
  ASSERT_EQ(out.height, 40);
  EXPECT_EQ(out.rgba, fit_square(drawing(), 40).rgba);
}

TEST(Augment, JitterMovesADrawingAndCutsNothing) {
  std::set<std::vector<uint8_t>> seen;
  for (int seed = 0; seed < 300; seed++) {
    Draws draws(seed);
    Image out = frame(drawing(), 64, true, draws);
    seen.insert(out.rgba);
    // 24 x 18 pixels at a scale of 64/side, side within 0.93..1.10 of 40; a cut edge would lose at least a column, 4 %.
    double low = 24 * 18 * (64 / 44.5) * (64 / 44.5), high = 24 * 18 * (64 / 36.5) * (64 / 36.5);
    EXPECT_GE(coverage(out), low * 0.98) << seed;
    EXPECT_LE(coverage(out), high * 1.02) << seed;
    bool edge = false;
    for (int i = 0; i < 64; i++) edge |= out.at(i, 0)[3] || out.at(i, 63)[3];
    EXPECT_FALSE(edge) << seed << ": the content is 5 rows away from any border of the square";
  }
  EXPECT_GT(seen.size(), 50u);
}

TEST(Augment, ContentThatFillsThePictureIsNeverCut) {
  Image full(32, 32);
  for (int i = 0; i < 32; i++)
    for (auto [x, y] : {std::pair{i, 0}, {i, 31}, {0, i}, {31, i}}) full.at(x, y)[3] = 255, full.at(x, y)[0] = 200;
  for (int seed = 0; seed < 200; seed++) {
    Draws draws(seed);
    Image out = frame(full, 64, true, draws);
    // Each of the four lines is still there: some row and column of every side holds its 64 pixels, nearly.
    auto line = [&](bool row, int from, int to) {
      int best = 0;
      for (int a = from; a < to; a++) {
        int n = 0;
        for (int b = 0; b < 64; b++) n += (row ? out.at(b, a) : out.at(a, b))[3] > 60;
        best = std::max(best, n);
      }
      return best;
    };
    EXPECT_GE(line(true, 0, 12), 54) << seed;
    EXPECT_GE(line(true, 52, 64), 54) << seed;
    EXPECT_GE(line(false, 0, 12), 54) << seed;
    EXPECT_GE(line(false, 52, 64), 54) << seed;
  }
}

TEST(Augment, PhotographsStayOpaque) {
  Image photo(50, 30);
  for (size_t i = 0; i < photo.rgba.size(); i++) photo.rgba[i] = i % 4 == 3 ? 255 : uint8_t(i);
  for (int seed = 0; seed < 100; seed++) {
    Draws draws(seed);
    Image out = frame(photo, 24, true, draws);
    for (size_t i = 3; i < out.rgba.size(); i += 4) ASSERT_EQ(out.rgba[i], 255) << seed;
  }
}

TEST(Augment, TinyPicturesAreFramed) {
  for (int w : {1, 2, 7})
    for (int h : {1, 3})
      for (bool opaque : {false, true})
        for (int seed = 0; seed < 20; seed++) {
          Image image(w, h);
          image.rgba[3] = 255;
          if (opaque) std::fill(image.rgba.begin(), image.rgba.end(), 255);
          Draws draws(seed);
          EXPECT_EQ(frame(image, 16, true, draws).rgba.size(), 16u * 16 * 4);
        }
}

TEST(Wording, LanguageAndTagsFollowTheShares) {
  Meta m;
  m.caption = "a cat";
  m.captions = {"one cat", "  "};
  m.caption_ko = "고양이";
  m.tags = {"pet", "animal", "fur"};
  m.style = "emoji";
  int korean = 0, tagged = 0, styled = 0, other = 0, plain = 0;
  for (int i = 0; i < 4000; i++) {
    Draws draws(mix(5, i));
    Wording w = choose_words(m, 0.25, 0.5, draws);
    ASSERT_FALSE(w.text.empty());
    korean += w.korean;
    EXPECT_EQ(w.korean, w.text.starts_with("고양이"));
    tagged += w.text.find("pet") != std::string::npos;
    styled += w.text.ends_with(", emoji");
    other += w.text.starts_with("one cat");
    plain += w.text == "a cat";
  }
  EXPECT_NEAR(korean, 1000, 120);
  EXPECT_NEAR(styled, 2000, 150);
  EXPECT_GT(tagged, 200);
  EXPECT_GT(other, 900);
  EXPECT_GT(plain, 300);
}

TEST(Wording, SomeNamesGetTheArticleThatPeopleType) {
  Meta m;
  m.caption = "red heart";
  m.style = "line icon";
  int with = 0;
  for (int i = 0; i < 1000; i++) {
    Draws draws(mix(6, i));
    const std::string text = choose_words(m, 0, 1, draws).text;
    EXPECT_TRUE(text == "red heart, line icon" || text == "a red heart, line icon") << text;
    with += text.starts_with("a ");
  }
  EXPECT_NEAR(with, 200, 40);
  for (const char* bare : {"milk", "scissors", "running", "an arrow", "빨간 하트"}) {
    m.caption = bare;
    Draws draws(1);
    for (int i = 0; i < 50; i++) EXPECT_EQ(choose_words(m, 0, 0, draws).text, bare);
  }
}

TEST(Wording, TakesWhatThereIs) {
  Draws draws(1);
  Meta m;
  EXPECT_EQ(choose_words(m, 0.5, 1, draws).text, "");
  m.caption = " \t ";
  EXPECT_EQ(choose_words(m, 0.5, 1, draws).text, "");
  m.caption_ko = " 고양이\n";
  Wording w = choose_words(m, 0.0, 0, draws);
  EXPECT_TRUE(w.korean);
  EXPECT_EQ(w.text, "고양이");
  m = {};
  m.tags = {"only"};
  EXPECT_EQ(choose_words(m, 1.0, 0, draws).text, "only");
  m.caption = "a red circle";
  m.scene = "{}";
  for (int i = 0; i < 100; i++) EXPECT_EQ(choose_words(m, 0.5, 0, draws).text, "a red circle");
}

}  // namespace
}  // namespace duet
