#include "infer/scenecheck.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "kernels/error.h"

namespace duet {
namespace {

// What a drawn picture suffers: a blur of that many pixels (sigma) and noise (sigma, of 255), on premultiplied colour.
Image worsened(const Image& in, float blur, float noise, uint64_t seed) {
  const int w = in.width, h = in.height;
  std::vector<float> p(in.rgba.size()), q(p.size());
  for (size_t i = 0; i < p.size(); i++) p[i] = i % 4 == 3 ? in.rgba[i] : in.rgba[i] * (in.rgba[i | 3] / 255.0f);
  float kernel[7], sum = 0;
  for (int i = -3; i <= 3; i++) sum += kernel[i + 3] = std::exp(-i * i / (2 * blur * blur));
  for (int pass = 0; pass < 2; pass++) {
    for (int y = 0; y < h; y++)
      for (int x = 0; x < w; x++)
        for (int c = 0; c < 4; c++) {
          float v = 0;
          for (int i = -3; i <= 3; i++) {
            int u = pass ? x : std::clamp(x + i, 0, w - 1), t = pass ? std::clamp(y + i, 0, h - 1) : y;
            v += kernel[i + 3] / sum * p[(size_t(t) * w + u) * 4 + c];
          }
          q[(size_t(y) * w + x) * 4 + c] = v;
        }
    std::swap(p, q);
  }
  SceneRng rng{seed};
  for (float& v : p) {
    float g = -6;  // twelve uniform numbers make a good enough normal one
    for (int i = 0; i < 12; i++) g += rng.below(65536) / 65536.0f;
    v = std::clamp(v + g * noise, 0.0f, 255.0f);
  }
  Image out(w, h);
  for (size_t i = 0; i < p.size(); i += 4) {
    for (int c = 0; c < 3; c++)
      out.rgba[i + c] = p[i + 3] > 0 ? uint8_t(std::min(255.0f, p[i + c] * 255 / p[i + 3]) + 0.5f) : 0;
    out.rgba[i + 3] = uint8_t(p[i + 3] + 0.5f);
  }
  return out;
}

// A prompt that says all there is to say.
ScenePrompt full_prompt(const Scene& scene) {
  ScenePrompt p{.text = {}, .lang = Lang::en, .scene = scene, .said = {}};
  p.said.things.assign(scene.things.size(), {true, true, true});
  p.said.background = true;
  for (int a = 0; a < int(scene.things.size()); a++)
    for (int b = 0; b < a; b++)
      if (clear_relation(scene.things[a], scene.things[b])) p.said.relations.push_back({a, b});
  return p;
}

void expect_true_scenes_pass(int side, float blur, float noise, int count) {
  SceneTotals totals;
  for (int i = 0; i < count; i++) {
    ScenePrompt p = full_prompt(random_scene(i, SceneSplit(i % 3)));
    Image image = render(p.scene, side);
    totals.add(check(blur > 0 ? worsened(image, blur, noise, i) : image, p).score, p.scene);
  }
  for (int a = 0; a < kAttributes; a++) EXPECT_GE(percent(totals.tally[size_t(a)]), 99.5) << name(Attribute(a));
  EXPECT_GE(percent(totals.whole), 99.0);
}

TEST(SceneCheck, TrueScenes) { expect_true_scenes_pass(64, 0, 0, 3000); }
TEST(SceneCheck, TrueScenesBlurredAndNoisy) { expect_true_scenes_pass(64, 0.7f, 8, 1000); }
TEST(SceneCheck, TrueScenesBlurredAndNoisierStill) { expect_true_scenes_pass(64, 1.0f, 12, 1000); }
TEST(SceneCheck, TrueScenesAt32) { expect_true_scenes_pass(32, 0, 0, 1500); }
TEST(SceneCheck, TrueScenesAt128) { expect_true_scenes_pass(128, 0, 0, 300); }

// Draws another scene than the one asked for, and expects exactly the attribute in question to suffer.
template <class Change>
void expect_wrong(Attribute attribute, size_t things, Change change) {
  int tried = 0;
  for (uint64_t seed = 0; tried < 150; seed++) {
    Scene scene = random_scene(seed, SceneSplit::seen);
    if (scene.things.size() < things) continue;
    Scene drawn = scene;
    if (!change(drawn)) continue;
    tried++;
    for (bool spoilt : {false, true}) {
      Image image = render(drawn, 64);
      CheckResult r = check(spoilt ? worsened(image, 0.7f, 8, seed) : image, full_prompt(scene));
      ASSERT_LT(r.score[attribute].right, r.score[attribute].total) << describe_json(scene) << describe_json(drawn);
      ASSERT_FALSE(r.score.whole());
    }
  }
}

TEST(SceneCheck, AnotherColourFails) {
  expect_wrong(Attribute::color, 1, [](Scene& s) {
    s.things[0].color = Color((int(s.things[0].color) + 1 + int(s.things[0].cx * 1024) % (kColors - 1)) % kColors);
    return true;
  });
}

TEST(SceneCheck, AnotherShapeFails) {
  expect_wrong(Attribute::shape, 1, [](Scene& s) {
    s.things[0].shape = ShapeKind((int(s.things[0].shape) + 1 + int(s.things[0].cx * 1024) % (kShapes - 1)) % kShapes);
    return true;
  });
}

TEST(SceneCheck, SwappedColoursFail) {
  expect_wrong(Attribute::color, 2, [](Scene& s) {
    if (s.things[0].color == s.things[1].color || s.things[0].shape == s.things[1].shape) return false;
    std::swap(s.things[0].color, s.things[1].color);
    return true;
  });
}

TEST(SceneCheck, AMissingThingFails) {
  for (Attribute a : {Attribute::count, Attribute::shape, Attribute::color})
    expect_wrong(a, 1, [](Scene& s) {
      s.things.pop_back();
      return true;
    });
}

TEST(SceneCheck, OneThingTooManyFails) {
  expect_wrong(Attribute::count, 1, [](Scene& s) {
    if (s.things.size() > 1 || s.things[0].cy + 1.3f * s.things[0].radius > 0.7f) return false;
    s.things.push_back({ShapeKind::star, Color::green, Size::small, 0.5f, 0.85f, 0.1f});
    return true;
  });
}

TEST(SceneCheck, TheWrongSideFails) {
  for (Attribute a : {Attribute::position, Attribute::relation})
    expect_wrong(a, 2, [](Scene& s) {
      const Thing &x = s.things[0], &y = s.things[1];
      if (x.shape == y.shape || x.color == y.color) return false;  // else as well another shape or colour in its place
      if (s.things.size() > 2 || !clear_relation(x, y) || std::fabs(x.cx - y.cx) < std::fabs(x.cy - y.cy)) return false;
      s = mirror(s);
      return true;
    });
}

TEST(SceneCheck, AnotherSizeFails) {
  expect_wrong(Attribute::size, 1, [](Scene& s) {
    if (s.things.size() > 1) return false;
    s.things[0].radius = s.things[0].size == Size::small ? 0.26f : 0.165f;
    return true;
  });
}

TEST(SceneCheck, AnotherGroundFails) {
  expect_wrong(Attribute::background, 1, [](Scene& s) {
    s.background = s.background == kGrey ? kTransparent : kGrey;
    return true;
  });
}

TEST(SceneCheck, BlankAndNoiseHaveNothing) {
  Image blank(64, 64), white(64, 64), noise(64, 64);
  std::fill(white.rgba.begin(), white.rgba.end(), 255);
  SceneRng rng{5};
  for (uint8_t& v : noise.rgba) v = uint8_t(rng.next());
  EXPECT_TRUE(find_things(blank).things.empty());
  EXPECT_TRUE(find_things(white).things.empty());
  EXPECT_EQ(find_things(white).background, -1);
  Image opaque = noise;
  for (size_t i = 3; i < opaque.rgba.size(); i += 4) opaque.rgba[i] = 255;
  for (const Image& image : {blank, white, noise, opaque})
    for (uint64_t seed = 0; seed < 50; seed++) {
      CheckResult r = check(image, full_prompt(random_scene(seed, SceneSplit::seen)));
      EXPECT_EQ(r.score[Attribute::shape].right, 0);
      EXPECT_FALSE(r.score.whole());
    }
}

TEST(SceneCheck, OnlyWhatIsSaidIsScored) {
  Scene scene{.things = {{ShapeKind::circle, Color::red, Size::small, 0.2f, 0.2f, 0.105f}}};
  ScenePrompt p{.text = "a red circle", .lang = Lang::en, .scene = scene, .said = {{{}}, {}, false}};
  Scene drawn{.things = {{ShapeKind::circle, Color::red, Size::big, 0.7f, 0.7f, 0.22f}}};
  Score s = check(render(drawn, 64), p).score;
  EXPECT_TRUE(s.whole());
  for (Attribute a : {Attribute::size, Attribute::position, Attribute::relation, Attribute::background})
    EXPECT_EQ(s[a].total, 0);
}

TEST(SceneCheck, TouchingThingsOfTwoColoursAreTwo) {
  Scene scene{.things = {{ShapeKind::square, Color::red, Size::medium, 0.35f, 0.5f, 0.16f},
                         {ShapeKind::square, Color::blue, Size::medium, 0.634f, 0.5f, 0.16f}}};
  SeenScene there = find_things(render(scene, 64));
  ASSERT_EQ(there.things.size(), 2u);
  EXPECT_NE(there.things[0].color, there.things[1].color);
  EXPECT_EQ(there.things[0].shape, ShapeKind::square);
}

TEST(SceneCheck, SmallPicturesAreRefused) { EXPECT_THROW(find_things(Image(15, 64)), Error); }

TEST(SceneReport, SumsAndPrints) {
  SceneReport report;
  Score good, bad;
  good[Attribute::shape] = {2, 2};
  bad[Attribute::shape] = {1, 2};
  Scene one, three;
  one.things.resize(1), three.things.resize(3), three.background = kGrey;
  report.group("seen en").add(good, one);
  report.group("seen en").add(bad, three);
  report.group("seen en").add(bad, one);
  report.group("seen en").add(good, one);
  report.group("seen ko").add(good, three);
  EXPECT_EQ(report.table(),
            "% right / n         seen en        seen ko\n"
            "shape           75.0 /    8   100.0 /    2\n"
            "color                     -              -\n"
            "size                      -              -\n"
            "position                  -              -\n"
            "relation                  -              -\n"
            "count                     -              -\n"
            "background                -              -\n"
            "whole scene     50.0 /    4   100.0 /    1\n"
            "  of one        66.7 /    3              -\n"
            "  of two                  -              -\n"
            "  of three       0.0 /    1   100.0 /    1\n"
            "  on grey        0.0 /    1   100.0 /    1\n");
  const auto j = nlohmann::json::parse(report.json());
  EXPECT_EQ(j["seen en"]["shape"], nlohmann::json::parse(R"({"right":6,"total":8,"percent":75.0})"));
  EXPECT_EQ(j["seen en"]["whole"]["percent"], 50);
  EXPECT_EQ(j["seen en"]["whole_of_things"]["one"]["right"], 2);
  EXPECT_EQ(j["seen ko"]["whole_on_grey"]["total"], 1);
  EXPECT_TRUE(j["seen ko"]["whole_of_things"]["one"]["percent"].is_null());
}

}  // namespace
}  // namespace duet
