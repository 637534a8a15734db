// Outputs and gradients of every module against PyTorch's.
#include "tests/fusion/golden.h"

namespace duet {
namespace {

std::vector<int32_t> count(int from, int n, int step = 1) {
  std::vector<int32_t> v;
  for (int i = 0; i < n; ++i) v.push_back(from + i * step);
  return v;
}
std::vector<int32_t> operator+(std::vector<int32_t> a, const std::vector<int32_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Five words and a picture of 3 x 4 patches; a clean one of 2 x 3 and four words.
TEST(Golden, OutputsOfEveryModule) {
  const SettingsBack back;
  set_precision(Precision::f32);
  const NoGrad off;
  const Golden g;
  const Model& m = *g.model;
  const auto patches = g.read<float>("patches");
  const auto ids = g.read<int32_t>("ids");
  const auto t = m.times({0.3f, 1.0f});
  g.compare("output:time_vision", t.vision.value());
  g.compare("output:time_fusion", t.fusion.value());
  g.compare("output:time_head", t.head.value());
  g.compare("output:time_skip", t.skip.value());
  g.compare("output:time_refine", t.refine.value());
  const Var words = m.text_stem(Tensor::ints(ids), make_layout({{Segment::text(5)}, {Segment::text(4)}}));
  g.compare("output:text_stem", words.value());
  const Layout two = make_layout({{Segment::image(3, 4, 1)}, {Segment::image(2, 3, 2)}});
  const Var seen = m.vision_stem(Tensor::copy_of({18, 64}, patches), two, t);
  g.compare("output:vision_stem", seen.value());
  const auto from = count(0, 5) + count(-1, 12, -1) + count(-13, 6, -1) + count(5, 4);
  const Var h = m.fuse(gather(words, seen, Tensor::ints(from)),
                       make_layout({{m.prompt(5), Segment::image(3, 4, 1)}, {Segment::image(2, 3, 2), Segment::text(4)}}), t);
  g.compare("output:fuse", h.value());
  const Var pictures = gather(h, {}, Tensor::ints(count(5, 18))),
            said = gather(h, {}, Tensor::ints(count(0, 5) + count(23, 4)));
  g.compare("output:flow_head", m.flow_head(pictures, Tensor::copy_of({18, 64}, patches), two.pos,
                                            Tensor::ints(count(1, 12, 0) + count(2, 6, 0)), t)
                                    .value());
  g.compare("output:token_logits", m.token_logits(said).value());
  g.compare("output:picture_embedding", m.picture_embedding(pictures, Tensor::ints(std::vector<int32_t>{0, 12, 18})).value());
  g.compare("output:text_embedding", m.text_embedding(said, Tensor::ints(std::vector<int32_t>{0, 5, 9})).value());
}

TEST(Golden, GradientsOfEveryParameter) {
  const SettingsBack back;
  set_precision(Precision::f32);
  const Golden g;
  joint_loss(*g.model, g.batch(11), Golden::loss()).total.backward();
  g.model->params([&](const std::string& name, Var& v) {
    if (v.value().count() > 1) g.compare("gradient:" + name, v.grad());
  });
}

// One number may be right by luck, in PyTorch's f32 too: these two over many batches.
TEST(Golden, GradientsOfTheContrastiveScalars) {
  const SettingsBack back;
  set_precision(Precision::f32);
  const Golden g;
  const auto truth = g.read<double>("f64:scalars"), naive = g.read<double>("f32:scalars");
  ASSERT_EQ(truth.size(), 32u);
  Flat f = flatten([&](const Visit& v) { g.model->params(v); });
  Compare log_scale("gradient:head.log_scale"), bias("gradient:head.bias");
  for (size_t i = 0; i < 16; ++i) {
    std::fill_n(f.grads.data(), f.n, 0.0f);
    JointBatch b = g.batch(100 + i);
    std::vector<float> pixels(g.pixels);
    for (float& x : pixels) x *= 1 - float(i) / 32;
    b.pixels = pixels.data();
    for (auto& text : b.text)
      for (size_t k = 1; k + 1 < text.size(); ++k) text[k] = 20 + (text[k] - 20 + 17 * int(i)) % 280;
    joint_loss(*g.model, b, Golden::loss()).total.backward();
    log_scale(truth[2 * i], naive[2 * i], g.model->log_scale.grad().data()[0]);
    bias(truth[2 * i + 1], naive[2 * i + 1], g.model->bias.grad().data()[0]);
  }
}

}  // namespace
}  // namespace duet
