// The evaluations, with painters and readers that are known: a perfect one, a wrong one, one in between.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "infer/eval_icons.h"
#include "infer/eval_read.h"
#include "infer/eval_scenes.h"
#include "kernels/error.h"
#include "kernels/random.h"
#include "vision/draw.h"
#include "vision/scenetext.h"

namespace duet {
namespace {

// ---- figures ----

TEST(EvalStats, RankCountsTiesAgainst) {
  const std::vector<float> s{0.1f, 0.9f, 0.5f, 0.5f, -1};
  EXPECT_EQ(rank_of(s, std::vector<int64_t>{1}), 1);
  EXPECT_EQ(rank_of(s, std::vector<int64_t>{2}), 3);
  EXPECT_EQ(rank_of(s, std::vector<int64_t>{2, 3}), 2);  // right answers do not stand in each other's way
  EXPECT_EQ(rank_of(s, std::vector<int64_t>{4, 0}), 4);
  EXPECT_EQ(rank_of(std::vector<float>(7, 0.0f), std::vector<int64_t>{3}), 7);  // a model that says nothing is last
  EXPECT_EQ(rank_of(std::vector<float>{NAN, 1}, std::vector<int64_t>{1}), 2);
}

TEST(EvalStats, ChanceByHand) {
  EXPECT_NEAR(chance_within(10, 100), 0.1, 1e-12);
  EXPECT_NEAR(chance_within(1, 4, 2), 0.5, 1e-12);
  EXPECT_NEAR(chance_within(2, 4, 2), 1 - 2.0 / 4 * 1.0 / 3, 1e-12);
  EXPECT_NEAR(chance_within(10, 5), 1, 1e-12);
}

TEST(EvalStats, BootstrapCoversTheMeanAtItsWidth) {
  std::vector<double> v;
  for (int i = 0; i < 400; ++i) v.push_back(i % 4 == 0);
  const Interval i = bootstrap(v, 3);
  const double sigma = std::sqrt(0.25 * 0.75 / 400);  // of the mean
  EXPECT_NEAR(i.low, 0.25 - 1.96 * sigma, 0.3 * sigma);
  EXPECT_NEAR(i.high, 0.25 + 1.96 * sigma, 0.3 * sigma);
  EXPECT_EQ(bootstrap(v, 3).low, i.low);
  EXPECT_EQ(bootstrap(std::vector<double>(9, 1.0), 1).low, 1);
  EXPECT_EQ(bootstrap({}, 1).high, 0);
  EXPECT_EQ(share_interval(v, 3).low, i.low);
}

// 0 of n: the share at which that happens once in forty times
TEST(EvalStats, ASharesIntervalHasAWidthWhereAllAreAlike) {
  for (const int n : {1, 9, 100}) {
    const std::vector<double> none(size_t(n), 0.0), all(size_t(n), 1.0);
    const Interval low = share_interval(none, 1), high = share_interval(all, 1);
    EXPECT_EQ(low.low, 0);
    EXPECT_NEAR(std::pow(1 - low.high, n), 0.025, 1e-12);
    EXPECT_EQ(high.high, 1);
    EXPECT_NEAR(std::pow(high.low, n), 0.025, 1e-12);
  }
  EXPECT_EQ(share_interval({}, 1).high, 0);
}

TEST(EvalStats, SharesOfRanks) {
  const auto s = summarize_ranks(std::vector<int64_t>{1, 3, 7, 40}, std::vector<int64_t>{1, 1, 1, 2}, 50, 1);
  EXPECT_DOUBLE_EQ(s.share[0], 0.25);
  EXPECT_DOUBLE_EQ(s.share[1], 0.5);
  EXPECT_DOUBLE_EQ(s.share[2], 0.75);
  EXPECT_DOUBLE_EQ(s.median_rank, 5);
  EXPECT_NEAR(s.chance[0], (3 * 0.02 + 0.04) / 4, 1e-12);
}

TEST(EvalStats, BalancedAccuracyIsTheMeanOverClasses) {
  const std::vector<int> truth{0, 0, 0, 0, 0, 0, 1, 1, 2}, guess{0, 0, 0, 0, 0, 0, 0, 1, 0};
  const auto s = summarize_classes(truth, guess, 4);
  EXPECT_DOUBLE_EQ(s.accuracy, 7.0 / 9);
  EXPECT_DOUBLE_EQ(s.balanced, (1 + 0.5 + 0) / 3);
  EXPECT_DOUBLE_EQ(s.majority, 6.0 / 9);
  EXPECT_DOUBLE_EQ(s.uniform, 0.25);
  EXPECT_DOUBLE_EQ(s.balanced_chance, 1.0 / 3);
  EXPECT_EQ(s.present, 3);
  EXPECT_EQ(s.right[1], 1);
}

// Ten copies of each value: as wide as without the copies, and sqrt(10) times as wide as if they were facts of their own.
TEST(EvalStats, UnitsAreDrawnWhole) {
  std::vector<double> values, once;
  std::vector<std::string> names;
  for (int i = 0; i < 50; ++i) {
    once.push_back(uniform(9, uint64_t(i)));
    for (int k = 0; k < 10; ++k) values.push_back(once.back()), names.push_back(join("p", i));
  }
  const auto width = [](const Interval& i) { return i.high - i.low; };
  const double whole = width(bootstrap_units(values, units_of(names), 1));
  EXPECT_NEAR(whole / width(bootstrap(once, 1)), 1, 0.1);
  EXPECT_NEAR(whole / width(bootstrap(values, 1)), std::sqrt(10.0), 0.4);
  EXPECT_FALSE(bootstrap_units(values, std::vector<int64_t>(values.size(), 7), 1).known()) << "one unit tells nothing";
  EXPECT_EQ(units_of(std::vector<std::string>{"a", "", "a", ""}), (std::vector<int64_t>{0, 1, 0, 3}));
}

TEST(EvalStats, SampleIsWithoutReplacementAndEven) {
  const auto all = sample(50, 99, 4);
  EXPECT_EQ(std::set<int64_t>(all.begin(), all.end()).size(), 50u);
  std::vector<int> seen(20);
  for (uint64_t s = 0; s < 2000; ++s)
    for (int64_t i : sample(20, 5, s)) seen[size_t(i)]++;
  for (int n : seen) EXPECT_NEAR(n, 500, 100);
}

// ---- words ----

TEST(EvalText, Words) {
  EXPECT_EQ(caption_words("A Dog's  ball, red-ish (new)!"), (WordList{"a", "dogs", "ball", "red", "ish", "new"}));
  EXPECT_EQ(caption_words("빨간 원이, 《집》 위에。"), (WordList{"빨간", "원이", "집", "위에"}));
  EXPECT_EQ(caption_words(" ,.! "), WordList{});
  EXPECT_EQ(caption_words("\xff\x41").size(), 1u);  // broken bytes are carried along
  EXPECT_EQ(caption_words("É1"), (WordList{"É1"}));
}

WordList words(const char* s) { return caption_words(s); }

TEST(EvalText, BleuByHand) {
  // p1 = 5/6 ("the" twice at most), p2 = 3/5, p3 = 1/4, lengths equal
  const std::vector<CaptionPair> one{{words("the cat is on the mat"), {words("the cat sat on the mat")}}};
  EXPECT_NEAR(bleu(one, 1), 5.0 / 6, 1e-12);
  EXPECT_NEAR(bleu(one, 3), std::cbrt(5.0 / 6 * 3 / 5 * 1 / 4), 1e-12);
  EXPECT_EQ(bleu(one, 4), 0);
  // too short: 3 words said where the nearer reference has 4: exp(1 - 4/3)
  const std::vector<CaptionPair> brief{
      {words("a red star"), {words("a red star here"), words("a red star on a very big house")}}};
  EXPECT_NEAR(bleu(brief, 2), std::exp(1 - 4.0 / 3), 1e-12);
  // clipping: "the" stands at most twice in a reference
  EXPECT_NEAR(bleu({{words("the the the the"), {words("the cat the mat")}}}, 1), 0.5, 1e-12);
  EXPECT_NEAR(bleu({{words("a b c d e"), {words("a b c d e")}}}, 4), 1, 1e-12);
}

TEST(EvalText, RougeByHand) {
  // longest common subsequence "police the gunman" of 4 and 4 words: F = 3/4 for any beta
  EXPECT_NEAR(rouge_l({{words("police kill the gunman"), {words("police killed the gunman")}}}), 0.75, 1e-12);
  // P = 1, R = 1/2: (1 + 1.44) * 0.5 / (0.5 + 1.44)
  EXPECT_NEAR(rouge_l({{words("a b"), {words("a x b y")}}}), 2.44 * 0.5 / 1.94, 1e-12);
  EXPECT_EQ(rouge_l({{words(""), {words("a")}}}), 0);
}

TEST(EvalText, CiderByHand) {
  // Two pictures, each said exactly: cosine 1 wherever an n-gram exists. "red star" has n = 1, 2 only: 10 * 2/4.
  EXPECT_NEAR(cider_d({{words("red star"), {words("red star")}}, {words("blue bird"), {words("blue bird")}}}), 5, 1e-12);
  // "a" is in both pictures' references: idf 0. Unigrams b c against b d and bigrams ab bc against ab bd: cosine 1/2 each.
  EXPECT_NEAR(cider_d({{words("a b c"), {words("a b d")}}, {words("x"), {words("a e")}}}), 10 * (0.5 + 0.5) / 4 / 2, 1e-12);
  // Unigrams b against b c d: cosine 1/sqrt 3; lengths (in bigrams) 0 and 2: exp(-2^2 / (2 * 6^2)).
  EXPECT_NEAR(cider_d({{words("b"), {words("b c d")}}, {words("x"), {words("e")}}}),
              10 / std::sqrt(3.0) / 4 / 2 * std::exp(-4.0 / 72), 1e-12);
  // Clipped as CIDEr-D does: b b against b: min(2, 1) * 1 / (2 * 1) = 1/2; lengths 1 and 0.
  EXPECT_NEAR(cider_d({{words("b b"), {words("b")}}, {words("x"), {words("e")}}}), 10 * 0.5 / 4 / 2 * std::exp(-1.0 / 72),
              1e-12);
  // one picture alone: every idf is log 1 = 0
  EXPECT_EQ(cider_d({{words("a b"), {words("a b")}}}), 0);
}

TEST(EvalText, NamesTheConcept) {
  EXPECT_TRUE(names(words("a big red apple, emoji"), words("a red apple"), false));
  EXPECT_FALSE(names(words("a red big apple"), words("a red apple"), false));
  EXPECT_FALSE(names(words("pineapple apples"), words("apple"), false));
  EXPECT_TRUE(names(words("빨간 사과가 있다"), words("빨간 사과"), true));
  EXPECT_FALSE(names(words("풋사과"), words("사과"), true));
  EXPECT_FALSE(names(words("apple"), words(""), false));
  EXPECT_EQ(without_style("a cat, photo"), "a cat");
  EXPECT_EQ(without_style("a cat photo"), "a cat photo");
}

// ---- scenes ----

SceneEvalOptions few() {
  SceneEvalOptions o;
  o.n = 30, o.seed = 5, o.batch = 7, o.show = 2;
  return o;
}

// Draws what each prompt of the evaluation has in mind, or the next prompt's; says what a scene shows, or nothing.
EvalModel scene_model(bool draws_right, bool says_right) {
  auto pictures = std::make_shared<std::map<std::string, Image>>();
  auto words = std::make_shared<std::map<std::pair<std::vector<uint8_t>, bool>, std::string>>();
  for (uint64_t i = 0; i < 30; ++i)
    for (SceneSplit split : {SceneSplit::seen, SceneSplit::heldout})
      for (Lang lang : {Lang::en, Lang::ko}) {
        const auto p = random_prompt(mix(5, i), split, lang);
        const Image own = render(p.scene, 64);
        (*pictures)[p.text] = draws_right ? own : render(random_prompt(mix(5, i + 1000), split, lang).scene, 64);
        Said all = p.said;
        for (size_t t = 0; t < all.things.size(); ++t) all.things[t] = {true, p.scene.things[t].size != Size::medium, true};
        (*words)[{own.rgba, lang == Lang::ko}] = tell(stated(p.scene, all), lang, i);
      }
  EvalModel m;
  m.draw = [=](std::span<const std::string> prompts, std::span<const uint64_t> seeds) {
    EXPECT_EQ(prompts.size(), seeds.size());
    std::vector<Image> out;
    for (const auto& p : prompts) out.push_back(pictures->at(p));
    return out;
  };
  m.caption = [=](std::span<const Image> images, bool korean) {
    std::vector<std::string> out;
    for (const auto& i : images) out.push_back(says_right ? words->at({i.rgba, korean}) : "");
    return out;
  };
  return m;
}

TEST(EvalScenes, PerfectModel) {
  const SceneEval e = eval_scenes(scene_model(true, true), few());
  for (const auto& text : {e.drawn, e.captioned}) {
    const auto j = nlohmann::json::parse(text);
    ASSERT_EQ(j.size(), 4u);
    for (const char* group : {"seen en", "seen ko", "unseen en", "unseen ko"}) {
      EXPECT_EQ(j[group]["whole"]["total"], 30);
      EXPECT_GE(j[group]["whole"]["right"].get<int>(), 29) << group;
      EXPECT_GE(j[group]["shape"]["percent"].get<double>(), 98) << group;
    }
  }
  EXPECT_EQ(e.cells.size(), 8u);
  EXPECT_NEAR(e.drawn_gap[0].points, 0, 4);
  ASSERT_EQ(e.judged.size(), 2u * 4 * 30);
  const auto drawn = nlohmann::json::parse(e.drawn);
  std::map<std::string, int> whole, on_grey;
  for (const auto& s : e.judged)
    if (s.drawn) whole[s.group] += s.wrong.empty(), on_grey[s.group] += s.grey;
  for (const auto& [group, right] : whole) {
    EXPECT_EQ(right, drawn[group]["whole"]["right"]) << group;
    EXPECT_EQ(on_grey[group], drawn[group]["whole_on_grey"]["total"]) << group;
  }
}

TEST(EvalScenes, WrongPicturesAndSilence) {
  const SceneEval e = eval_scenes(scene_model(false, false), few());
  const auto drawn = nlohmann::json::parse(e.drawn), said = nlohmann::json::parse(e.captioned);
  for (const char* group : {"seen en", "seen ko", "unseen en", "unseen ko"}) {
    EXPECT_LE(drawn[group]["whole"]["right"].get<int>(), 2) << group;
    EXPECT_LT(drawn[group]["color"]["percent"].get<double>(), 60) << group;
    EXPECT_EQ(said[group]["whole"]["right"], 0) << group;
    EXPECT_EQ(said[group]["shape"]["right"], 0) << group;
    EXPECT_GE(said[group]["shape"]["total"].get<int>(), 30) << group;
  }
  EXPECT_NE(e.cells[0].second.find("wrong:"), std::string::npos);
}

// Right in English, wrong in Korean: the gap says so.
TEST(EvalScenes, GapBetweenLanguages) {
  EvalModel right = scene_model(true, true);
  const EvalModel wrong = scene_model(false, false);
  EvalModel m = right;
  m.caption = [=](std::span<const Image> i, bool korean) { return (korean ? wrong : right).caption(i, korean); };
  const SceneEval e = eval_scenes(m, few());
  EXPECT_LT(e.captioned_gap[0].points, -90);
  EXPECT_LT(e.captioned_gap[1].interval.high, -80);
  EXPECT_NE(e.table.find("Korean minus English"), std::string::npos);
}

// ---- icons, retrieval, classes, captions: a small set of scenes with names ----

EvalSet small_set(int n) {
  EvalSet set;
  set.name = "small";
  for (int i = 0; i < n; ++i) {
    set.keys.push_back("k" + std::to_string(i));
    set.pictures.push_back(render(random_scene(uint64_t(i) + 1, SceneSplit::train), 64));
    Meta m;
    m.caption = "thing " + std::to_string(i), m.style = "icon";
    if (i % 5) m.caption_ko = "물건 " + std::to_string(i);
    m.group = i % 4 == 0 ? "Big_Things/one-two" : "plants/trees";
    set.meta.push_back(m);
  }
  return set;
}

int number_in(const std::string& s) { return std::stoi(s.substr(s.find_first_of("0123456789"))); }

EvalModel icon_model(const EvalSet& set, int off) {
  EvalModel m;
  m.draw = [&set, off](std::span<const std::string> prompts, std::span<const uint64_t>) {
    std::vector<Image> out;
    for (const auto& p : prompts) out.push_back(set.pictures[size_t(number_in(p) + off) % set.pictures.size()]);
    return out;
  };
  return m;
}

TEST(EvalIcons, OwnSourceFirstOrLost) {
  const EvalSet set = small_set(150);
  IconEvalOptions o;
  o.n = 60, o.batch = 7;
  const std::vector<EvalSet> sets{set};
  const IconEval right = eval_icons(icon_model(set, 0), sets, o);
  ASSERT_EQ(right.drawings.size(), 60u);
  const auto& all = right.rows.back().ranks;
  EXPECT_EQ(right.rows.back().name, "all");
  EXPECT_DOUBLE_EQ(all.share[0], 1);
  EXPECT_NEAR(all.chance[2], 10.0 / 150, 1e-12);
  EXPECT_EQ(right.median_to_source, 0);
  EXPECT_DOUBLE_EQ(right.near_copies, 1);
  int korean = 0;
  for (const auto& d : right.drawings) {
    korean += d.korean;
    EXPECT_TRUE(d.prompt.ends_with(", icon")) << d.prompt;
    EXPECT_EQ(d.rank, 1);
  }
  EXPECT_GE(korean, 18);
  EXPECT_LE(korean, 30);
  const IconEval wrong = eval_icons(icon_model(set, 1), sets, o);
  EXPECT_LT(wrong.rows.back().ranks.share[2], 0.25);
  EXPECT_GT(wrong.median_to_source, 0.05);
  EXPECT_EQ(wrong.median_to_nearest, 0);  // a copy, though of another picture
}

TEST(EvalIcons, SheetShowsPairs) {
  const std::vector<EvalSet> sets{small_set(30)};
  IconEvalOptions o;
  o.n = 20;
  const IconEval e = eval_icons(icon_model(sets[0], 0), sets, o);
  const Image sheet = icon_sheet(e, sets, 12, 1), again = icon_sheet(e, sets, 12, 1);
  EXPECT_EQ(sheet.rgba, again.rgba);
  EXPECT_GT(sheet.width, 8 * 256);
  EXPECT_GT(sheet.height, 2 * 128);
}

// Unit rows that are one where picture and words have the same number, shifted by `off` for the words.
EvalModel reading_model(const EvalSet& set, int off) {
  const size_t n = set.pictures.size();
  const auto unit = [n](size_t at) {
    std::vector<float> row(n);
    row[at % n] = 1;
    return row;
  };
  EvalModel m;
  m.embed_pictures = [&set, unit](std::span<const Image> images) {
    UnitRows out;
    for (const auto& i : images)
      for (size_t k = 0; k < set.pictures.size(); ++k)
        if (set.pictures[k].rgba == i.rgba) {
          out.push_back(unit(k));
          break;
        }
    return out;
  };
  m.embed_texts = [unit, off](std::span<const std::string> texts) {
    UnitRows out;
    for (const auto& t : texts) out.push_back(unit(size_t(number_in(t) + off)));
    return out;
  };
  return m;
}

TEST(EvalRetrieval, PerfectAndShifted) {
  const std::vector<EvalSet> sets{small_set(40)};
  const auto right = eval_retrieval(reading_model(sets[0], 0), sets, {}, 1);
  ASSERT_EQ(right.rows.size(), 4u);               // en, ko; both ways
  EXPECT_EQ(right.rows[2].ranks.candidates, 32);  // every fifth has no Korean
  for (const auto& r : right.rows) {
    EXPECT_DOUBLE_EQ(r.ranks.share[0], 1);
    EXPECT_NEAR(r.ranks.chance[2], 10.0 / double(r.ranks.candidates), 1e-12);
    EXPECT_NEAR(std::pow(r.ranks.interval[0].low, double(r.ranks.n)), 0.025, 1e-12);
  }
  const auto wrong = eval_retrieval(reading_model(sets[0], 1), sets, {}, 1);
  for (const auto& r : wrong.rows) EXPECT_EQ(r.ranks.share[2], 0);  // the right one ties with all others: last
}

TEST(EvalRetrieval, EqualCaptionsAreAllRight) {
  std::vector<EvalSet> sets{small_set(12)};
  sets[0].meta[3].caption = sets[0].meta[2].caption;
  const auto e = eval_retrieval(reading_model(sets[0], 0), sets, {}, 1);
  EXPECT_EQ(e.rows[0].ranks.n, 11);  // different texts
  EXPECT_EQ(e.rows[0].ranks.candidates, 12);
  EXPECT_DOUBLE_EQ(e.rows[0].ranks.share[0], 1);
  EXPECT_NEAR(e.rows[0].ranks.chance[0], (10.0 / 12 + 2.0 / 12) / 11, 1e-12);
  EXPECT_EQ(e.rows[1].ranks.candidates, 11);
}

TEST(EvalRetrieval, OthersAreInTheWay) {
  const std::vector<EvalSet> sets{small_set(12)};
  std::vector<EvalSet> others{small_set(12)};  // the same pictures: each ties with the right one, and a tie counts as before it
  for (auto& m : others[0].meta) m.caption += " again", m.caption_ko += m.caption_ko.empty() ? "" : " 또";
  others[0].meta[0] = sets[0].meta[0];  // captioned like a query: not in the way
  const auto e = eval_retrieval(reading_model(sets[0], 0), sets, others, 1);
  EXPECT_EQ(e.rows[0].ranks.candidates, 12 + 11);
  EXPECT_DOUBLE_EQ(e.rows[0].ranks.share[0], 1.0 / 12);
  EXPECT_DOUBLE_EQ(e.rows[0].ranks.share[1], 1);
  EXPECT_EQ(e.rows[1].ranks.candidates, 12);  // texts are searched among the queries' own
  EXPECT_DOUBLE_EQ(e.rows[1].ranks.share[0], 1);
}

TEST(EvalRetrieval, TogetherAddsASet) {
  const std::vector<EvalSet> sets{small_set(12), small_set(12)};
  const auto e = eval_retrieval(reading_model(sets[0], 0), sets, {}, 1);
  ASSERT_EQ(e.rows.size(), 12u);
  EXPECT_EQ(e.rows.back().set, "together");
  EXPECT_EQ(e.rows[8].ranks.candidates, 24);
}

TEST(EvalClassify, CategoriesAndChance) {
  EXPECT_EQ(readable_category("Animals & Nature/animal-mammal", false), "animals & nature");
  EXPECT_EQ(readable_category("Animals & Nature/animal-mammal", true), "animal mammal");
  EXPECT_EQ(readable_category("town", true), "town");
  EXPECT_EQ(readable_category("people/body_parts", true), "body parts");
  const EvalSet set = small_set(40);
  std::vector<Meta> more(1);
  more[0].group = "space/moon";
  const auto labels = categories({&set.meta, &more}, false);
  ASSERT_EQ(labels, (std::vector<std::string>{"big things", "plants", "space"}));
  const auto always = [](size_t label) {
    return [label](std::span<const Image> images) {
      std::vector<double> p(3, 0.1);
      p[label] = 0.8;
      return std::vector<std::vector<double>>(images.size(), p);
    };
  };
  const auto e = eval_classify(always(1), set, labels, false, 1);
  EXPECT_DOUBLE_EQ(e.summary.accuracy, 0.75);
  EXPECT_DOUBLE_EQ(e.summary.majority, 0.75);
  EXPECT_DOUBLE_EQ(e.summary.balanced, 0.5);
  ASSERT_EQ(e.picture.size(), 40u);
  EXPECT_EQ(e.picture[7], 7);
  EXPECT_EQ(e.probabilities[7], (std::vector<double>{0.1, 0.8, 0.1}));
  EXPECT_EQ(e.table().find("fewer than"), std::string::npos);
  EXPECT_NE(eval_classify(always(1), small_set(16), labels, false, 1).table().find("classes with fewer than 10 pictures: 1; "),
            std::string::npos)
      << "4 of 16";
  EXPECT_DOUBLE_EQ(eval_classify(always(2), set, labels, false, 1).summary.accuracy, 0);
  size_t next = 0;
  const auto oracle = [&](std::span<const Image> images) {
    std::vector<std::vector<double>> out;
    for (size_t i = 0; i < images.size(); ++i, ++next)
      out.push_back(next % 4 ? std::vector{0.0, 1.0, 0.0} : std::vector{1.0, 0.0, 0.0});
    return out;
  };
  EXPECT_DOUBLE_EQ(eval_classify(oracle, set, labels, false, 1).summary.balanced, 1);
  EvalSet tens = set;
  for (size_t i = 10; i < 40; ++i) tens.meta[i].unit = join("patient", i / 10);
  const ClassifyEval alone = eval_classify(always(1), set, labels, false, 1),
                     as_one = eval_classify(always(1), tens, labels, false, 1);
  EXPECT_EQ(alone.measures.units, 40);
  EXPECT_EQ(as_one.measures.units, 10 + 3) << "ten that name none, each for itself";
  EXPECT_DOUBLE_EQ(as_one.summary.accuracy, 0.75);
  EXPECT_NE(as_one.measures.accuracy_interval.low, alone.measures.accuracy_interval.low);
  EXPECT_NE(as_one.table().find("intervals resample 13 units"), std::string::npos) << as_one.table();
  EXPECT_EQ(alone.table().find("units"), std::string::npos);
  EXPECT_NE(alone.table().find("classes without a picture here: 1"), std::string::npos);
  EvalSet none = small_set(3);
  for (auto& m : none.meta) m.group = "";
  EXPECT_THROW(eval_classify(always(0), none, labels, false, 1), Error);
}

TEST(EvalCaption, SharesAndFiles) {
  EvalSet set = small_set(4);
  set.meta[0].caption = "A fox.", set.meta[0].captions = {"a red fox"};
  set.meta[1].caption = "moon", set.meta[2].caption = "a big sun", set.meta[3].caption = "house";
  EvalModel m;
  m.captions = [](std::span<const Image> images, bool) {
    EXPECT_EQ(images.size(), 4u);
    return std::vector<std::vector<std::string>>{
        {"a red fox, emoji"}, {"full moon, photo", "a star"}, {"a small sun", "a big sun, emoji"}, {"house", "hut"}};
  };
  const CaptionEval e = eval_caption(m, set, false, 1);
  EXPECT_DOUBLE_EQ(e.exact, 0.5);
  EXPECT_DOUBLE_EQ(e.named, 0.75);
  EXPECT_DOUBLE_EQ(e.named_any, 1);
  EXPECT_EQ(coco_results(e, set).find("big sun"), std::string::npos) << "the best caption alone is scored";
  const auto results = nlohmann::json::parse(coco_results(e, set)), refs = nlohmann::json::parse(coco_references(e, set));
  EXPECT_EQ(results.size(), 4u);
  EXPECT_EQ(results[0]["image_id"], 0);
  EXPECT_EQ(results[0]["caption"], "a red fox");
  EXPECT_EQ(refs["annotations"].size(), 5u);
  EXPECT_EQ(refs["annotations"][0]["caption"], "A fox.") << "as it was written";
  EXPECT_EQ(refs["images"][3]["id"], 3);
  const auto ids = [&] {
    std::vector<int64_t> out;
    for (const auto& r : nlohmann::json::parse(coco_results(e, set))) out.push_back(r["image_id"]);
    EXPECT_EQ(nlohmann::json::parse(coco_references(e, set))["annotations"][4]["image_id"], out[3]);
    return out;
  };
  for (int i = 0; i < 4; ++i) set.meta[size_t(i)].coco_id = 391895 + i;
  EXPECT_EQ(ids(), (std::vector<int64_t>{391895, 391896, 391897, 391898}));
  set.meta[1].coco_id = 391895;
  EXPECT_EQ(ids(), (std::vector<int64_t>{0, 1, 2, 3})) << "of two COCO files";
  // Korean: the first picture (0 % 5) has none and is passed over
  EvalModel korean;
  korean.captions = [](std::span<const Image> images, bool is) {
    EXPECT_TRUE(is);
    return std::vector<std::vector<std::string>>(images.size(), {"물건 2"});
  };
  const CaptionEval k = eval_caption(korean, set, true, 1);
  EXPECT_EQ(k.said.size(), 3u);
  EXPECT_DOUBLE_EQ(k.exact, 1.0 / 3);
  EXPECT_DOUBLE_EQ(k.named_any, 1.0 / 3);
  EvalSet english = set;
  for (Meta& meta : english.meta) meta.caption_ko.clear(), meta.captions_ko.clear();
  try {
    eval_caption(korean, english, true, 1);
    ADD_FAILURE() << "nothing to compare with";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("there are some in 'en': --lang en"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace duet
