// Which thing has which shape and colour, by the words? Scenes of two things whose words say how they stand to each other are
// put before the model as noisy pictures, once as they are said and once with the shapes (or colours) of the two exchanged:
// is its guess nearer to what is said, or to the exchanged scene? Where noise leaves nothing to see, only binding in the words
// can tell. Where the exchanged picture shows through, words and picture contradict each other: near 0 means that the words
// are not heeded there, and then a drawing that has begun wrong stays wrong.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "infer/eval_stats.h"

namespace duet {

struct BindingOptions {
  int n = 120;  // scenes in each language
  uint64_t seed = 1;
  int batch = 24;  // changes speed only
  int size = 64;   // pixels a side
};

// guess_clean() of infer/guess.h, or a stand-in
using GuessFn = std::function<std::vector<float>(const std::vector<std::string>& prompts, const std::vector<float>& under,
                                                 float t, const std::vector<uint64_t>& seeds)>;

struct BindingEval {
  static constexpr double kTimes[] = {0.1, 0.2, 0.3};
  struct Row {
    bool korean = false, colors = false;  // else shapes are exchanged
    bool exchanged = false;               // the noise lies over the exchanged scene
    double t = 0;                         // noise level
    double share = 0;                     // of guesses nearer to what is said; by chance 0.5
    Interval interval;
  };
  std::vector<Row> rows;  // of each language and attribute: t = 0, then kTimes over the true scene, then over the exchanged
  std::string table() const;
};

BindingEval eval_binding(const GuessFn&, const BindingOptions&);

}  // namespace duet
