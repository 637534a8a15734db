#include "infer/beam.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "kernels/error.h"

namespace duet {

Beams::Beams(const BeamOptions& o) : options_(o) {
  CHECK(o.width >= 1 && o.most >= 1, "a beam of ", o.width, " and ", o.most, " tokens");
}

double Beams::score(const Beam& b) const {
  return b.log_prob / std::pow((5 + double(b.tokens.size())) / 6, options_.length_power);
}

std::vector<int> Beams::advance(std::span<const int32_t> tokens, std::span<const double> log_probs) {
  struct Candidate {
    double log_prob;
    int from, token;
    bool operator<(const Candidate& c) const {  // better
      return std::tuple(-log_prob, from, token) < std::tuple(-c.log_prob, c.from, c.token);
    }
  };
  CHECK(!live_.empty() && tokens.size() == log_probs.size() && tokens.size() % live_.size() == 0, tokens.size(), " tokens for ",
        live_.size(), " beams");
  const size_t each = tokens.size() / live_.size();
  std::vector<Candidate> all;
  for (size_t i = 0; i < tokens.size(); ++i) {
    CHECK(log_probs[i] <= 0, "a log-probability, not ", log_probs[i]);
    if (std::isfinite(log_probs[i])) all.push_back({live_[i / each].log_prob + log_probs[i], int(i / each), tokens[i]});
  }
  std::sort(all.begin(), all.end());

  std::vector<Beam> next;
  std::vector<int> from;
  for (size_t i = 0; i < all.size() && int(next.size()) < options_.width; ++i) {
    const Candidate& c = all[i];
    Beam b{live_[size_t(c.from)].tokens, c.log_prob};
    if (c.token == options_.eos) {
      if (int(i) < options_.width) done_.push_back(std::move(b));
      continue;
    }
    b.tokens.push_back(c.token);
    if (int(b.tokens.size()) >= options_.most) {
      done_.push_back(std::move(b));
      continue;
    }
    next.push_back(std::move(b)), from.push_back(c.from);
  }
  if (int(done_.size()) >= options_.width) next.clear(), from.clear();
  live_ = std::move(next);
  CHECK(!live_.empty() || !done_.empty(), "a token that may follow");
  return from;
}

void Beams::take(int token, double log_prob) {
  CHECK(live_.size() == 1, "one sequence to go on with, not ", live_.size());
  Beam& b = live_[0];
  b.log_prob += log_prob;
  if (token != options_.eos) b.tokens.push_back(token);
  if (token == options_.eos || int(b.tokens.size()) >= options_.most) done_.push_back(std::move(b)), live_.clear();
}

std::vector<int> Beams::certain() const {
  if (live_.empty()) return done_.empty() ? std::vector<int>{} : best().tokens;
  std::vector<int> same = live_[0].tokens;
  for (const auto* some : {&live_, &done_})
    for (const Beam& b : *some)
      same.erase(std::mismatch(same.begin(), same.end(), b.tokens.begin(), b.tokens.end()).first, same.end());
  return same;
}

const Beam& Beams::best() const {
  CHECK(!done_.empty(), "a finished search");
  return *std::max_element(done_.begin(), done_.end(), [this](const Beam& a, const Beam& b) { return score(a) < score(b); });
}

std::vector<Beam> Beams::ranked() const {
  CHECK(!done_.empty(), "a finished search");
  std::vector<Beam> out = done_;
  std::stable_sort(out.begin(), out.end(), [this](const Beam& a, const Beam& b) { return score(a) > score(b); });
  return out;
}

}  // namespace duet
