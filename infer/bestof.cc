#include "infer/bestof.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>

#include "infer/flowbatch.h"
#include "infer/reader.h"
#include "kernels/error.h"

namespace duet {

BestBy best_by(const std::string& name) {
  if (name == "contrastive") return BestBy::contrastive;
  if (name == "caption") return BestBy::caption;
  if (name == "both") return BestBy::both;
  refuse("best by ", name, ": expected contrastive, caption or both");
}

std::vector<double> own_scores(const Model& m, const Tokenizer& t, const std::string& words, std::span<const Image> pictures,
                               BestBy by) {
  std::vector<double> scores(pictures.size());
  if (by != BestBy::caption) {
    const std::vector<std::string> texts{words};
    const Tensor text = embed_texts(m, t, texts), seen = embed_pictures(m, pictures);
    const double scale = std::exp(double(m.log_scale.value().to(Device::cpu).data()[0]));
    for (size_t i = 0; i < scores.size(); ++i)
      for (int64_t e = 0; e < text.dim(1); ++e)
        scores[i] += scale * double(text.data()[e]) * double(seen.data()[int64_t(i) * text.dim(1) + e]);
  }
  if (by != BestBy::contrastive) {
    const auto captions = caption_log_probs(m, t, pictures, words);
    for (size_t i = 0; i < scores.size(); ++i) scores[i] += captions[i];
  }
  return scores;
}

size_t best_of(std::span<const double> scores) {
  CHECK(!scores.empty(), "pictures to choose from");
  return size_t(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

std::vector<Thinning> thinnings(size_t n, int first_step, int steps) {
  const int taken = steps - first_step;
  if (n < 2 || taken < kFewestStepsToThin) return {};
  std::vector<Thinning> out{{first_step + taken / 4, (n + 1) / 2}};
  if (const size_t left = (n + 3) / 4; left < out[0].left) out.push_back({first_step + taken / 2, left});
  return out;
}

std::vector<size_t> likeliest(std::span<const double> scores, size_t left) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  order.resize(std::min(left, order.size()));
  return order;
}

namespace {

struct Candidate {
  size_t wanted, seed;  // places
  Drawing drawing;
};

// All of them to that step, as many at a time as fill the machine and fit its memory.
void advance(FlowBatch& batch, std::deque<Candidate>& all, int step) {
  constexpr int64_t kRows = 2048;  // of the model in one pass
  for (size_t first = 0, last; first < all.size(); first = last) {
    std::vector<Drawing*> some;
    int64_t rows = 0;
    for (last = first; last < all.size() && (some.empty() || rows + all[last].drawing.rows() <= kRows); ++last)
      some.push_back(&all[last].drawing), rows += some.back()->rows();
    while (some[0]->step() < step) batch.advance(some);
  }
}

}  // namespace

std::vector<Kept> draw_best(const Model& m, const Tokenizer& tokenizer, std::span<const Wanted> wanted, const DrawOptions& o,
                            BestBy by) {
  FlowBatch batch(m, tokenizer);
  std::deque<Candidate> all;  // those of a wanted picture side by side
  for (size_t w = 0; w < wanted.size(); ++w)
    for (size_t s = 0; s < wanted[w].seeds.size(); ++s) {
      DrawRequest request = wanted[w].request;
      request.seed = wanted[w].seeds[s];
      all.push_back({w, s, Drawing(m, tokenizer, request, o)});
    }
  // each(w, its candidates' pictures, where they begin)
  const auto for_each_wanted = [&](auto pixels, auto each) {
    for (size_t first = 0, last; first < all.size(); first = last) {
      std::vector<Image> pictures;
      for (last = first; last < all.size() && all[last].wanted == all[first].wanted; ++last) {
        const Drawing& d = all[last].drawing;
        pictures.push_back(finished(pixels(d).data(), d.width(), d.height(), o.finish));
      }
      each(all[first].wanted, pictures, first);
    }
  };

  size_t most = 0;
  for (const Wanted& w : wanted) most = std::max(most, w.seeds.size());
  const auto longest = thinnings(most, 0, o.steps);  // those of fewer drawings come at the same steps, or not at all
  for (size_t stage = 0; stage < longest.size(); ++stage) {
    advance(batch, all, longest[stage].step);
    std::vector<size_t> stay;
    for_each_wanted([](const Drawing& d) { return d.guess(); },
                    [&](size_t w, const std::vector<Image>& guesses, size_t first) {
                      const auto own = thinnings(wanted[w].seeds.size(), 0, o.steps);
                      std::vector<size_t> likely(guesses.size());
                      std::iota(likely.begin(), likely.end(), 0);
                      if (stage < own.size())
                        likely = likeliest(own_scores(m, tokenizer, wanted[w].words, guesses, by), own[stage].left);
                      for (const size_t i : likely) stay.push_back(first + i);
                    });
    std::sort(stay.begin(), stay.end());
    std::deque<Candidate> left;
    for (const size_t i : stay) left.push_back(std::move(all[i]));
    all = std::move(left);
  }
  advance(batch, all, o.steps);
  std::vector<Kept> out(wanted.size());
  for_each_wanted([](const Drawing& d) { return d.pixels(); },
                  [&](size_t w, std::vector<Image>& pictures, size_t first) {
                    const size_t best =
                        pictures.size() > 1 ? best_of(own_scores(m, tokenizer, wanted[w].words, pictures, by)) : 0;
                    out[w] = {std::move(pictures[best]), all[first + best].seed};
                  });
  return out;
}

}  // namespace duet
