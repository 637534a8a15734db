#include "infer/reader.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "fusion/patchify.h"
#include "infer/beam.h"
#include "infer/classify.h"
#include "infer/sampler.h"
#include "kernels/parallel.h"
#include "kernels/table.h"
#include "tests/infer/tiny.h"
#include "text/unicode.h"
#include "vision/patch.h"

namespace duet {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

// Logits of every text position of [image][text], as training lays it out, without any cache.
Tensor plain_logits(const Model& m, const Image& image, const std::vector<int>& text) {
  const NoGrad off;
  const int S = int(m.config.size), side = S / int(m.config.patch), P = side * side;
  std::vector<float> pixels(size_t(S) * S * 4);
  to_pixels(model_view(image, S), pixels.data());
  const Segment picture = Segment::image(side, side, 1), words = Segment::text(int(text.size()));
  const auto times = m.times({1.0f});
  const Var seen = m.vision_stem(patchify(pixels.data(), 1, S, S, m.config.patch), make_layout({{picture}}), times);
  const Var said = m.text_stem(Tensor::ints(std::vector<int32_t>(text.begin(), text.end())), make_layout({{words}}));
  std::vector<int32_t> from, last;
  for (int p = 0; p < P; ++p) from.push_back(-p - 1);
  for (int i = 0; i < int(text.size()); ++i) from.push_back(i), last.push_back(P + i);
  const Var h = m.fuse(gather(said, seen, Tensor::ints(from)), make_layout({{picture, words}}), times);
  return m.token_logits(gather(h, {}, Tensor::ints(last))).value();
}

double log_prob(const float* row, int64_t V, int token) {
  double sum = 0;
  for (int64_t v = 0; v < V; ++v) sum += std::exp(double(row[v]));
  return row[token] - std::log(sum);
}

struct ReaderTest : testing::Test {
  std::unique_ptr<Model> model = tiny_model();
  const Tokenizer& tokenizer = tiny_tokenizer();
  std::vector<Image> pictures(int n) {
    std::vector<Image> out;
    for (int i = 0; i < n; ++i) out.push_back(tiny_picture(uint64_t(i), 24, 24, i % 2));
    return out;
  }
};

TEST_F(ReaderTest, BeamOfOneIsTheUncachedArgmax) {
  const int64_t V = model->config.vocab;
  for (bool korean : {false, true}) {
    for (const Image& image : pictures(5)) {
      std::vector<int> text{tokenizer.special(korean ? "<|ko|>" : "<|en|>")};
      double sum = 0;
      while (int(text.size()) <= 12) {
        const Tensor logits = plain_logits(*model, image, text);
        float* row = logits.data() + int64_t(text.size() - 1) * V;
        int best = tokenizer.eos();
        for (int v = 0; v < V; ++v) {
          const bool sayable = v < tokenizer.size() && (!tokenizer.is_special(v) || v == tokenizer.eos());
          if (!sayable) row[v] = kNever;
          else if (row[v] > row[best]) best = v;
        }
        sum += log_prob(row, V, best);
        if (best == tokenizer.eos()) break;
        text.push_back(best);
      }
      CaptionOptions o;
      o.korean = korean, o.beam = 1, o.most = 12;
      const Caption c = caption_pictures(*model, tokenizer, {&image, 1}, o)[0];
      text.erase(text.begin());
      EXPECT_EQ(c.text, clean_caption(tokenizer.decode(text)));
      EXPECT_EQ(c.ids, text);
      EXPECT_NEAR(c.log_prob, sum, 1e-5 * std::abs(sum));
    }
  }
}

// Drawn words are those the sampler picks from the logits of the uncached model, whoever is read beside.
TEST_F(ReaderTest, DrawnCaptionsAreTheUncachedDraws) {
  const int64_t V = model->config.vocab;
  const auto some = pictures(19);
  CaptionOptions o;
  o.most = 9, o.sample = {.temperature = 1.5f, .top_k = 50, .top_p = 0.95f, .seed = 7};
  const auto together = caption_pictures(*model, tokenizer, some, o);
  std::set<std::string> by_seed;
  for (size_t i = 0; i < some.size(); i += 3) {
    std::vector<int> text{tokenizer.special("<|en|>")};
    for (int n = 0; n < o.most; ++n) {
      const Tensor logits = plain_logits(*model, some[i], text);
      float* row = logits.data() + n * V;
      for (int v = 0; v < V; ++v)
        if (v >= tokenizer.size() || (tokenizer.is_special(v) && v != tokenizer.eos())) row[v] = kNever;
      const int token = sample_token({row, size_t(V)}, o.sample, uint64_t(n));
      if (token == tokenizer.eos()) break;
      text.push_back(token);
    }
    text.erase(text.begin());
    EXPECT_EQ(together[i].ids, text);
    o.sample.seed = 8 + i;
    by_seed.insert(caption_pictures(*model, tokenizer, {&some[0], 1}, o)[0].text);
    o.sample.seed = 7;
  }
  EXPECT_GT(by_seed.size(), 3u);
}

// A beam changes its parents as it goes: what the caches then hold must be the new parents' text.
TEST_F(ReaderTest, BeamsScoreAsTheUncachedModelScoresTheirText) {
  const int64_t V = model->config.vocab;
  CaptionOptions o;
  o.beam = 4, o.most = 10;
  for (const Image& image : pictures(8)) {
    const Caption c = caption_pictures(*model, tokenizer, {&image, 1}, o)[0];
    std::vector<int> text{tokenizer.special("<|en|>")};
    text.insert(text.end(), c.ids.begin(), c.ids.end());
    const Tensor logits = plain_logits(*model, image, text);
    if (int(c.ids.size()) < o.most) text.push_back(tokenizer.eos());
    double sum = 0;
    for (size_t t = 0; t + 1 < text.size(); ++t) {
      float* row = logits.data() + int64_t(t) * V;
      for (int v = 0; v < V; ++v)
        if (v >= tokenizer.size() || (tokenizer.is_special(v) && v != tokenizer.eos())) row[v] = kNever;
      sum += log_prob(row, V, text[t + 1]);
    }
    EXPECT_NEAR(c.log_prob, sum, 1e-5 * std::abs(sum)) << c.text;
  }
}

TEST_F(ReaderTest, ACaptionDependsOnItsPictureAlone) {
  const auto some = pictures(19);  // more than are read in one pass
  CaptionOptions o;
  o.beam = 3, o.most = 9;
  const auto together = caption_pictures(*model, tokenizer, some, o);
  const Tensor rows = embed_pictures(*model, some);
  const int was = threads();
  std::set<std::string> different;
  for (size_t i = 0; i < some.size(); ++i) {
    set_threads(i % 2 ? 1 : 3);
    // What lies in freed memory must not show.
    {
      Tensor dirt({1 << 14});
      std::fill_n(dirt.data(), dirt.count(), NAN);
    }
    const auto alone = caption_pictures(*model, tokenizer, {&some[i], 1}, o);
    EXPECT_EQ(alone[0].text, together[i].text);
    EXPECT_EQ(alone[0].log_prob, together[i].log_prob);
    const Tensor row = embed_pictures(*model, {&some[i], 1});
    for (int64_t e = 0; e < row.count(); ++e) EXPECT_EQ(row.data()[e], rows.data()[int64_t(i) * row.count() + e]);
    different.insert(alone[0].text);
  }
  set_threads(was);
  EXPECT_GT(different.size(), 3u) << "a test of one caption alone proves nothing";
}

TEST_F(ReaderTest, LogProbsOfTextsAreThoseOfTheWholeSequence) {
  const std::vector<std::string> texts{"a red circle", "", "파란 별", "a blue star of many words, quite unlike the others"};
  const Image image = tiny_picture(3);
  const auto got = caption_log_probs(*model, tokenizer, image, texts);
  for (size_t i = 0; i < texts.size(); ++i) {
    auto ids = prompt_ids(tokenizer, texts[i]);
    const Tensor logits = plain_logits(*model, image, ids);
    ids.push_back(tokenizer.eos());
    double sum = 0;
    for (size_t t = 0; t + 1 < ids.size(); ++t)
      sum += log_prob(logits.data() + int64_t(t) * model->config.vocab, model->config.vocab, ids[t + 1]);
    EXPECT_NEAR(got[i], sum, 1e-5 * std::abs(sum)) << texts[i];
  }
}

TEST_F(ReaderTest, EmbeddingsAreUnitRowsAndTellTextsApart) {
  const std::vector<std::string> texts{"a red circle", "a blue star", "빨간 원"};
  const Tensor t = embed_texts(*model, tokenizer, texts);
  ASSERT_EQ(t.shape(), (Tensor({3, 16}).shape()));
  for (int64_t i = 0; i < 3; ++i) {
    double square = 0, other = 0;
    for (int64_t e = 0; e < 16; ++e)
      square += double(t.data()[i * 16 + e]) * t.data()[i * 16 + e],
          other += double(t.data()[i * 16 + e]) * t.data()[(i + 1) % 3 * 16 + e];
    EXPECT_NEAR(square, 1, 1e-5);
    EXPECT_LT(other, 0.999);
  }
  EXPECT_EQ(embed_texts(*model, tokenizer, {}).count(), 0);
  EXPECT_EQ(embed_pictures(*model, {}).count(), 0);
}

// What lies at the edge of an oblong scan must be seen, and trained and read pictures must be framed alike.
TEST(ModelView, KeepsPicturesWhole) {
  Image wide(40, 10);
  for (int y = 0; y < 10; ++y)
    for (int x = 0; x < 40; ++x) wide.at(x, y)[0] = x < 4 || x >= 36 ? 255 : 0, wide.at(x, y)[3] = 255;
  const Image seen = model_view(wide, 40);
  EXPECT_EQ(seen.at(20, 0)[3], 0) << "transparent above";
  EXPECT_EQ(seen.at(20, 20)[3], 255);
  for (int x : {1, 38}) EXPECT_EQ(seen.at(x, 20)[0], 255) << x;
}

// A step by logits (live, V), of which all tokens are offered.
std::vector<int> advance(Beams& b, const float* logits, int64_t V) {
  const size_t n = b.live().size() * size_t(V);
  std::vector<int32_t> tokens(n);
  std::vector<double> log_probs(n);
  for (size_t i = 0; i < n; i += size_t(V)) cpu::best_tokens(&tokens[i], &log_probs[i], logits + i, nullptr, V, V);
  return b.advance(tokens, log_probs);
}

// A small language where everything is known: the wide beam finds the best of all sequences, the narrow one the greedy.
struct Markov {
  static constexpr int V = 4, eos = 0;
  float next(int last, int v) const { return 1.5f * normal(5, uint64_t(last * V + v)); }
  double normed(int last, int v) const {
    double sum = 0;
    for (int u = 0; u < V; ++u) sum += std::exp(double(next(last, u)));
    return next(last, v) - std::log(sum);
  }
  Beam run(const BeamOptions& o) const {
    Beams b(o);
    while (!b.live().empty()) {
      std::vector<float> logits;
      for (const Beam& l : b.live())
        for (int v = 0; v < V; ++v) logits.push_back(next(l.tokens.empty() ? 0 : l.tokens.back(), v));
      const size_t before = b.live().size();
      const auto from = advance(b, logits.data(), V);
      EXPECT_EQ(from.size(), b.live().size());
      for (int f : from) EXPECT_LT(size_t(f), before);
    }
    const auto ranked = b.ranked();
    EXPECT_EQ(ranked[0].tokens, b.best().tokens);
    for (size_t i = 0; i < ranked.size(); ++i)
      for (size_t j = 0; j < i; ++j) EXPECT_NE(ranked[i].tokens, ranked[j].tokens);
    return b.best();
  }
  void all(std::vector<int> tokens, double log_prob, int most, double power, Beam& best, double& score) const {
    const auto offer = [&](double lp) {
      const double s = lp / std::pow((5 + double(tokens.size())) / 6, power);
      if (s > score) score = s, best = {tokens, lp};
    };
    const int last = tokens.empty() ? 0 : tokens.back();
    if (int(tokens.size()) == most) return offer(log_prob);
    offer(log_prob + normed(last, eos));
    for (int v = 1; v < V; ++v) {
      tokens.push_back(v);
      all(tokens, log_prob + normed(last, v), most, power, best, score);
      tokens.pop_back();
    }
  }
};

TEST(Beams, WideEnoughFindsTheBestOfAll) {
  const Markov m;
  for (double power : {0.0, 0.7, 1.5})
    for (int most : {1, 2, 4}) {
      Beam best;
      double score = -INFINITY;
      m.all({}, 0, most, power, best, score);
      const Beam got = m.run({500, most, Markov::eos, power});
      EXPECT_EQ(got.tokens, best.tokens) << power << ' ' << most;
      EXPECT_NEAR(got.log_prob, best.log_prob, 1e-9);
    }
}

TEST(Beams, OneIsGreedy) {
  const Markov m;
  std::vector<int> greedy;
  for (int last = 0; greedy.size() < 20;) {
    int best = 0;
    for (int v = 1; v < Markov::V; ++v)
      if (m.next(last, v) > m.next(last, best)) best = v;
    if (best == Markov::eos) break;
    greedy.push_back(last = best);
  }
  EXPECT_EQ(m.run({1, 20, Markov::eos, 0.7}).tokens, greedy);
}

TEST(Beams, ForbiddenTokensAreNeverSaidAndTiesGoToTheSmaller) {
  Beams b({1, 3, 0, 0.7});
  const float row[] = {kNever, 1, 2, 2};
  advance(b, row, 4);
  ASSERT_EQ(b.live().size(), 1u);
  EXPECT_EQ(b.live()[0].tokens, std::vector<int>{2});
  const float end[] = {0, kNever, kNever, kNever};
  advance(b, end, 4);
  EXPECT_TRUE(b.live().empty());
  EXPECT_EQ(b.best().tokens, std::vector<int>{2});
  const float nan[] = {NAN, NAN};
  Beams other({1, 3, 0, 0.7});
  EXPECT_THROW(advance(other, nan, 2), Error);
}

TEST(Classify, TemplatesGetTheirArticle) {
  EXPECT_EQ(fill_template("a {}", "cat"), "a cat");
  EXPECT_EQ(fill_template("a {}, photo", "apple"), "an apple, photo");
  EXPECT_EQ(fill_template("this is a {}.", "owl"), "this is an owl.");
  EXPECT_EQ(fill_template("a {}", "the sun"), "the sun");
  EXPECT_EQ(fill_template("pizza {}", "a"), "pizza a");
  EXPECT_EQ(fill_template("{}", "고양이"), "고양이");
}

TEST_F(ReaderTest, ClassProbabilitiesSumToOne) {
  const auto some = pictures(3);
  for (auto by : {ClassifyBy::embedding, ClassifyBy::caption}) {
    const Classifier c(*model, tokenizer, {"cat", "개", "apple"}, "", by);
    EXPECT_EQ(c.templates().size(), 7u);  // English and Korean ones, shared ones once
    const auto all = c(some);
    ASSERT_EQ(all.size(), 3u);
    std::set<double> first;
    for (const auto& p : all) {
      ASSERT_EQ(p.size(), 3u);
      EXPECT_NEAR(p[0] + p[1] + p[2], 1, 1e-12);
      for (double x : p) EXPECT_GT(x, 0);
      first.insert(p[0]);
    }
    EXPECT_EQ(first.size(), 3u) << "pictures differ, so do probabilities";
  }
  // One sentence a label: the very softmax of scale * cosine.
  const Classifier c(*model, tokenizer, {"cat", "dog"}, "{}");
  const std::vector<std::string> texts{"cat", "dog"};
  const Tensor t = embed_texts(*model, tokenizer, texts), u = embed_pictures(*model, {&some[0], 1});
  double cosine[2] = {};
  for (int l = 0; l < 2; ++l)
    for (int64_t e = 0; e < 16; ++e) cosine[l] += double(t.data()[l * 16 + e]) * u.data()[e];
  const double scale = std::exp(model->log_scale.data()[0]);
  EXPECT_NEAR(c({&some[0], 1})[0][0], 1 / (1 + std::exp(scale * (cosine[1] - cosine[0]))), 1e-5);
}

TEST_F(ReaderTest, ClassifierRefuses) {
  EXPECT_THROW(Classifier(*model, tokenizer, {"cat"}), Error);
  EXPECT_THROW(Classifier(*model, tokenizer, {"cat", "cat"}), Error);
  EXPECT_THROW(Classifier(*model, tokenizer, {"cat", "dog"}, "a picture"), Error);
}

}  // namespace
}  // namespace duet
