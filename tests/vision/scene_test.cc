#include "vision/scene.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <map>
#include <set>

#include "kernels/error.h"
#include "vision/scenescore.h"
#include "vision/scenetext.h"

namespace duet {
namespace {

constexpr SceneSplit kSplits[] = {SceneSplit::train, SceneSplit::seen, SceneSplit::heldout};

// Equal up to the order of the things and the direction in which a relation is told.
bool same_statement(const ParsedScene& a, const ParsedScene& b) {
  if (a.things.size() != b.things.size() || a.relations.size() != b.relations.size() || a.background != b.background)
    return false;
  std::vector<int> to(a.things.size(), -1);
  std::vector<bool> used(b.things.size());
  for (size_t i = 0; i < to.size(); i++) {
    for (size_t j = 0; j < used.size() && to[i] < 0; j++)
      if (!used[j] && a.things[i] == b.things[j]) to[i] = int(j), used[j] = true;
    if (to[i] < 0) return false;
  }
  for (size_t k = 0; k < a.relations.size(); k++) {
    StatedRelation x = a.relations[k], y = b.relations[k];
    x.a = to[x.a], x.b = to[x.b];
    if (!(x == y) && !(StatedRelation{x.b, x.a, inverse(x.relation)} == y)) return false;
  }
  return true;
}

TEST(Scene, OneSeedIsOneSceneOnEveryMachine) {
  EXPECT_EQ(describe_json(random_scene(7, SceneSplit::train)),
            R"({"background":"transparent","things":[{"shape":"star","color":"black","size":"small","cell":"top left",)"
            R"("cx":0.2041015625,"cy":0.32421875,"radius":0.109375},{"shape":"heart","color":"white","size":"small",)"
            R"("cell":"right","cx":0.810546875,"cy":0.44921875,"radius":0.111328125},{"shape":"heart","color":"brown",)"
            R"("size":"medium","cell":"bottom left","cx":0.2900390625,"cy":0.724609375,"radius":0.1630859375}]})");
}

TEST(Scene, ThingsStayApartInsideThePictureAndClearOfTheBorders) {
  std::vector<float> a(64 * 64), b(a);
  for (SceneSplit split : kSplits)
    for (uint64_t seed = 0; seed < 400; seed++) {
      Scene s = random_scene(seed, split);
      ASSERT_GE(s.things.size(), 1u);
      ASSERT_LE(s.things.size(), 3u);
      for (size_t i = 0; i < s.things.size(); i++) {
        const Thing& t = s.things[i];
        for (float v : {t.cx, t.cy}) ASSERT_TRUE(v <= 0.361f || (v >= 0.44f && v <= 0.56f) || v >= 0.639f) << v;
        ASSERT_EQ(size_of(t.radius, s.things.size() == 1), t.size);
        cover(a.data(), 64, 64, t.shape, t.cx * 64, t.cy * 64, t.radius * 64);
        for (int k = 0; k < 64; k++)
          ASSERT_EQ(a[k] + a[63 * 64 + k] + a[k * 64] + a[k * 64 + 63], 0) << "touches the edge: " << describe_json(s);
        for (size_t j = 0; j < i; j++) {
          const Thing& u = s.things[j];
          ASSERT_FALSE(t.shape == u.shape && t.color == u.color);
          cover(b.data(), 64, 64, u.shape, u.cx * 64, u.cy * 64, u.radius * 64);
          for (size_t k = 0; k < a.size(); k++) ASSERT_EQ(a[k] * b[k], 0) << describe_json(s);
        }
      }
    }
}

TEST(Scene, TrainingNeverShowsWhatIsHeldOut) {
  std::set<std::pair<int, int>> pairs;
  std::set<int> shapes, colors, cells, sizes;
  for (uint64_t seed = 0; seed < 20000; seed++) {
    Scene s = random_scene(seed, SceneSplit::train);
    ASSERT_FALSE(held_out(s));
    ASSERT_FALSE(held_out(mirror(s)));
    ASSERT_FALSE(held_out(random_scene(seed, SceneSplit::seen)));
    ASSERT_TRUE(held_out(random_scene(seed, SceneSplit::heldout)));
    ASSERT_FALSE(s == random_scene(seed, SceneSplit::seen));
    for (const Thing& t : s.things) {
      pairs.insert({int(t.shape), int(t.color)});
      cells.insert(int(cell_of(t.cx, t.cy)));
      sizes.insert(int(t.size));
    }
  }
  int kept = 0;
  for (int s = 0; s < kShapes; s++)
    for (int c = 0; c < kColors; c++) {
      EXPECT_EQ(pairs.count({s, c}), held_out(ShapeKind(s), Color(c)) ? 0u : 1u);
      kept += !held_out(ShapeKind(s), Color(c));
    }
  EXPECT_EQ(kept, 62);
  EXPECT_EQ(cells.size(), size_t(kCells));
  EXPECT_EQ(sizes.size(), size_t(kSizes));
}

// Tidying moves and sizes things within what their words mean, to the one place and radius that cell and size have.
TEST(Scene, ATidySceneMeansTheSame) {
  std::map<std::array<int, 4>, std::set<std::array<float, 3>>> places;
  int moved = 0;
  for (uint64_t seed = 0; seed < 4000; seed++) {
    const Scene was = random_scene(seed, SceneSplit::train), s = tidy(was);
    ASSERT_EQ(tidy(s), s);
    ASSERT_FALSE(held_out(s));
    ASSERT_EQ(s.background, was.background);
    ASSERT_EQ(s.things.size(), was.things.size());
    const bool alone = s.things.size() == 1;
    moved += s != was;
    for (size_t i = 0; i < s.things.size(); i++) {
      const Thing &t = s.things[i], &w = was.things[i];
      ASSERT_TRUE(t.shape == w.shape && t.color == w.color && t.size == w.size);
      ASSERT_EQ(size_of(t.radius, alone), t.size);
      ASSERT_EQ(cell_of(t.cx, t.cy), cell_of(w.cx, w.cy));
      if (s != was) places[{int(t.shape), int(t.size), int(cell_of(t.cx, t.cy)), alone}].insert({t.cx, t.cy, t.radius});
      for (size_t j = 0; j < i; j++) {
        const Thing &u = s.things[j], &v = was.things[j];
        ASSERT_EQ(relation_of(t.cx, t.cy, u.cx, u.cy), relation_of(w.cx, w.cy, v.cx, v.cy));
        ASSERT_EQ(clear_relation(t, u), clear_relation(w, v));
      }
    }
  }
  for (const auto& [of, at] : places) EXPECT_EQ(at.size(), 1u) << "shape " << of[0] << ", size " << of[1] << ", cell " << of[2];
  EXPECT_GT(moved, 2800);
}

TEST(Scene, HeldOutPromptsSayWhatIsHeldOut) {
  for (uint64_t seed = 0; seed < 3000; seed++) {
    ScenePrompt p = random_prompt(seed, SceneSplit::heldout, Lang::en);
    bool says = false;
    for (size_t i = 0; i < p.said.things.size(); i++)
      says |= p.said.things[i].color && held_out(p.scene.things[i].shape, p.scene.things[i].color);
    for (auto [a, b] : p.said.relations) says |= held_out(p.scene.things[a], p.scene.things[b]);
    ASSERT_TRUE(says) << p.text;
  }
}

bool inside(const std::vector<Point>& o, float x, float y) {  // even-odd
  bool in = false;
  for (size_t i = 0, j = o.size() - 1; i < o.size(); j = i++)
    if ((o[i].y > y) != (o[j].y > y) && x < (o[j].x - o[i].x) * (y - o[i].y) / (o[j].y - o[i].y) + o[i].x) in = !in;
  return in;
}

TEST(SceneRender, CoverageIsWhatManySamplesSay) {
  const int side = 20, samples = 16;
  std::vector<float> got(side * side);
  for (int s = 0; s < kShapes; s++) {
    const float cx = 9.7f, cy = 10.2f, r = 7.3f;
    cover(got.data(), side, side, ShapeKind(s), cx, cy, r);
    double sum = 0;
    for (int y = 0; y < side; y++)
      for (int x = 0; x < side; x++) {
        int hits = 0;
        for (int k = 0; k < samples * samples; k++)
          hits += inside(outline(ShapeKind(s)), (x + (k % samples + 0.5f) / samples - cx) / r,
                         (y + (k / samples + 0.5f) / samples - cy) / r);
        float want = float(hits) / (samples * samples);
        // A straight edge through a pixel of n x n samples is off by at most about one row of them.
        ASSERT_NEAR(got[y * side + x], want, 1.0f / samples) << name(ShapeKind(s)) << " " << x << "," << y;
        sum += got[y * side + x];
      }
    EXPECT_NEAR(sum, area(ShapeKind(s)) * r * r, 0.01);
  }
}

TEST(SceneRender, AThingOverTheEdgeIsCutThere) {
  const int side = 24;
  std::vector<float> whole(side * side), cut(10 * 8);
  for (int s = 0; s < kShapes; s++) {
    cover(whole.data(), side, side, ShapeKind(s), 11.3f, 12.1f, 8.2f);
    cover(cut.data(), 10, 8, ShapeKind(s), 11.3f - 6, 12.1f - 5, 8.2f);
    for (int y = 0; y < 8; y++)
      for (int x = 0; x < 10; x++) ASSERT_NEAR(cut[y * 10 + x], whole[(y + 5) * side + x + 6], 2e-5) << name(ShapeKind(s));
  }
}

TEST(SceneRender, ColoursGroundAndMirror) {
  for (uint64_t seed = 0; seed < 60; seed++) {
    Scene s = random_scene(seed, SceneSplit::seen);
    Image a = render(s, 64), b = render(mirror(s), 64);
    for (int y = 0; y < 64; y++)
      for (int x = 0; x < 64; x++)
        for (int c = 0; c < 4; c++) {
          if (c < 3 && a.at(x, y)[3] < 8) continue;  // the colour of what is nearly transparent says nothing
          ASSERT_NEAR(a.at(x, y)[c], b.at(63 - x, y)[c], 2) << describe_json(s);
        }
    EXPECT_EQ(a.at(0, 0)[3], s.background == kGrey ? 255 : 0);
    for (const Thing& t : s.things) {
      const uint8_t* px = a.at(int(t.cx * 64), int(t.cy * 64));
      Rgb c = rgb(t.color);
      EXPECT_EQ(px[0], c.r);
      EXPECT_EQ(px[1], c.g);
      EXPECT_EQ(px[2], c.b);
      EXPECT_EQ(px[3], 255);
    }
    EXPECT_EQ(mirror(mirror(s)), s);
  }
  EXPECT_THROW(render({}, 4), Error);
}

TEST(SceneText, EveryCaptionReadsBackAsWhatItWasMadeFrom) {
  for (Lang lang : {Lang::en, Lang::ko})
    for (SceneSplit split : kSplits)
      for (uint64_t seed = 0; seed < 4000; seed++) {
        Scene s = random_scene(seed, split);
        std::string text = caption(s, lang, seed);
        ParsedScene said = stated(s, choose_said(s, seed));
        ASSERT_TRUE(same_statement(said, parse_caption(text, lang))) << text;
        ASSERT_TRUE(score_caption(parse_caption(text, lang), s).whole()) << text;
        ScenePrompt p = random_prompt(seed, split, lang);
        ASSERT_TRUE(same_statement(stated(p.scene, p.said), parse_caption(p.text, lang))) << p.text;
      }
}

TEST(SceneText, PlainWordsComeFirst) {
  Scene s{.things = {{.shape = ShapeKind::circle, .color = Color::red}}};
  EXPECT_EQ(captions(s, Lang::en)[0], "a red circle");
  EXPECT_EQ(captions(s, Lang::ko)[0], "빨간 원");
  EXPECT_GE(captions(s, Lang::ko).size(), 8u);
  s.things.push_back({.shape = ShapeKind::heart, .color = Color::orange, .cx = 0.2f, .cy = 0.2f});
  s.background = kGrey;
  EXPECT_EQ(captions(s, Lang::en)[0], "a red circle and an orange heart on a grey background");
  EXPECT_EQ(captions(s, Lang::ko)[0], "회색 배경에 빨간 원과 주황색 하트");
}

TEST(SceneText, KoreanParticlesFollowTheLastSyllable) {
  for (uint64_t seed = 0; seed < 3000; seed++) {
    std::string text = caption(random_scene(seed, SceneSplit::train), Lang::ko, seed) + " ";
    for (const char* wrong :
         {"원가 ", "원와 ", "하트이 ", "하트과 ", "별가 ", "별와 ", "네모이 ", "삼각형가 ", "마름모과 ", "십자가이 "})
      ASSERT_EQ(text.find(wrong), std::string::npos) << text;
  }
}

TEST(SceneText, ReadsPlainSentences) {
  ParsedScene p = parse_caption(
      "A small BLUE star to the left of a yellow square, and a big pink heart in the top right corner!", Lang::en);
  ASSERT_EQ(p.things.size(), 3u);
  EXPECT_EQ(p.things[0], (StatedThing{ShapeKind::star, Color::blue, Size::small, {}}));
  EXPECT_EQ(p.things[2], (StatedThing{ShapeKind::heart, Color::pink, Size::big, Cell::top_right}));
  ASSERT_EQ(p.relations.size(), 1u);
  EXPECT_EQ(p.relations[0], (StatedRelation{0, 1, Relation::left_of}));
  EXPECT_EQ(parse_caption("a red circle on the left of the picture", Lang::en).things[0].cell, Cell::left);

  p = parse_caption("작은 파란 별이 노란 사각형의 왼쪽에 있다", Lang::ko);
  ASSERT_EQ(p.things.size(), 2u);
  EXPECT_EQ(p.things[0], (StatedThing{ShapeKind::star, Color::blue, Size::small, {}}));
  ASSERT_EQ(p.relations.size(), 1u);
  EXPECT_EQ(p.relations[0], (StatedRelation{0, 1, Relation::left_of}));
  p = parse_caption("왼쪽 위에 큰 초록색 세모", Lang::ko);
  ASSERT_EQ(p.things.size(), 1u);
  EXPECT_EQ(p.things[0], (StatedThing{ShapeKind::triangle, Color::green, Size::big, Cell::top_left}));
  EXPECT_TRUE(parse_caption("노란 원숭이", Lang::ko).things.empty());  // 원숭이 (a monkey) only begins like 원
}

TEST(SceneText, ReadsAnyBytes) {
  const std::string pieces[] = {"left", "of",   " ",  ",",    "the", "square", "above", "원",
                                "의",   "왼쪽", "에", "있고", "이",  "보다",   "\xff",  "red"};
  SceneRng rng{1};
  for (int i = 0; i < 20000; i++) {
    std::string text;
    for (int k = rng.below(24); k > 0; k--)
      text += rng.chance(10) ? std::string(1, char(rng.below(256))) : pieces[rng.below(16)] + (rng.chance(60) ? " " : "");
    for (Lang lang : {Lang::en, Lang::ko}) {
      ParsedScene p = parse_caption(text, lang);
      ASSERT_LE(p.things.size(), 6u);
      for (const StatedRelation& r : p.relations) {
        ASSERT_TRUE(r.a >= 0 && r.a < int(p.things.size())) << text;
        ASSERT_TRUE(r.b >= 0 && r.b < int(p.things.size())) << text;
      }
      score_caption(p, random_scene(i, SceneSplit::seen));
    }
  }
}

TEST(SceneText, AMirroredSceneSwapsItsWords) {
  Scene s{.things = {{.shape = ShapeKind::circle, .color = Color::red, .cx = 0.25f}}};
  Said said{{{.color = true, .size = false, .cell = true}}, {}, false};
  EXPECT_EQ(parse_caption(tell(stated(s, said), Lang::ko, 3), Lang::ko).things[0].cell, Cell::left);
  EXPECT_EQ(parse_caption(tell(stated(mirror(s), said), Lang::ko, 3), Lang::ko).things[0].cell, Cell::right);
}

TEST(SceneText, FalseAndMissingWordsAreCounted) {
  Scene s{.things = {{ShapeKind::circle, Color::red, Size::small, 0.25f, 0.5f, 0.105f},
                     {ShapeKind::star, Color::blue, Size::big, 0.7f, 0.5f, 0.22f}}};
  auto score = [&](const char* text) { return score_caption(parse_caption(text, Lang::en), s); };
  EXPECT_TRUE(score("a big blue star right of a small red circle").whole());
  EXPECT_EQ(score("a red circle and a green star")[Attribute::color], (Tally{1, 2}));
  EXPECT_EQ(score("a red heart and a blue star")[Attribute::shape], (Tally{1, 2}));
  EXPECT_EQ(score("a big red circle and a blue star")[Attribute::size], (Tally{0, 1}));
  EXPECT_EQ(score("a red circle on the right and a blue star")[Attribute::position], (Tally{0, 1}));
  EXPECT_EQ(score("a red circle right of a blue star")[Attribute::relation], (Tally{0, 1}));
  Score one = score("a red circle");
  EXPECT_EQ(one[Attribute::shape], (Tally{1, 2}));
  EXPECT_EQ(one[Attribute::color], (Tally{1, 2}));
  EXPECT_EQ(one[Attribute::count], (Tally{0, 1}));
  EXPECT_EQ(score("nothing of the kind")[Attribute::shape], (Tally{0, 2}));
}

TEST(SceneJson, RoundTripAndRefusals) {
  for (uint64_t seed = 0; seed < 500; seed++) {
    Scene s = random_scene(seed, SceneSplit::train);
    ASSERT_EQ(scene_from_json(describe_json(s)), s);
  }
  for (const char* bad :
       {"", "[]", "{", R"({"background":"grey"})", R"({"background":"blue","things":[]})",
        R"({"background":"grey","things":[{"shape":"egg","color":"red","size":"big","cx":0.5,"cy":0.5,"radius":0.1}]})",
        R"({"background":"grey","things":[{"shape":"star","color":"red","size":"big","cx":1e9,"cy":0.5,"radius":0.1}]})",
        R"({"background":"grey","things":[{"shape":"star","color":"red","size":"big","cx":0.5,"cy":0.5}]})"})
    EXPECT_THROW(scene_from_json(bad), Error) << bad;
  EXPECT_THROW(scene_from_json(std::string(100000, '[')), Error);
}

}  // namespace
}  // namespace duet
