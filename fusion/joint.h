// The joint loss of one batch of pictures and captions: flow + caption + contrastive, in one pass over packed sequences.
#pragma once
#include <cstdint>
#include <vector>

#include "fusion/model.h"

namespace duet {

struct JointConfig {
  double flow = 1, caption = 0.25, contrast = 0.1;  // weights of the parts
  double drop = 0.1;                                // share of pictures drawn without words, for guidance
  double read = 0.5;                                // share of pictures that are also read: captioned and embedded
  double t_mean = -0.4, t_std = 1.0;                // of the logit-normal noise level
  double perturb_to = 0.35;                         // up to this noise level noise lies over perturbed pictures
  double perturb_gain = 0;                          // how much more their patches weigh that differ from the true picture's
  template <class V>
  void fields(V&& v) {
    v("flow", flow), v("caption", caption), v("contrast", contrast), v("drop", drop), v("read", read);
    v("t_mean", t_mean), v("t_std", t_std), v("perturb_to", perturb_to), v("perturb_gain", perturb_gain);
  }
};

// What the flow head is to learn in place of the pictures themselves (fusion/distill.h).
struct FlowGoal {
  std::vector<float> t;  // (B) noise levels
  Tensor target;         // (B P, patch^2 4), on the model's device
};

struct JointBatch {
  int64_t B = 0, size = 0;
  const float* pixels = nullptr;       // (B,size,size,4) in [-1,1]
  std::vector<std::vector<int>> text;  // language mark, caption, end
  std::vector<uint64_t> same;          // equal values: equal captions
  uint64_t seed = 0;                   // of noise levels, noise and dropped words
  int null_token = 1;                  // the whole text of a picture drawn without words
  const float* perturbed = nullptr;    // as pixels: what noise lies over (train/perturb.h); none, or with a goal: the pictures
  const FlowGoal* goal = nullptr;      // none: the pictures, at noise levels of the seed's
};

// A number that stays on the device until it is read, which waits for the device; 0 when there is none.
struct Later {
  Tensor t;  // (1)
  operator float() const { return t ? t.to(Device::cpu).data()[0] : 0.0f; }
};
struct JointLoss {
  Var total;
  Later flow, caption, contrast;  // unweighted: per value, per token, per pair
};
// The batch's captions without their last token, then the text of no words, one after the other.
struct PackedWords {
  Tensor ids;                       // (N) i32
  std::vector<int32_t> at{0};       // (B + 2): where each begins
  std::vector<Sequence> sequences;  // one segment each, for the text stem
};
PackedWords pack_words(const JointBatch&);  // refuses a caption of fewer than two tokens
// Whether picture b of the batch is drawn without its words.
bool without_words(const JointBatch&, const JointConfig&, int64_t b);
// noisy (B P, patch^2 4) = the batch's pictures at noise levels t (B); clean: the same shape, from patchify().
void make_noisy(const JointBatch&, const Tensor& noisy, const Tensor& clean, const std::vector<float>& t);
JointLoss joint_loss(const Model&, const JointBatch&, const JointConfig&);

}  // namespace duet
