// Beam search over the likeliest next tokens, of one sequence; knows nothing of the model.
// Finished sequences are compared by log p / ((5 + length) / 6)^length_power (arXiv 1609.08144, section 7).
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace duet {

struct BeamOptions {
  int width = 4;  // 1: greedy
  int most = 38;  // tokens; a sequence that long ends without its end token
  int eos = 2;
  double length_power = 0.7;
};

struct Beam {
  std::vector<int> tokens;  // without the end
  double log_prob = 0;      // with it
};

class Beams {
 public:
  explicit Beams(const BeamOptions&);
  const std::vector<Beam>& live() const { return live_; }  // best first; one empty one at the start; none when done
  // Of each live beam equally many of its likeliest next tokens and their log-probabilities, of which -inf says that there is
  // none: one more than the width, or all that there are. Returns of each new live beam the old one that it continues by one
  // token. Among equals the better old beam and the smaller token win.
  std::vector<int> advance(std::span<const int32_t> tokens, std::span<const double> log_probs);
  // Of a single live sequence: its next token, which somebody else chose, and the log-probability of it.
  void take(int token, double log_prob);
  const Beam& best() const;          // when done
  std::vector<Beam> ranked() const;  // when done: all that were finished, best first
  std::vector<int> certain() const;  // the tokens that best() will begin with, whatever follows
  void stop() { live_.clear(); }     // no more steps; best() may have nothing to give

 private:
  double score(const Beam&) const;
  BeamOptions options_;
  std::vector<Beam> live_{Beam{}}, done_;
};

}  // namespace duet
