#include "infer/textsearch.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace duet {

static TextSearch::Options settled(TextSearch::Options o) {
  if (o.sample.temperature > 0) o.beams.width = 1;
  return o;
}

// One candidate more than the beam is wide: one of them may be the end.
TextSearch::TextSearch(const Model& m, const Var& rows, const Layout& pictures, const Model::Times& t, const Options& o)
    : options_(settled(o)),
      pass_(m, rows, pictures, t, options_.beams.width, options_.beams.most,
            {o.allowed, std::min<int64_t>(options_.beams.width + 1, m.config.vocab), o.sample}),
      searches_(size_t(pictures.B()), Beams(options_.beams)),
      from_(size_t(pictures.B() * options_.beams.width)) {
  std::iota(from_.begin(), from_.end(), 0);
}

bool TextSearch::done() const {
  return std::all_of(searches_.begin(), searches_.end(), [](const Beams& b) { return b.live().empty(); });
}

void TextSearch::step() {
  if (done()) return;
  const size_t W = size_t(options_.beams.width);
  std::vector<int32_t> ids(from_.size(), -1);
  for (size_t b = 0; b < searches_.size(); ++b) {
    const auto& live = searches_[b].live();
    for (size_t j = 0; j < live.size(); ++j) ids[b * W + j] = live[j].tokens.empty() ? options_.mark : live[j].tokens.back();
  }
  const auto said = pass_(ids, from_);
  const size_t n = said.tokens.size() / from_.size();
  std::iota(from_.begin(), from_.end(), 0);
  for (size_t b = 0; b < searches_.size(); ++b) {
    Beams& search = searches_[b];
    if (search.live().empty()) continue;
    const size_t first = b * W * n, count = search.live().size() * n;
    const std::span<const int32_t> tokens(&said.tokens[first], count);
    const std::span<const double> log_probs(&said.log_probs[first], count);
    if (std::any_of(log_probs.begin(), log_probs.end(), [](double p) { return std::isnan(p); }))
      refuse("the model finds no token that may follow, or likelihoods that are not numbers; are its weights damaged?");
    if (options_.sample.temperature > 0) {
      search.take(tokens[0], log_probs[0]);
      continue;
    }
    const auto from = search.advance(tokens, log_probs);
    for (size_t j = 0; j < from.size(); ++j) from_[b * W + j] = int32_t(b * W) + from[j];
  }
}

}  // namespace duet
