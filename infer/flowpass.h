// One evaluation of the model for pictures on their way: vision stem, fusion blocks after the cached words, flow head.
// On a card it is recorded and replayed (kernels/replay.h), since it is the same at every step of a drawing but for
// what it is given.
#pragma once
#include <vector>

#include "fusion/model.h"
#include "kernels/replay.h"

namespace duet {

class FlowPass {
 public:
  // stem: each picture once. joint: a sequence for each picture and guidance, after used[s] cached words; twins: rows
  // of the stem for the rows of joint; heads: their rows of the modulation, picture b having b + 1. The caches stay the
  // caller's.
  FlowPass(const Model&, const Layout& stem, const Layout& joint, const Tensor& twins, const Tensor& heads,
           std::vector<KvCache>& caches, const std::vector<int32_t>& used);
  // at: rows of the stem (N, patch^2 4), f32 where the model is. t: of each picture. Returns the guess of the clean
  // patches for the rows of joint, which the next call may overwrite. Under NoGrad.
  Tensor operator()(const Tensor& at, const std::vector<float>& t);

 private:
  Var pass(const Tensor& at, const Model::Times&) const;
  const Model& model_;
  const Layout stem_, joint_;
  const Tensor twins_, heads_;
  std::vector<KvCache>& caches_;
  const std::vector<int32_t>& used_;
  Tensor at_, guess_;  // what the recording reads and writes
  Model::Times times_;
  Replay replay_;
};

}  // namespace duet
