// Compositions: the picture is what the caption says, measured on the pixels; the loader makes the same ones every
// time.
#include "train/compose.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "kernels/error.h"
#include "tests/train/faketree.h"
#include "text/josa.h"
#include "text/tokenizer.h"
#include "train/loader.h"
#include "train/recolour.h"
#include "vision/patch.h"
#include "vision/sceneword.h"

namespace duet {
namespace {

constexpr int kSize = 64;

// A filled disc of one colour with a white spot, cut out.
Image ball(Rgb c) {
  Image image(kSize, kSize);
  for (int y = 0; y < kSize; y++) {
    for (int x = 0; x < kSize; x++) {
      float r = std::hypot(float(x) - 31.5f, float(y) - 31.5f), spot = std::hypot(float(x) - 24, float(y) - 22);
      if (r > 29) continue;
      uint8_t* p = image.at(x, y);
      bool white = spot < 5;
      p[0] = white ? 255 : c.r, p[1] = white ? 255 : c.g, p[2] = white ? 255 : c.b, p[3] = 255;
    }
  }
  return image;
}

Part part(Rgb c, const std::string& en = "a ball", const std::string& ko = "공") {
  Part p{ball(c), {}};
  p.meta.caption = en, p.meta.caption_ko = ko, p.meta.style = "flat", p.meta.style_ko = "납작한";
  return p;
}

struct Seen {
  double x = 0, y = 0, area = 0;  // of the side; share of the picture
};

// Where the pixels are whose colour is within 60 of c.
Seen find(const Image& image, Rgb c) {
  Seen s;
  double n = double(image.width) * image.height;
  for (int y = 0; y < image.height; y++) {
    for (int x = 0; x < image.width; x++) {
      const uint8_t* p = image.at(x, y);
      if (p[3] < 200 || std::hypot(p[0] - c.r, p[1] - c.g, p[2] - c.b) > 60) continue;
      s.x += (x + 0.5) / image.width, s.y += (y + 0.5) / image.height, s.area += 1;
    }
  }
  s.x /= std::max(s.area, 1.0), s.y /= std::max(s.area, 1.0), s.area /= n;
  return s;
}

// Groups of touching visible pixels.
int blobs(const Image& image) {
  std::vector<int> todo;
  std::vector<bool> seen(size_t(image.width) * image.height);
  int n = 0;
  auto visit = [&](int x, int y) {
    if (x < 0 || y < 0 || x >= image.width || y >= image.height) return;
    size_t i = size_t(y) * image.width + x;
    if (!seen[i] && image.at(x, y)[3] > 100) seen[i] = true, todo.push_back(int(i));
  };
  for (int y = 0; y < image.height; y++) {
    for (int x = 0; x < image.width; x++) {
      visit(x, y);
      if (todo.empty()) continue;
      n++;
      while (!todo.empty()) {
        int i = todo.back(), px = i % image.width, py = i / image.width;
        todo.pop_back();
        visit(px - 1, py), visit(px + 1, py), visit(px, py - 1), visit(px, py + 1);
      }
    }
  }
  return n;
}

bool has(const std::string& s, const std::string& part) { return s.find(part) != s.npos; }

TEST(Josa, FollowsTheLastSound) {
  EXPECT_EQ(josa("별", "이", "가"), "별이");
  EXPECT_EQ(josa("사과", "이", "가"), "사과가");
  EXPECT_EQ(josa("a 고양이", "과", "와"), "a 고양이와");
  EXPECT_FALSE(ends_in_hangul("cat"));
  EXPECT_FALSE(ends_in_hangul("ㄱ"));
  EXPECT_FALSE(ends_in_hangul(""));
  EXPECT_THROW(josa("cat", "이", "가"), Error);
}

TEST(Recolour, FindsOneHueAndRefusesSeveral) {
  EXPECT_NEAR(dominant_hue(ball({230, 60, 60})).value(), 0, 1);
  EXPECT_NEAR(dominant_hue(ball({60, 120, 220})).value(), 217.5, 1);
  EXPECT_FALSE(dominant_hue(ball({128, 128, 128})));
  Image half = ball({230, 60, 60}), other = ball({60, 120, 220});
  for (int y = 0; y < kSize; y++) std::copy_n(other.at(0, y), kSize / 2 * 4, half.at(0, y));
  EXPECT_FALSE(dominant_hue(half));
  EXPECT_FALSE(recolour(half, Color::red));
  EXPECT_TRUE(monochrome(ball({10, 10, 10})) == false) << "the white spot";
  EXPECT_FALSE(monochrome(Image(8, 8)));
}

TEST(Recolour, TheMeanIsTheColourAsked) {
  int made = 0;
  for (Rgb from : {Rgb{230, 60, 60}, Rgb{250, 210, 50}, Rgb{60, 120, 220}, Rgb{70, 170, 90}, Rgb{150, 90, 200}}) {
    for (int k = 0; k < kColors; k++) {
      auto out = recolour(ball(from), Color(k));
      if (k == int(Color::black) || k == int(Color::white)) {
        EXPECT_FALSE(out);
        continue;
      }
      ASSERT_TRUE(out) << name(Color(k));
      made++;
      const uint8_t *p = out->at(32, 40), *spot = out->at(24, 22);
      Rgb want = rgb(Color(k));
      EXPECT_LT(std::hypot(p[0] - want.r, p[1] - want.g, p[2] - want.b), 8) << name(Color(k));
      EXPECT_EQ(int(spot[0]) + spot[1] + spot[2], 765) << "white stays white";
      for (size_t i = 3; i < out->rgba.size(); i += 4) ASSERT_EQ(out->rgba[i], ball(from).rgba[i]);
    }
  }
  EXPECT_EQ(made, 40);
}

TEST(Recolour, GlyphsAreFilled) {
  Image glyph(16, 16);
  for (int x = 2; x < 14; x++) glyph.at(x, 8)[3] = uint8_t(x * 18);
  ASSERT_TRUE(monochrome(glyph));
  for (int k = 0; k < kColors; k++) {
    Image out = recolour(glyph, Color(k)).value();
    Rgb want = rgb(Color(k));
    for (int x = 2; x < 14; x++) {
      EXPECT_EQ(out.at(x, 8)[0], want.r);
      EXPECT_EQ(out.at(x, 8)[1], want.g);
      EXPECT_EQ(out.at(x, 8)[2], want.b);
      EXPECT_EQ(out.at(x, 8)[3], x * 18);
    }
    EXPECT_EQ(nearest_color(want), Color(k));
  }
}

TEST(Compose, RelationsAreWhereTheCaptionSays) {
  Rgb red{226, 36, 44}, blue{36, 92, 222};
  Part a = part(red, "apple", "사과"), b = part(blue, "cup", "컵");
  std::set<std::string> said;
  for (Lang lang : {Lang::en, Lang::ko}) {
    for (uint64_t seed = 0; seed < 200; seed++) {
      Draws draws(seed);
      Composition c = compose(ComposeKind::relation, a, &b, kSize, lang, draws).value();
      Seen x = find(c.image, red), y = find(c.image, blue);
      ASSERT_GT(x.area, 0.07);
      ASSERT_GT(y.area, 0.07);
      const std::string& t = c.text;
      said.insert(t);
      bool left = has(t, "left") || has(t, "왼쪽"), right = has(t, "right") || has(t, "오른쪽");
      bool above = has(t, "above") || has(t, " 위에"), below = has(t, "below") || has(t, "under") || has(t, "아래");
      ASSERT_EQ(left + right + above + below, 1) << t;
      if (left) {
        EXPECT_GT(y.x - x.x, 0.4) << t;
      }
      if (right) {
        EXPECT_GT(x.x - y.x, 0.4) << t;
      }
      if (above) {
        EXPECT_GT(y.y - x.y, 0.4) << t;
      }
      if (below) {
        EXPECT_GT(x.y - y.y, 0.4) << t;
      }
      if (left || right) {
        EXPECT_LT(std::abs(x.y - y.y), 0.08) << t;
      }
      EXPECT_EQ(blobs(c.image), 2) << t;
      EXPECT_EQ(c.style, "flat");
    }
  }
  for (const char* t :
       {"apple to the left of cup", "apple under cup", "사과가 컵의 왼쪽에 있다", "컵의 위에 있는 사과", "컵의 아래에 사과"})
    EXPECT_TRUE(said.contains(t)) << t;
  b.meta.style = "3D";
  Draws draws(1);
  EXPECT_EQ(compose(ComposeKind::relation, a, &b, kSize, Lang::en, draws)->style, "") << "two styles are none";
}

TEST(Compose, CountsAreWhatIsThere) {
  Part a = part({226, 36, 44});
  for (uint64_t seed = 0; seed < 200; seed++) {
    Lang lang = seed % 2 ? Lang::ko : Lang::en;
    Draws draws(seed);
    Composition c = compose(ComposeKind::count, a, nullptr, kSize, lang, draws).value();
    int n = blobs(c.image);
    const char *en[] = {"two balls", "three balls", "four balls"}, *ko[] = {"둘", "셋", "넷"};
    ASSERT_TRUE(n >= 2 && n <= 4) << n;
    if (lang == Lang::en) {
      EXPECT_EQ(c.text, en[n - 2]);
    } else {
      EXPECT_TRUE(c.text == std::string("공 ") + ko[n - 2] || c.text == std::string("공이 ") + ko[n - 2] + " 있다") << c.text;
    }
  }
}

TEST(Compose, GroundsHaveTheShapeAndColourSaid) {
  Rgb red{226, 36, 44};
  Part a = part(red, "an apple", "사과");
  std::map<std::string, int> kinds;
  for (uint64_t seed = 0; seed < 300; seed++) {
    Lang lang = seed % 2 ? Lang::ko : Lang::en;
    Draws draws(seed);
    auto c = compose(ComposeKind::ground, a, nullptr, kSize, lang, draws);
    if (!c) continue;
    const std::string& t = c->text;
    int color = -1;
    for (int k = 0; k < kColors; k++)
      if (has(t, std::string(color_words(Color(k), lang)[0]) + " ")) color = k;
    ASSERT_GE(color, 0) << t;
    EXPECT_NE(color, int(Color::red)) << "nothing red is seen on red";
    Rgb want = rgb(Color(color));
    auto is = [&](int x, int y) {
      const uint8_t* p = c->image.at(x, y);
      return p[3] > 250 && p[0] == want.r && p[1] == want.g && p[2] == want.b;
    };
    bool corner = is(0, 0) && is(63, 63), near_corner = is(4, 4) && is(59, 4), edge = is(32, 4) && is(4, 32);
    std::string kind = corner ? "plain" : near_corner ? "square" : edge ? "disc" : "none";
    kinds[kind]++;
    bool disc = has(t, "circle") || has(t, "disc") || has(t, "원") || has(t, "동그라미");
    bool square = has(t, "square") || has(t, "사각형") || has(t, "네모");
    bool plain = has(t, "background") || has(t, "ground") || has(t, "배경");
    EXPECT_EQ(kind, disc ? "disc" : square ? "square" : plain ? "plain" : "?") << t;
    EXPECT_EQ(c->image.at(0, 0)[3] == 0, !plain) << t;
    Seen apple = find(c->image, red);
    EXPECT_GT(apple.area, 0.1) << t;
    EXPECT_NEAR(apple.x, 0.5, 0.06) << t;
  }
  for (const char* kind : {"plain", "square", "disc"}) EXPECT_GT(kinds[kind], 30) << kind;
  EXPECT_EQ(kinds["none"], 0);
}

TEST(Compose, RecolouredPicturesSayTheirColour) {
  Part a = part({250, 210, 50}, "a ball", "공");
  std::set<std::string> said;
  for (uint64_t seed = 0; seed < 100; seed++) {
    Lang lang = seed % 2 ? Lang::ko : Lang::en;
    Draws draws(seed);
    auto c = compose(ComposeKind::recolour, a, nullptr, kSize, lang, draws);
    if (!c) continue;
    said.insert(c->text);
    int found = -1, most = 0;
    for (int k = 0; k < kColors; k++) {
      int area = int(find(c->image, rgb(Color(k))).area * 10000);
      if (k != int(Color::white) && area > most) most = area, found = k;
    }
    ASSERT_GE(found, 0);
    EXPECT_GT(most, 4000);
    std::string word = color_words(Color(found), lang)[0];
    EXPECT_EQ(c->text, lang == Lang::ko ? word + " 공" : (found == int(Color::orange) ? "an " : "a ") + word + " ball");
  }
  EXPECT_EQ(said.size(), 16u) << "eight colours in two languages";
}

TEST(Compose, WordsThatFit) {
  auto with = [](const std::string& en, const std::string& ko) {
    Part p = part({226, 36, 44}, en, ko);
    return p;
  };
  EXPECT_TRUE(fits(with("cat", "고양이"), ComposeKind::relation, Lang::en));
  EXPECT_FALSE(fits(with("flag: Norway", "깃발: 노르웨이"), ComposeKind::relation, Lang::en));
  EXPECT_FALSE(fits(with("flag: Norway", "깃발: 노르웨이"), ComposeKind::relation, Lang::ko));
  EXPECT_FALSE(fits(with("cat", ""), ComposeKind::relation, Lang::ko));
  EXPECT_FALSE(fits(with("cat", "USB"), ComposeKind::relation, Lang::ko)) << "no particle to be had";
  EXPECT_FALSE(fits(with("sun above cloud", ""), ComposeKind::relation, Lang::en));
  EXPECT_FALSE(fits(with("red apple", "사과"), ComposeKind::recolour, Lang::en));
  EXPECT_FALSE(fits(with("apple", "빨간 사과"), ComposeKind::recolour, Lang::en));
  EXPECT_TRUE(fits(with("apple", "사과"), ComposeKind::recolour, Lang::ko));
  for (const char* own : {"별이 있는 방패", "사선이 그어진 카메라", "미소 짓는 얼굴", "눈을 크게 뜨고 웃는 얼굴"}) {
    EXPECT_FALSE(fits(with("thing", own), ComposeKind::recolour, Lang::ko)) << own;
    EXPECT_FALSE(fits(with("thing", own), ComposeKind::ground, Lang::ko)) << own;
    EXPECT_TRUE(fits(with("thing", own), ComposeKind::relation, Lang::ko)) << own;
  }
  Part opaque = with("cat", "고양이");
  for (size_t i = 3; i < opaque.image.rgba.size(); i += 4) opaque.image.rgba[i] = 255;
  EXPECT_FALSE(fits(opaque, ComposeKind::ground, Lang::en));
  EXPECT_TRUE(fits(opaque, ComposeKind::relation, Lang::en));
  Part scene = with("a red circle", "빨간 원");
  scene.meta.scene = "{}";
  EXPECT_FALSE(fits(scene, ComposeKind::relation, Lang::en));

  EXPECT_EQ(plural("a mouse"), "mice");
  EXPECT_EQ(plural("cat face"), "cat faces");
  EXPECT_EQ(plural("cherry"), "cherries");
  EXPECT_EQ(plural("key"), "keys");
  EXPECT_EQ(with_article("key"), "a key");
  EXPECT_EQ(with_article("orange umbrella"), "an orange umbrella");
  EXPECT_EQ(with_article("a mouse"), "");
  EXPECT_EQ(plural("brush"), "brushes");
  for (const char* none :
       {"milk", "scissors", "person walking", "woman singer", "door open", "slice of cake", "running", "policeman", ""})
    EXPECT_EQ(plural(none), "") << none;
}

class ComposeLoader : public ::testing::Test {
 protected:
  void SetUp() override {
    ShardWriter w(t_ / "a/train", "", 100);
    Rgb colors[] = {{226, 36, 44}, {36, 92, 222}, {38, 164, 72}, {250, 210, 50}, {128, 128, 128}};
    const char *en[] = {"apple", "cup", "box", "bell", "flag: Norway"}, *ko[] = {"사과", "컵", "상자", "종", "깃발: 노르웨이"};
    for (int i = 0; i < 5; i++) {
      Part p = part(colors[i], en[i], ko[i]);
      w.add(to_sample({"s" + std::to_string(i), encode_png(p.image), p.meta}));
    }
    w.finish();
    config_.dirs = {t_ / "a"};
    config_.compose = 1, config_.size = 32, config_.batch = 16;
  }

  static Tokenizer tokenizer() {
    std::vector<std::string> tokens(std::begin(kSpecialTokens), std::end(kSpecialTokens));
    std::vector<int> specials;
    for (size_t i = 0; i < tokens.size(); i++) specials.push_back(int(i));
    for (int b = 0; b < 256; b++) tokens.push_back(std::string(1, char(b)));
    return Tokenizer::make(tokens, {}, specials, "bytes");
  }

  TestFolder t_;
  DataConfig config_;
};

TEST_F(ComposeLoader, IsAFunctionOfTheStepAndResumesExactly) {
  config_.threads = 2;
  Loader one(config_, tokenizer(), 7);
  config_.threads = 0, config_.cache_mb = 0;
  Loader plain(config_, tokenizer(), 7), other(config_, tokenizer(), 8);
  std::vector<Batch> all;
  for (int step = 0; step < 8; step++) all.push_back(one.next());
  plain.seek(5);
  for (int step = 5; step < 8; step++) {
    Batch b = plain.next();
    EXPECT_EQ(b.captions, all[step].captions);
    EXPECT_EQ(b.pixels, all[step].pixels);
    EXPECT_EQ(b.text, all[step].text);
    EXPECT_EQ(b.keys, all[step].keys);
  }
  EXPECT_NE(other.make(0).captions, all[0].captions);
}

TEST_F(ComposeLoader, MakesEveryKindInBothLanguagesWithStyles) {
  Loader loader(config_, tokenizer(), 3);
  int relation = 0, count = 0, ground = 0, recolour = 0, korean = 0, styled = 0, flags = 0, all = 0;
  for (int step = 0; step < 40; step++) {
    Batch b = loader.next();
    for (int i = 0; i < b.B; i++, all++) {
      const std::string& c = b.captions[i];
      EXPECT_TRUE(b.keys[i].starts_with("compose ")) << c;
      flags += has(c, "flag") || has(c, "깃발");
      bool is_relation = has(c, " of ") || has(c, "above") || has(c, "below") || has(c, "under") || has(c, "의 왼쪽") ||
                         has(c, "의 오른쪽") || has(c, "의 위에") || has(c, "의 아래");
      bool is_count = c.starts_with("two ") || c.starts_with("three ") || c.starts_with("four ") || has(c, " 둘") ||
                      has(c, " 셋") || has(c, " 넷");
      bool is_ground = has(c, " on ") || has(c, "배경") || has(c, "위의");
      relation += is_relation, count += is_count, ground += is_ground;
      recolour += !is_relation && !is_count && !is_ground;
      korean += b.text[i].front() == tokenizer().special("<|ko|>");
      styled += has(c, ", flat") || has(c, ", 납작한");
    }
  }
  EXPECT_EQ(flags, 0);
  for (int n : {relation, count, ground, recolour}) EXPECT_NEAR(n, all / 4, all / 10);
  EXPECT_NEAR(korean, all / 2, all / 10);
  EXPECT_NEAR(styled, all / 2, all / 10);
}

TEST_F(ComposeLoader, TheOtherSourcesKeepTheirOrder) {
  config_.compose = 0.5;
  Loader with(config_, tokenizer(), 3);
  int compositions = 0, all = 0;
  std::map<std::string, int> plain;
  for (int step = 0; step < 40; step++) {
    Batch b = with.next();
    for (auto& key : b.keys) all++, key.starts_with("compose ") ? void(compositions++) : void(plain[key]++);
  }
  EXPECT_EQ(compositions, all / 2);
  for (auto& [key, n] : plain) EXPECT_EQ(n, all / 10) << key << ": once every epoch";
}

TEST_F(ComposeLoader, WhereNothingFitsTheTurnGoesToAPlainPicture) {
  ShardWriter w(t_ / "b/train", "", 100);
  Part p = part({226, 36, 44}, "flag: Norway", "깃발: 노르웨이");
  w.add(to_sample({"only", encode_png(p.image), p.meta}));
  w.finish();
  config_.dirs = {t_ / "b"};
  Loader loader(config_, tokenizer(), 3);
  Batch b = loader.next();
  for (int i = 0; i < b.B; i++) {
    EXPECT_TRUE(b.keys[i].ends_with("only") && !b.keys[i].starts_with("compose")) << b.keys[i];
    EXPECT_TRUE(has(b.captions[i], "Norway") || has(b.captions[i], "노르웨이")) << b.captions[i];
  }
}

TEST_F(ComposeLoader, SharesThatDoNotAddUpAreRefused) {
  config_.scenes = 0.5, config_.compose = 0.6;
  EXPECT_THROW(Loader(config_, tokenizer(), 1), Error);
  config_.dirs = {}, config_.scenes = 0.5, config_.compose = 0.5;
  EXPECT_THROW(Loader(config_, tokenizer(), 1), Error);
}

}  // namespace
}  // namespace duet
