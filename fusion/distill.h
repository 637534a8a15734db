// A model that draws in few steps without a second pass, taught by one that takes many guided ones: from the noisy
// picture at the beginning of each of its own steps it learns the one guess that takes it, in that step, to where the
// teacher comes in `parts` guided steps. Progressive distillation (arXiv 2202.00512) of guidance (arXiv 2210.03142) and
// steps at once, on the grid of times that the sampler will use.
#pragma once
#include <string>

#include "fusion/joint.h"

namespace duet {

struct DistillConfig {
  std::string teacher = "";  // weights to learn from, of the same sizes; none: no distillation
  int steps = 4;             // of the student
  int parts = 4;             // steps of the teacher in each of those
  double guidance = 5;       // of the teacher
  double shift = 3;          // of the times, see step_time()
  template <class V>
  void fields(V&& v) {
    v("teacher", teacher), v("steps", steps), v("parts", parts), v("guidance", guidance), v("shift", shift);
  }
};

// What the student is to guess for the batch's pictures, each at the beginning of one of its steps. Pictures that `c`
// drops the words of are taken on without words. Refuses steps or parts below 1, a guidance or shift not above 0.
FlowGoal distill_goal(const Model& teacher, const JointBatch&, const JointConfig& c, const DistillConfig&);

}  // namespace duet
