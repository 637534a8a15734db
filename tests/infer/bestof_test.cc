// Of several drawings the one that the model reads best; most are given up on the way.
#include "infer/bestof.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "infer/reader.h"
#include "kernels/error.h"
#include "tests/infer/tiny.h"

namespace duet {
namespace {

TEST(BestOf, HalfGoOnAfterAQuarterAndAQuarterAfterHalf) {
  struct Case {
    size_t n;
    int first, steps;
    std::vector<std::pair<int, size_t>> thinnings;
  };
  for (const Case& c : {Case{8, 0, 24, {{6, 4}, {12, 2}}},
                        {4, 0, 24, {{6, 2}, {12, 1}}},
                        {5, 0, 24, {{6, 3}, {12, 2}}},
                        {3, 0, 9, {{2, 2}, {4, 1}}},
                        {2, 0, 8, {{2, 1}}},
                        {64, 0, 16, {{4, 32}, {8, 16}}},
                        {8, 4, 24, {{9, 4}, {14, 2}}},  // of the twenty that are taken
                        {8, 17, 24, {}},                // seven are: too few
                        {8, 0, 7, {}},
                        {1, 0, 24, {}}}) {
    std::vector<std::pair<int, size_t>> got;
    for (const Thinning& t : thinnings(c.n, c.first, c.steps)) got.emplace_back(t.step, t.left);
    EXPECT_EQ(got, c.thinnings) << c.n << " from " << c.first << " to " << c.steps;
  }
}

TEST(BestOf, TheLikeliestComeFirstAndOfEqualsTheFirst) {
  const std::vector<double> scores{1, 3, 2, 3, -1};
  EXPECT_EQ(likeliest(scores, 3), (std::vector<size_t>{1, 3, 2}));
  EXPECT_EQ(likeliest(scores, 9).size(), 5u);
  EXPECT_EQ(best_of(scores), 1u);
  EXPECT_EQ(best_by("caption"), BestBy::caption);
  EXPECT_THROW(best_by("luck"), Error);
}

// Against the same by draw(), step by step: what is kept is what its seed draws alone, of those that the guesses leave.
TEST(BestOf, DrawsWhatChoosingByHandDoes) {
  const auto model = tiny_model();
  const Tokenizer& tokenizer = tiny_tokenizer();
  for (const DrawOptions& o :
       {DrawOptions{.steps = 13, .guidance = 3}, DrawOptions{.steps = 8, .guidance = 1, .heun = true},
        DrawOptions{.steps = 7, .guidance = 3}, DrawOptions{.steps = 9, .guidance = 2, .width = 32, .height = 16}})
    for (const BestBy by : {BestBy::both, BestBy::caption, BestBy::contrastive}) {
      std::vector<Wanted> wanted;
      for (const char* words : {"a red circle", "파란 별", "a cat"})
        wanted.push_back({words, {prompt_ids(tokenizer, words), {}, 99}, {}});
      wanted[1].request.negative = prompt_ids(tokenizer, "red");
      for (uint64_t s = 0; s < 6; ++s) wanted[0].seeds.push_back(s), wanted[1].seeds.push_back(40 - 3 * s);
      wanted[2].seeds = {5};
      const auto kept = draw_best(*model, tokenizer, wanted, o, by);
      ASSERT_EQ(kept.size(), 3u);
      const int w = o.width ? o.width : int(model->config.size), h = o.height ? o.height : int(model->config.size);
      for (size_t i = 0; i < 3; ++i) {
        const size_t n = wanted[i].seeds.size(), each = size_t(w) * size_t(h) * 4;
        std::vector<DrawRequest> requests(n, wanted[i].request);
        for (size_t s = 0; s < n; ++s) requests[s].seed = wanted[i].seeds[s];
        const auto pictures = [&](const float* pixels) {
          std::vector<Image> out;
          for (size_t s = 0; s < n; ++s) out.push_back(finished(pixels + s * each, w, h, o.finish));
          return out;
        };
        std::vector<size_t> stay(n);
        for (size_t s = 0; s < n; ++s) stay[s] = s;
        const auto pixels = draw(*model, tokenizer, requests, o, [&](int step, const float* guess) {
          for (const Thinning& t : thinnings(n, 0, o.steps)) {
            if (step != t.step) continue;
            const auto scores = own_scores(*model, tokenizer, wanted[i].words, pictures(guess), by);
            std::stable_sort(stay.begin(), stay.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
            stay.resize(t.left);
            std::sort(stay.begin(), stay.end());
          }
        });
        EXPECT_EQ(stay.size(), o.steps >= 8 ? (n + 3) / 4 : n);
        const auto drawn = pictures(pixels.data());
        const auto scores = own_scores(*model, tokenizer, wanted[i].words, drawn, by);
        size_t best = stay[0];
        for (const size_t s : stay)
          if (scores[s] > scores[best]) best = s;
        EXPECT_EQ(kept[i].seed, best);
        EXPECT_EQ(kept[i].image.rgba, drawn[best].rgba);
      }
    }
}

// A text and many pictures: what each picture says of it alone.
TEST(BestOf, PicturesReadTogetherSayWhatEachSays) {
  const auto model = tiny_model();
  std::vector<Image> pictures;
  for (uint64_t i = 0; i < 19; ++i) pictures.push_back(tiny_picture(i, 20 + int(i), 30));
  const std::string words = "a red circle, 납작한";
  const auto together = caption_log_probs(*model, tiny_tokenizer(), pictures, words);
  ASSERT_EQ(together.size(), 19u);
  for (size_t i = 0; i < pictures.size(); ++i)
    EXPECT_EQ(together[i], caption_log_probs(*model, tiny_tokenizer(), pictures[i], std::vector<std::string>{words})[0]);
  EXPECT_NE(together[0], together[1]);
}

}  // namespace
}  // namespace duet
