// duet eval generate with painters that are known: perfect, blurred, at random, one that copies, one that knows no Korean.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "infer/eval_generate.h"
#include "infer/genreport.h"
#include "infer/imagedistance.h"
#include "kernels/error.h"
#include "kernels/random.h"
#include "vision/draw.h"
#include "vision/scene.h"
#include "vision/transform.h"

namespace duet {
namespace {

Image scene(uint64_t seed) { return render(random_scene(seed, SceneSplit::train), 64); }

// Thirty concepts in two styles: concepts 0..23 in both for training, 24..26 as "line" held out (a pair), 27..29 held out.
std::vector<SplitSet> two_styles() {
  std::vector<SplitSet> sets{{"train", {}}, {"heldout", {}}};
  for (int c = 0; c < 30; ++c)
    for (const char* style : {"flat", "line"}) {
      const bool line = std::string(style) == "line";
      const bool held = c >= 27 || (c >= 24 && line);
      EvalSet& s = sets[held ? 1 : 0].set;
      s.name = "things";
      Meta m;
      m.caption = "a thing " + std::to_string(c), m.caption_ko = "물건 " + std::to_string(c), m.style = style;
      s.keys.push_back(std::string(style) + "/" + std::to_string(c));
      s.meta.push_back(m);
      s.pictures.push_back(scene(uint64_t(1000 * line + c)));
    }
  return sets;
}

using Painter = std::function<Image(const std::string& prompt, uint64_t seed, const Image* own)>;

EvalModel painter(const std::vector<SplitSet>& sets, const Painter& paint) {
  auto own = std::make_shared<std::map<std::string, const Image*>>();
  for (const auto& s : sets)
    for (size_t i = 0; i < s.set.meta.size(); ++i)
      for (const auto& caption : {s.set.meta[i].caption, s.set.meta[i].caption_ko})
        (*own)[with_style(caption, s.set.meta[i].style)] = &s.set.pictures[i];
  EvalModel m;
  m.draw = [=](std::span<const std::string> prompts, std::span<const uint64_t> seeds) {
    std::vector<Image> out;
    for (size_t i = 0; i < prompts.size(); ++i) out.push_back(paint(prompts[i], seeds[i], own->at(prompts[i])));
    return out;
  };
  return m;
}

GenerateEvalOptions small() {
  GenerateEvalOptions o;
  o.n = 20, o.diverse = 3, o.batch = 7;
  return o;
}

const GenerateEval::Group& group(const GenerateEval& e, const std::string& name) {
  for (const auto& g : e.groups)
    if (g.name == name) return g;
  throw Error("no group " + name);
}
double value(const GenerateEval& e, const std::string& g, const std::string& m, bool korean = false) {
  return group(e, g).find(m)->side[korean].value;
}

TEST(EvalGenerate, GroupsFollowConceptAndStyle) {
  const auto sets = two_styles();
  const auto e = eval_generate(painter(sets, [](auto&, uint64_t, const Image* own) { return *own; }), sets, small());
  ASSERT_EQ(e.groups.size(), 3u);
  EXPECT_EQ(group(e, "seen").prompts.size(), 20u);
  EXPECT_EQ(group(e, "held-out pairs").prompts.size(), 3u);
  EXPECT_EQ(group(e, "held-out concepts").prompts.size(), 6u);
  for (int64_t p : group(e, "held-out pairs").prompts) EXPECT_TRUE(e.prompts[size_t(p)].text[0].ends_with(", line"));
  GenerateEvalOptions o = small();
  o.splits = {"heldout"};
  EXPECT_EQ(eval_generate(painter(sets, [](auto&, uint64_t, const Image* own) { return *own; }), sets, o).groups.size(), 2u);
  o.splits = {"val"};
  EXPECT_THROW(eval_generate(painter(sets, {}), sets, o), Error);
  o = small(), o.looks = {"line"};
  const auto line = eval_generate(painter(sets, [](auto&, uint64_t, const Image* own) { return *own; }), sets, o);
  EXPECT_EQ(group(line, "held-out concepts").prompts.size(), 3u);
  for (const auto& p : line.prompts) EXPECT_EQ(line.pictures[size_t(p.source)].look, "line");
  o.looks = {"flat", "lino"};
  try {
    eval_generate(painter(sets, {}), sets, o);
    ADD_FAILURE() << "drew a look that is not there";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "--look 'lino': no picture of these data sets looks so; they have flat, line");
  }
  EXPECT_THROW(eval_generate(painter(sets, {}), {sets[1]}, small()), Error);
}

TEST(EvalGenerate, TruePicturesAreFirstAndCopies) {
  const auto sets = two_styles();
  const auto e = eval_generate(painter(sets, [](auto&, uint64_t, const Image* own) { return *own; }), sets, small());
  for (const char* g : {"seen", "held-out pairs", "held-out concepts"}) {
    EXPECT_EQ(value(e, g, "within_1"), 1) << g;
    EXPECT_EQ(value(e, g, "within_1", true), 1) << g;
    EXPECT_EQ(value(e, g, "to_source"), 0) << g;
    EXPECT_EQ(group(e, g).find("to_source")->gap, 0) << g;
    EXPECT_EQ(value(e, g, "diversity"), 0) << g;
  }
  EXPECT_EQ(value(e, "seen", "near_copies"), 1);
  EXPECT_EQ(value(e, "held-out concepts", "near_copies"), group(e, "held-out concepts").find("near_copies")->truth);
  EXPECT_LT(value(e, "held-out concepts", "near_copies"), 0.5);
  // The drawings are the true pictures: every measure of the set is theirs.
  for (const char* m : {"kernel_distance", "frechet_distance", "precision", "recall", "stray_alpha", "edge_width"})
    EXPECT_NEAR(value(e, "seen", m), group(e, "seen").find(m)->truth, 1e-9) << m;
  // Ranks are among all splits of the asked look: 30 pictures.
  for (const auto& d : e.drawn) EXPECT_TRUE(d.placed.rank == 0 || d.placed.candidates == 30) << d.placed.candidates;
  EXPECT_NEAR(group(e, "seen").find("within_10")->chance, 10.0 / 30, 1e-12);
}

// What the same thing in another style reaches: here as much as that style is like the own one.
TEST(EvalGenerate, TheSameThingInAnotherStyle) {
  const auto own = [](auto&, uint64_t, const Image* picture) { return *picture; };
  auto sets = two_styles();
  const auto strange = eval_generate(painter(sets, own), sets, small());
  EXPECT_LT(group(strange, "seen").find("within_10")->elsewhere, 0.7) << "pictures of the styles have nothing in common";
  EXPECT_TRUE(std::isnan(group(strange, "held-out concepts").find("within_10")->elsewhere)) << "of those nothing is trained on";
  std::map<std::string, const Image*> flat;
  for (auto& s : sets)
    for (size_t i = 0; i < s.set.meta.size(); ++i)
      if (s.set.meta[i].style == "flat") flat[s.set.meta[i].caption] = &s.set.pictures[i];
  for (auto& s : sets)
    for (size_t i = 0; i < s.set.meta.size(); ++i)
      if (s.set.meta[i].style == "line") s.set.pictures[i] = resize(resize(*flat.at(s.set.meta[i].caption), 32, 32), 64, 64);
  const auto alike = eval_generate(painter(sets, own), sets, small());
  for (const char* g : {"seen", "held-out pairs"}) {
    EXPECT_EQ(group(alike, g).find("within_10")->elsewhere, 1) << g;
    EXPECT_GT(group(alike, g).find("to_source")->elsewhere, 0) << g;
    EXPECT_LT(group(alike, g).find("to_source")->elsewhere, 0.3 * group(alike, g).find("to_source")->chance) << g;
  }
  for (const auto& p : alike.prompts)
    if (p.elsewhere >= 0) {
      const auto &a = alike.pictures[size_t(p.elsewhere)], &b = alike.pictures[size_t(p.source)];
      EXPECT_EQ(a.concept_words, b.concept_words);
      EXPECT_NE(a.look, b.look);
      EXPECT_EQ(a.of->split, "train");
    }
}

TEST(EvalGenerate, BlurIsNearAndStrangersAreAtChance) {
  const auto sets = two_styles();
  const auto blurred = eval_generate(
      painter(sets, [](auto&, uint64_t, const Image* own) { return resize(resize(*own, 21, 21), 64, 64); }), sets, small());
  EXPECT_GE(value(blurred, "seen", "within_10"), 0.95);
  EXPECT_GT(value(blurred, "seen", "kernel_distance"), group(blurred, "seen").find("kernel_distance")->truth);
  GenerateEvalOptions o = small();
  o.n = 48;
  const auto strangers =
      eval_generate(painter(sets, [](auto&, uint64_t seed, auto) { return scene(90'000 + seed % 100'000); }), sets, o);
  const auto& m = *group(strangers, "seen").find("within_10");
  const double sigma = std::sqrt(m.chance * (1 - m.chance) / 96);  // of both languages together
  EXPECT_NEAR((m.side[0].value + m.side[1].value) / 2, m.chance, 4 * sigma);
  EXPECT_LT(value(strangers, "seen", "near_copies"), 0.2);
  const auto& apart = *group(strangers, "seen").find("diversity");
  EXPECT_NEAR(apart.side[0].value, apart.truth, 0.4 * apart.truth) << "strangers are as far apart as true pictures";
}

TEST(EvalGenerate, HazeIsSeen) {
  const auto sets = two_styles();
  const auto hazy = [](auto&, uint64_t, const Image* own) {
    Image image = *own;
    for (size_t i = 3; i < image.rgba.size(); i += 4)
      if (image.rgba[i] == 0) image.rgba[i] = 7;
    return image;
  };
  const auto e = eval_generate(painter(sets, hazy), sets, small());
  const auto& stray = *group(e, "seen").find("stray_alpha");
  double clear = 0;  // share of the true pictures that the haze covers, their outlines' neighbourhood included
  for (int64_t p : group(e, "seen").prompts) {
    const Image& image = e.pictures[size_t(e.prompts[size_t(p)].source)].image();
    for (size_t i = 3; i < image.rgba.size(); i += 4) clear += image.rgba[i] == 0;
  }
  clear /= 64.0 * 64 * double(group(e, "seen").prompts.size());
  ASSERT_GT(clear, 0.05) << "scenes on a clear ground are among the prompts";
  EXPECT_GT(stray.side[0].value, stray.truth + clear / 2);
  EXPECT_LE(stray.side[0].value, stray.truth + clear);
  EXPECT_GT(value(e, "seen", "edge_width"), group(e, "seen").find("edge_width")->truth);
}

TEST(EvalGenerate, KoreanGapIsPaired) {
  auto sets = two_styles();
  sets[0].set.meta[0].caption_ko.clear();
  const auto e = eval_generate(painter(sets,
                                       [](const std::string& prompt, uint64_t, const Image* own) {
                                         return prompt.starts_with("물건") ? Image(64, 64) : *own;  // draws nothing for Korean
                                       }),
                               sets, [] {
                                 auto o = small();
                                 o.n = 45;
                                 return o;
                               }());
  const auto& m = *group(e, "seen").find("within_1");
  EXPECT_EQ(m.side[0].n, 45);
  EXPECT_GE(m.side[1].n, 44);
  EXPECT_EQ(m.paired, m.side[1].n);
  EXPECT_LT(m.gap_interval.high, -0.5);
  EXPECT_LE(m.gap_interval.low, m.gap);
  EXPECT_GE(m.gap_interval.high, m.gap);
  for (const char* worse : {"to_source", "kernel_distance", "frechet_distance"}) {
    const auto& d = *group(e, "seen").find(worse);
    EXPECT_GT(d.gap_interval.low, 0) << worse;
    EXPECT_LE(d.gap_interval.low, d.gap) << worse;
    EXPECT_GE(d.gap_interval.high, d.gap) << worse;
  }
  EXPECT_LT(group(e, "seen").find("recall")->gap_interval.high, 0);
}

TEST(EvalGenerate, SameSeedSameFigures) {
  const auto sets = two_styles();
  const auto paint = painter(sets, [](auto&, uint64_t seed, auto) { return scene(seed % 1000); });
  EXPECT_EQ(eval_generate(paint, sets, small()).table(), eval_generate(paint, sets, small()).table());
  GenerateEvalOptions one = small();
  one.batch = 1;
  EXPECT_EQ(eval_generate(paint, sets, one).table(), eval_generate(paint, sets, small()).table());
}

TEST(EvalGenerate, ThePageHoldsAllAndRunsNothing) {
  auto sets = two_styles();
  for (auto& m : sets[0].set.meta) m.caption = "<script>alert(\"1\")</script> & '" + m.caption;
  const auto e = eval_generate(painter(sets, [](auto&, uint64_t, const Image* own) { return *own; }), sets, small());
  const std::string page = generate_page(e, nullptr, {"<b>title</b>", {{"weights", "\"x\""}}}, 12);
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(page.find("<b>title"), std::string::npos);
  EXPECT_NE(page.find("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;a thing"), std::string::npos);
  EXPECT_EQ(page.find("http://"), std::string::npos);
  EXPECT_EQ(page.find("https://"), std::string::npos);
  EXPECT_EQ(page.find(">nan"), std::string::npos);
  for (size_t at = page.find("src=\""); at != std::string::npos; at = page.find("src=\"", at + 1))
    EXPECT_EQ(page.compare(at, 27, "src=\"data:image/png;base64,"), 0);
  EXPECT_EQ(page, generate_page(e, nullptr, {"<b>title</b>", {{"weights", "\"x\""}}}, 12));
}

}  // namespace
}  // namespace duet
