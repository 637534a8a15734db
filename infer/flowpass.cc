#include "infer/flowpass.h"

namespace duet {

FlowPass::FlowPass(const Model& m, const Layout& stem, const Layout& joint, const Tensor& twins, const Tensor& heads,
                   std::vector<KvCache>& caches, const std::vector<int32_t>& used)
    : model_(m), stem_(stem), joint_(joint), twins_(twins), heads_(heads), caches_(caches), used_(used) {}

Var FlowPass::pass(const Tensor& at, const Model::Times& t) const {
  const Var h = model_.fuse(gather(model_.vision_stem(at, stem_, t), {}, twins_), joint_, t, &caches_, &used_);
  return model_.flow_head(h, gather(Var(at), {}, twins_).value(), heads_, t);
}

Tensor FlowPass::operator()(const Tensor& at, const std::vector<float>& t) {
  const Model::Times now = model_.times(t);
  if (model_.device() == Device::cpu) return pass(at, now).value();
  if (!at_) {
    at_ = at.clone();
    times_ = {Var(now.vision.value().clone()), Var(now.fusion.value().clone()), Var(now.head.value().clone()), Var(now.skip.value().clone())};
    guess_ = Tensor({twins_.count(), model_.patch_values()}, activation_type(model_.device()), model_.device());
  }
  copy_values(at_, at);
  copy_values(times_.vision.value(), now.vision.value()), copy_values(times_.fusion.value(), now.fusion.value());
  copy_values(times_.head.value(), now.head.value()), copy_values(times_.skip.value(), now.skip.value());
  replay_([&] { copy_values(guess_, pass(at_, times_).value()); });
  return guess_;
}

}  // namespace duet
