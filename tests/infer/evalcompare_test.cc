// Paired differences of two results, by hand; what cannot be compared is refused by name.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "infer/eval_compare.h"
#include "kernels/error.h"

namespace duet {
namespace {

using Json = nlohmann::ordered_json;

Json drawing(const std::string& key, const char* lang, int rank, double to_source) {
  return {{"set", "s"}, {"key", key}, {"lang", lang}, {"rank", rank}, {"to_source", to_source}, {"to_nearest", 0.5}};
}

EvalResult result(const char* name, Json j) { return {name, j.dump()}; }

const Comparison::Row& row(const Comparison& c, const std::string& group, const std::string& measure) {
  for (const auto& r : c.rows)
    if (r.group == group && r.measure == measure) return r;
  refuse("no row ", group, ": ", measure);
}

std::string refusal(const EvalResult& a, const EvalResult& b) {
  try {
    compare_evals(a, b, 1);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(EvalCompare, DrawingsArePairedByTheirPictureAndLanguage) {
  Json a = {{"eval", "icons"}, {"weights", "one"}, {"steps", 24}, {"seed", 1}, {"drawings", Json::array()}}, b = a;
  b["weights"] = "two", b["steps"] = 4;
  for (int i = 0; i < 40; ++i) {
    const std::string key = join("k", i);
    a["drawings"].push_back(drawing(key, "en", i < 20 ? 5 : 100, 0.30 + 0.01 * i));
    // another order; a tenth nearer each, and a quarter of those lost before now found
    b["drawings"].insert(b["drawings"].begin(), drawing(key, "en", i < 25 ? 10 : 51, 0.20 + 0.01 * i));
  }
  a["drawings"].push_back(drawing("k0", "ko", 1, 0.1)), b["drawings"].push_back(drawing("k1", "ko", 1, 0.1));
  const Comparison c = compare_evals(result("a", a), result("b", b), 1);
  EXPECT_EQ(c.eval, "icons");
  EXPECT_EQ(c.alone[0], 1);
  EXPECT_EQ(c.alone[1], 1);
  const auto& found = row(c, "en", "own picture within the 10 nearest");
  EXPECT_EQ(found.n, 40);
  EXPECT_DOUBLE_EQ(found.one, 0.5);
  EXPECT_DOUBLE_EQ(found.other, 0.625);
  EXPECT_LE(found.difference.low, 0.125);
  EXPECT_GE(found.difference.high, 0.125);
  EXPECT_GT(found.difference.low, 0) << "five of forty, none the other way";
  const auto& apart = row(c, "en", "distance to own picture");
  EXPECT_NEAR(apart.other - apart.one, -0.1, 1e-12);
  EXPECT_NEAR(apart.difference.low, -0.1, 1e-12) << "every pair differs by as much: nothing is uncertain, though the means are";
  EXPECT_NEAR(apart.difference.high, -0.1, 1e-12);
  EXPECT_EQ(c.settings, (std::vector<std::string>{"weights: \"one\", \"two\"", "steps: 24, 4"}));
  EXPECT_NE(c.table().find("+12.5 ("), std::string::npos) << c.table();
  EXPECT_NE(c.table().find("left out, since only the one, only the other has them: 1, 1"), std::string::npos);
  EXPECT_EQ(Json::parse(c.to_json())["rows"].size(), c.rows.size());
}

TEST(EvalCompare, TheOtherWayRoundTheSignsTurn) {
  Json a = {{"eval", "icons"}}, b = a;
  for (int i = 0; i < 30; ++i) {
    a["drawings"].push_back(drawing(join("k", i), "en", 1 + i, 0.1 * (i % 7)));
    b["drawings"].push_back(drawing(join("k", i), "en", 30 - i / 2, 0.1 * (i % 5)));
  }
  const Comparison there = compare_evals(result("a", a), result("b", b), 3),
                   back = compare_evals(result("b", b), result("a", a), 3);
  ASSERT_EQ(there.rows.size(), back.rows.size());
  for (size_t i = 0; i < there.rows.size(); ++i) {
    EXPECT_DOUBLE_EQ(there.rows[i].one, back.rows[i].other);
    EXPECT_NEAR(there.rows[i].difference.low, -back.rows[i].difference.high, 0.02) << there.rows[i].measure;
  }
}

TEST(EvalCompare, GroupsOfGenerate) {
  Json a = {{"eval", "generate"}};
  a["groups"]["seen"]["drawings"] = {drawing("k", "en", 3, 0.2), drawing("k", "ko", 60, 0.4)};
  a["groups"]["held-out pairs"]["drawings"] = {drawing("k", "en", 11, 0.3)};
  const Comparison c = compare_evals(result("a", a), result("a", a), 1);
  EXPECT_EQ(row(c, "seen, en", "own picture within the 10 nearest").one, 1);
  EXPECT_EQ(row(c, "seen, ko", "own picture within the 50 nearest").one, 0);
  EXPECT_EQ(row(c, "held-out pairs, en", "own picture within the 10 nearest").one, 0);
  for (const auto& r : c.rows) EXPECT_EQ(r.one, r.other);
}

TEST(EvalCompare, CaptionsClassesAndScenes) {
  Json a = {{"eval", "caption"}, {"lang", "ko"}}, b = a;
  a["captions"] = {{{"key", "x"},
                    {"exact", true},
                    {"names_concept", true},
                    {"names_concept_in_any_beam", true},
                    {"cider_d", 4.5},
                    {"rouge_l", 1}}};
  b["captions"] = {{{"key", "x"},
                    {"exact", false},
                    {"names_concept", true},
                    {"names_concept_in_any_beam", true},
                    {"cider_d", 2.0},
                    {"rouge_l", 0.5}}};
  const Comparison said = compare_evals(result("a", a), result("b", b), 1);
  EXPECT_EQ(row(said, "ko", "exactly a reference").other, 0);
  EXPECT_EQ(row(said, "ko", "CIDEr-D").other - row(said, "ko", "CIDEr-D").one, -2.5);

  Json classes = {{"eval", "classify"}, {"labels", {"cat", "dog"}}};
  classes["predictions"] = {{{"key", "x"}, {"truth", "dog"}, {"guess", "dog"}, {"probabilities", {0.25, 0.75}}},
                            {{"key", "y"}, {"truth", "cat"}, {"guess", "dog"}, {"probabilities", {0.25, 0.75}}}};
  const Comparison guessed = compare_evals(result("a", classes), result("b", classes), 1);
  EXPECT_EQ(row(guessed, "pictures", "right").one, 0.5);
  EXPECT_NEAR(row(guessed, "pictures", "log loss").one, -(std::log(0.75) + std::log(0.25)) / 2, 1e-12);

  Json scenes = {{"eval", "scenes"}};
  scenes["scenes"] = {
      {{"of", "drawn"}, {"group", "seen en"}, {"index", 0}, {"prompt", "x"}, {"asked", {"shape"}}, {"wrong", Json::array()}},
      {{"of", "drawn"},
       {"group", "seen en"},
       {"index", 1},
       {"prompt", "y"},
       {"asked", {"shape", "color", "count"}},
       {"wrong", {"shape", "count"}}},
      {{"of", "captioned"}, {"group", "seen en"}, {"index", 1}, {"asked", {"shape", "color"}}, {"wrong", {"color"}}}};
  const Comparison drawn = compare_evals(result("a", scenes), result("b", scenes), 1);
  EXPECT_EQ(row(drawn, "drawn, seen en", "whole scene").n, 2);
  EXPECT_EQ(row(drawn, "drawn, seen en", "whole scene").one, 0.5);
  EXPECT_EQ(row(drawn, "drawn, seen en", "all right in shape").one, 0.5);
  EXPECT_EQ(row(drawn, "drawn, seen en", "all right in color").one, 1);
  EXPECT_EQ(row(drawn, "drawn, seen en", "all right in color").n, 1) << "the other names no colour";
  for (const auto& r : drawn.rows) EXPECT_NE(r.measure, "all right in size") << "nobody asked";
  Json others = scenes;  // another seed's
  for (auto& s : others["scenes"])
    if (s.contains("prompt")) s["prompt"] = "z";
  EXPECT_EQ(compare_evals(result("a", scenes), result("b", others), 1).alone[0], 2);
  EXPECT_EQ(row(drawn, "captioned, seen en", "all right in color").one, 0);
}

// Thirty like slices of each of 24 patients are 24 facts.
TEST(EvalCompare, SlicesOfAPatientAreOne) {
  Json a = {{"eval", "classify"}, {"labels", {"cat", "dog"}}, {"predictions", Json::array()}}, b = a;
  for (int i = 0; i < 720; ++i) {
    const int patient = i / 30;
    Json p = {{"key", join("k", i)}, {"truth", "dog"}, {"guess", "dog"}, {"unit", ""}, {"probabilities", {0.25, 0.75}}};
    a["predictions"].push_back(p);
    if (patient < 8) p["guess"] = "cat", p["probabilities"] = {0.6, 0.4};
    b["predictions"].push_back(p);
  }
  const auto width = [](const Comparison& c) {
    const Interval i = row(c, "pictures", "right").difference;
    return i.high - i.low;
  };
  const double slices = width(compare_evals(result("a", a), result("b", b), 1));
  for (Json* j : {&a, &b})
    for (int i = 0; i < 720; ++i) (*j)["predictions"][size_t(i)]["unit"] = join("p", i / 30);
  b["templates"] = {"a scan of {}"}, b["log_loss"] = 3;
  const Comparison c = compare_evals(result("a", a), result("b", b), 1);
  EXPECT_NEAR(width(c) / slices, std::sqrt(30.0), 0.8);
  EXPECT_EQ(c.settings, std::vector<std::string>{"templates: null, [\"a scan of {}\"]"}) << "what was measured is no setting";
}

// A few that all turned the same way leave room for others that do not.
TEST(EvalCompare, AllAlikeIsNotCertain) {
  Json a = {{"eval", "icons"}, {"drawings", Json::array()}}, b = a;
  for (int i = 0; i < 3; ++i) {
    a["drawings"].push_back(drawing(join("k", i), "en", 100, 0.3)),
        b["drawings"].push_back(drawing(join("k", i), "en", 1, 0.3));
  }
  const double far = std::pow(0.025, 1.0 / 3);
  const auto turned = row(compare_evals(result("a", a), result("b", b), 1), "en", "own picture is the nearest").difference;
  EXPECT_NEAR(turned.low, 2 * far - 1, 1e-12);
  EXPECT_EQ(turned.high, 1);
  const auto back = row(compare_evals(result("b", b), result("a", a), 1), "en", "own picture is the nearest").difference;
  EXPECT_NEAR(back.high, 1 - 2 * far, 1e-12);
  const auto same = row(compare_evals(result("a", a), result("a", a), 1), "en", "own picture is the nearest").difference;
  EXPECT_NEAR(same.high, 1 - far, 1e-12);
  EXPECT_NEAR(same.low, far - 1, 1e-12);
  for (Json* j : {&a, &b}) j->at("drawings").erase(2), j->at("drawings").erase(1);
  const Comparison one = compare_evals(result("a", a), result("b", b), 1);
  EXPECT_FALSE(row(one, "en", "distance to own picture").difference.known());
  EXPECT_NE(one.table().find("(too few to say how sure)"), std::string::npos) << one.table();
}

TEST(EvalCompare, RefusesByName) {
  const EvalResult icons = result("one.json", {{"eval", "icons"}, {"drawings", {drawing("k", "en", 1, 0)}}});
  EXPECT_EQ(refusal({"x.txt", "hello"}, icons),
            "x.txt: is no result of an evaluation; give what duet eval VERB --json FILE writes, or eval.json of generate");
  EXPECT_EQ(refusal(icons, result("two.json", {{"eval", "scenes"}})),
            "one.json is of duet eval icons, two.json of scenes; give two results of the same evaluation");
  const EvalResult rows = result("r.json", {{"eval", "retrieval"}});
  EXPECT_EQ(refusal(rows, rows),
            "r.json: duet eval retrieval keeps no items to compare; generate, icons, scenes, caption and classify do");
  EXPECT_EQ(refusal(icons, result("two.json", {{"eval", "icons"}, {"drawings", {drawing("l", "en", 1, 0)}}})),
            "one.json and two.json have no item in common; evaluate the same data with the same --seed and settings");
  const EvalResult twice =
      result("t.json", {{"eval", "icons"}, {"drawings", {drawing("k", "en", 1, 0), drawing("k", "en", 2, 0)}}});
  EXPECT_EQ(refusal(twice, icons),
            "t.json: two of its items are 'en, s/k', so that none can be paired; give every picture a name of its own");
  const Json cats = {{"eval", "classify"}, {"labels", {"cat", "dog"}}, {"predictions", Json::array()}};
  Json more = cats;
  more["labels"].push_back("bird");
  EXPECT_EQ(refusal(result("c.json", cats), result("m.json", more)),
            "c.json and m.json choose among other classes, so that their figures are not alike");
  const std::string old = refusal(result("old.json", {{"eval", "scenes"}}), result("old.json", {{"eval", "scenes"}}));
  EXPECT_TRUE(old.starts_with("old.json: its items lack something")) << old;
  EXPECT_TRUE(old.ends_with("run duet eval scenes again to write it anew")) << old;
}

}  // namespace
}  // namespace duet
