#include "infer/flowpass.h"

namespace duet {

constexpr Var Model::Times::*kTimes[] = {&Model::Times::vision, &Model::Times::fusion, &Model::Times::head, &Model::Times::skip,
                                         &Model::Times::refine};

FlowPass::FlowPass(const Model& m, const Layout& stem, const Layout& joint, const Tensor& twins, const Tensor& heads,
                   std::vector<KvCache>& caches, const std::vector<int32_t>& used)
    : model_(m), stem_(stem), joint_(joint), twins_(twins), heads_(heads), caches_(caches), used_(used) {}

Var FlowPass::pass(const Tensor& at, const Model::Times& t) const {
  const Var h = model_.fuse(gather(model_.vision_stem(at, stem_, t), {}, twins_), joint_, t, &caches_, &used_);
  return model_.flow_head(h, gather(Var(at), {}, twins_).value(), joint_.pos, heads_, t);
}

Tensor FlowPass::operator()(const Tensor& at, const std::vector<float>& t) {
  const Model::Times now = model_.times(t);
  if (model_.device() == Device::cpu) return pass(at, now).value();
  if (!at_) {
    at_ = at.clone();
    for (const auto part : kTimes)
      if (now.*part) times_.*part = Var((now.*part).value().clone());
    guess_ = Tensor({twins_.count(), model_.patch_values()}, activation_type(model_.device()), model_.device());
  }
  copy_values(at_, at);
  for (const auto part : kTimes)
    if (now.*part) copy_values((times_.*part).value(), (now.*part).value());
  replay_([&] { copy_values(guess_, pass(at_, times_).value()); });
  return guess_;
}

}  // namespace duet
