// Is the guess nearer to what the words say? Stand-ins that heed the words alone, or the picture alone, and the real model.
#include <map>
#include <nlohmann/json.hpp>

#include "infer/eval_binding.h"
#include "infer/guess.h"
#include "infer/sampler.h"
#include "tests/infer/clirun.h"
#include "vision/patch.h"
#include "vision/scene.h"
#include "vision/scenetext.h"

namespace duet {
namespace {

constexpr int kSize = 32;

std::vector<float> pixels_of(const Scene& s) {
  std::vector<float> out(size_t(kSize) * kSize * 4);
  to_pixels(render(s, kSize), out.data());
  return out;
}

// Knows the scene of every sentence that is asked: it makes the same ones.
struct Listener {
  std::map<std::string, Scene> scenes;
  bool exchange_korean_shapes = false;
  explicit Listener(uint64_t seed) {
    for (uint64_t i = 0; i < 400; ++i)
      for (const Lang lang : {Lang::en, Lang::ko}) {
        const Scene s = random_scene(mix(seed, i), SceneSplit::seen);
        scenes[caption(s, lang, mix(seed, 1'000'000 + i))] = s;
      }
  }
  std::vector<float> operator()(const std::vector<std::string>& prompts, const std::vector<float>&, float,
                                const std::vector<uint64_t>&) const {
    std::vector<float> out;
    for (const auto& words : prompts) {
      Scene s = scenes.at(words);
      if (exchange_korean_shapes && words.find_first_of("abcdefghijklmnopqrstuvwxyz") == words.npos)
        std::swap(s.things[0].shape, s.things[1].shape);
      const auto x = pixels_of(s);
      out.insert(out.end(), x.begin(), x.end());
    }
    return out;
  }
};

TEST(EvalBinding, OneThatHeedsTheWordsIsAlwaysNearer) {
  const BindingEval e = eval_binding(Listener(4), {.n = 20, .seed = 4, .batch = 7, .size = kSize});
  ASSERT_EQ(e.rows.size(), 28u);
  for (const auto& r : e.rows) EXPECT_EQ(r.share, 1) << r.t;
  EXPECT_NE(e.table().find("shapes ko"), std::string::npos) << e.table();
}

TEST(EvalBinding, OneThatHeedsThePictureAloneFollowsIt) {
  const auto mirror = [](const auto&, const std::vector<float>& under, float, const auto&) { return under; };
  const BindingEval e = eval_binding(mirror, {.n = 20, .seed = 4, .batch = 7, .size = kSize});
  int at_noise = 0;
  for (const auto& r : e.rows) {
    EXPECT_EQ(r.share, r.exchanged ? 0 : 1) << r.t;
    at_noise += r.t == 0;
  }
  EXPECT_EQ(at_noise, 4);
}

TEST(EvalBinding, WhatIsExchangedIsCountedByLanguageAndAttribute) {
  Listener l(4);
  l.exchange_korean_shapes = true;
  for (const auto& r : eval_binding(l, {.n = 20, .seed = 4, .batch = 20, .size = kSize}).rows) {
    if (r.colors && r.korean) continue;
    EXPECT_EQ(r.share, r.korean ? 0 : 1);
  }
}

TEST(Guess, OneOfNoiseAloneIsADrawingOfOneStep) {
  const auto m = tiny_model();
  const int64_t S = m->config.size;
  const std::vector<std::string> prompts{"a red circle", "파란 별", "a blue circle"};
  const std::vector<uint64_t> seeds{3, 5, 1ull << 40};
  std::vector<DrawRequest> asked;
  for (size_t i = 0; i < 3; ++i) asked.push_back({prompt_ids(tiny_tokenizer(), prompts[i]), {}, seeds[i]});
  const auto drawn = draw(*m, tiny_tokenizer(), asked, {.steps = 1, .guidance = 1});
  std::vector<float> under(drawn.size(), 0.5f);
  const auto guess = guess_clean(*m, tiny_tokenizer(), prompts, under, S, 0, seeds);
  float most = 0;
  for (const float v : drawn) most = std::max(most, std::abs(v));
  for (size_t i = 0; i < drawn.size(); ++i) ASSERT_NEAR(guess[i], drawn[i], 1e-5f * most) << i;

  // Each by itself, and what the noise lies over counts once there is less of it.
  const size_t each = under.size() / 3;
  const auto alone =
      guess_clean(*m, tiny_tokenizer(), std::vector{prompts[1]}, std::vector(each, 0.5f), S, 0.4f, std::vector{seeds[1]});
  auto together = guess_clean(*m, tiny_tokenizer(), prompts, under, S, 0.4f, seeds);
  EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + long(each)));
  under[each] += 1;
  together = guess_clean(*m, tiny_tokenizer(), prompts, under, S, 0.4f, seeds);
  EXPECT_FALSE(std::equal(alone.begin(), alone.end(), together.begin() + long(each)));
}

TEST_F(CliTest, BindingIsReportedAsJson) {
  const Result r = run({"eval", "binding", "-n", "3", "--batch", "2", "--json", dir / "b.json"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_NE(r.out.find("over the exchanged"), std::string::npos);
  const auto j = nlohmann::json::parse(read_file(dir / "b.json", 1 << 20));
  EXPECT_EQ(j["eval"], "binding");
  ASSERT_EQ(j["rows"].size(), 28u);
  EXPECT_EQ(j["rows"][0]["noise_over"], "nothing");
  EXPECT_EQ(j["rows"][4]["noise_over"], "exchanged");
  EXPECT_EQ(j["rows"][27]["lang"], "ko");
  const auto other = run({"eval", "binding", "-n", "3", "--batch", "3", "--json", dir / "c.json"});
  EXPECT_EQ(read_file(dir / "b.json", 1 << 20), read_file(dir / "c.json", 1 << 20)) << "--batch changes speed only";
}

}  // namespace
}  // namespace duet
