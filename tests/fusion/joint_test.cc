#include "fusion/joint.h"

#include "fusion/flow.h"
#include "fusion/patchify.h"
#include "kernels/error.h"
#include "tests/fusion/tiny.h"
#include "tests/kernels/gradcheck.h"

namespace duet {
namespace {

struct Pass {
  float total;
  Tensor grads;
};

Pass pass(Model& m, const Flat& f, const JointBatch& b, const JointConfig& c) {
  std::fill_n(f.grads.data(), f.n, 0.0f);
  const JointLoss l = joint_loss(m, b, c);
  l.total.backward();
  return {l.total.data()[0], f.grads.clone()};
}

TEST(Joint, SameBitsWithAnyNumberOfThreads) {
  const SettingsBack back;
  for (const Precision p : precisions()) {
    set_precision(p);
    Model m(tiny_config());
    shake(m);
    const Flat f = flatten([&](const Visit& v) { m.params(v); });
    const TinyBatch t;
    set_threads(1);
    const Pass one = pass(m, f, t.batch, {});
    for (int n : {2, 3}) {
      set_threads(n);
      const Pass other = pass(m, f, t.batch, {});
      EXPECT_EQ(one.total, other.total);
      EXPECT_TRUE(equal_bits(one.grads.data(), other.grads.data(), f.n)) << n << " threads";
    }
  }
}

// Every parameter is moved by the loss as its gradient says: a central difference along random directions in all
// parameters. The quotient's own error: h^2 times a third derivative (seen by halving h) and the loss's rounding / h.
TEST(Joint, GradientIsTheSlope) {
  Model m(tiny_config());
  shake(m);
  const Flat f = flatten([&](const Visit& v) { m.params(v); });
  const TinyBatch t;
  const Pass at = pass(m, f, t.batch, {});
  const Tensor w = f.values.clone();
  for (uint64_t direction = 0; direction < 4; ++direction) {
    double slope = 0;
    for (int64_t i = 0; i < f.n; ++i) slope += double(at.grads.data()[i]) * normal(50 + direction, uint64_t(i));
    const auto quotient = [&](float h) {
      const auto value = [&](float step) {
        for (int64_t i = 0; i < f.n; ++i) f.values.data()[i] = w.data()[i] + step * normal(50 + direction, uint64_t(i));
        const NoGrad off;
        return double(joint_loss(m, t.batch, {}).total.data()[0]);
      };
      return (value(h) - value(-h)) / (2.0 * h);
    };
    const float h = 2e-4f;
    const double wide = quotient(2 * h), near = quotient(h), curve = std::abs(wide - near);
    EXPECT_NEAR(slope, near, curve + 20 * 0x1p-24 * at.total / h) << "curvature " << curve;
    std::copy_n(w.data(), f.n, f.values.data());
  }
}

// How far fp16 may be off is measured by what rounding the parameters to halves once does in f32.
TEST(Joint, Fp16GradientsAreF32s) {
  if (!has_fp16()) GTEST_SKIP() << "this CPU has no AVX-512 FP16";
  const SettingsBack back;
  const TinyBatch t;
  const auto gradients = [&](Precision p, bool rounded, float scale) {
    set_precision(p);
    Model m(tiny_config());
    shake(m);
    const Flat f = flatten([&](const Visit& v) { m.params(v); });
    if (rounded)
      for (float& x : f.values.floats()) x = float(round_fp16(x));
    weighted_sum({{joint_loss(m, t.batch, {}).total, scale}}).backward();
    for (float& g : f.grads.floats()) g /= scale;
    return f.grads;
  };
  const Tensor want = gradients(Precision::f32, false, 1), naive = gradients(Precision::f32, true, 1);
  const auto error = [&](const Tensor& got) {
    double sum = 0, all = 0;
    for (int64_t i = 0; i < want.count(); ++i)
      sum += std::pow(got.data()[i] - want.data()[i], 2), all += std::pow(want.data()[i], 2);
    return std::sqrt(sum / all);
  };
  const double rounding = error(naive);
  ASSERT_GT(rounding, 0);
  EXPECT_LE(error(gradients(Precision::fp16, false, 4096)), 4 * rounding);
  EXPECT_GT(error(gradients(Precision::fp16, false, 0x1p-20f)), 100 * rounding) << "what the scale is for";
}

TEST(Joint, EveryParameterHasAGradient) {
  Model m(tiny_config());
  shake(m);
  const Flat f = flatten([&](const Visit& v) { m.params(v); });
  const TinyBatch t;
  const Pass p = pass(m, f, t.batch, {});
  for (const auto& e : f.entries) {
    float most = 0;
    for (int64_t i = 0; i < e.shape.count(); ++i) most = std::max(most, std::abs(p.grads.data()[e.first + i]));
    EXPECT_GT(most, 0) << e.name;
  }
}

TEST(Joint, PartsAreWeighedAndCanBeLeftOut) {
  Model m(tiny_config());
  shake(m);
  const TinyBatch t;
  const NoGrad off;
  const JointLoss all = joint_loss(m, t.batch, {.flow = 2, .caption = 0.5, .contrast = 0.25});
  EXPECT_FLOAT_EQ(all.total.data()[0], 2 * all.flow + 0.5f * all.caption + 0.25f * all.contrast);
  const JointLoss flow = joint_loss(m, t.batch, {.flow = 1, .caption = 0, .contrast = 0});
  EXPECT_EQ(flow.flow, all.flow);
  EXPECT_EQ(flow.total.data()[0], flow.flow);
  // Without words nothing is contrasted and the words do not matter to the picture.
  const JointLoss dropped = joint_loss(m, t.batch, {.drop = 1});
  EXPECT_EQ(dropped.contrast, 0);
  TinyBatch other;
  for (auto& text : other.batch.text) text[1] = 299;
  EXPECT_EQ(joint_loss(m, other.batch, {.drop = 1}).flow, dropped.flow);
  EXPECT_NE(joint_loss(m, other.batch, {.drop = 0}).flow, joint_loss(m, t.batch, {.drop = 0}).flow);
}

// The second and later training steps of one shape ask the system for nothing.
TEST(Joint, NoNewMemoryAfterTheSecondStep) {
  Model m(tiny_config());
  shake(m);
  const Flat f = flatten([&](const Visit& v) { m.params(v); });
  const TinyBatch t;
  for (int i = 0; i < 2; ++i) pass(m, f, t.batch, {});
  const size_t calls = memory_stats().calls;
  for (int i = 0; i < 5; ++i) pass(m, f, t.batch, {});
  EXPECT_EQ(memory_stats().calls, calls);
}

JointConfig at(double t, double perturb_gain = 0) {  // every picture at noise level t
  return {.t_mean = std::log(t / (1 - t)), .t_std = 0, .perturb_to = 0.35, .perturb_gain = perturb_gain};
}

// Noise over another picture, up to a noise level: as if that picture were given and this one asked for.
TEST(Joint, NoiseMayLieOverAnotherPicture) {
  const SettingsBack back;
  set_precision(Precision::f32);
  Model m(tiny_config());
  shake(m);
  const NoGrad off;
  TinyBatch own, other(5, 16, 4);
  const float plain[2] = {joint_loss(m, own.batch, at(0.2)).flow, joint_loss(m, own.batch, at(0.5)).flow};
  own.batch.perturbed = other.pixels.data();
  const JointLoss near = joint_loss(m, own.batch, at(0.2)), late = joint_loss(m, own.batch, at(0.5));
  EXPECT_EQ(float(late.flow), plain[1]) << "beyond perturb_to";
  EXPECT_NE(float(near.flow), plain[0]);
  own.batch.perturbed = own.pixels.data();
  EXPECT_EQ(float(joint_loss(m, own.batch, at(0.2)).flow), plain[0]) << "the picture itself";

  FlowGoal goal{std::vector<float>(5, sample_t(0, 0, float(at(0.2).t_mean), 0)), patchify(own.pixels.data(), 5, 16, 16, 4)};
  other.batch.goal = &goal;
  const float aimed = joint_loss(m, other.batch, at(0.2)).flow;
  EXPECT_EQ(aimed, float(near.flow));
  other.batch.perturbed = own.pixels.data();
  EXPECT_EQ(float(joint_loss(m, other.batch, at(0.2)).flow), aimed) << "a goal belongs to the noisy picture it was made for";
}

// perturb_gain counts what the patches add that differ from the true picture's once more, and nothing else.
TEST(Joint, PerturbedPatchesMayWeighMore) {
  const SettingsBack back;
  set_precision(Precision::f32);
  Model m(tiny_config());
  shake(m);
  const NoGrad off;
  TinyBatch t;
  std::vector<float> other = t.pixels;
  const auto flow = [&](double gain, double time = 0.2) { return double(joint_loss(m, t.batch, at(time, gain)).flow); };
  const double plain = flow(0);
  t.batch.perturbed = other.data();
  EXPECT_EQ(flow(3), plain) << "no patch differs";
  other[(2 * 16 * 16 + 5 * 16 + 6) * 4] += 0.5f;  // of picture 2, patch (1, 1)
  const double once = flow(0), more = flow(1) - once;
  const double share = more / once;  // one of 5 x 16 patches
  EXPECT_GT(share, 0.2 / 80);
  EXPECT_LT(share, 5.0 / 80);
  EXPECT_NEAR(flow(3), once + 3 * more, 32 * 0x1p-24 * once);
  EXPECT_EQ(flow(3, 0.5), flow(0, 0.5)) << "beyond perturb_to";
}

TEST(Joint, RefusesBatchesThatDoNotFit) {
  Model m(tiny_config());
  TinyBatch t;
  t.batch.text[2] = {3};
  EXPECT_THROW(joint_loss(m, t.batch, {}), Error);
  t.batch.text.pop_back();
  EXPECT_THROW(joint_loss(m, t.batch, {}), Error);
}

TEST(Flow, ScheduleIsWhatItSays) {
  double mean = 0, square = 0;
  const int n = 20000;
  for (int i = 0; i < n; ++i) {
    const float t = sample_t(5, uint64_t(i), -0.4f, 1.0f);
    ASSERT_GT(t, 0);
    ASSERT_LT(t, 1);
    const double u = std::log(t / (1 - t));
    mean += u / n, square += u * u / n;
  }
  EXPECT_NEAR(mean, -0.4, 4 / std::sqrt(double(n)));  // 4 standard errors
  EXPECT_NEAR(square - mean * mean, 1, 4 * std::sqrt(2.0 / n));
  EXPECT_FLOAT_EQ(flow_weight(0.5f), 4);
  EXPECT_FLOAT_EQ(flow_weight(0.999f), 400);  // no more noise than kLeastNoise is assumed
  float f[6];
  time_features(f, 0.25f, 6);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FLOAT_EQ(f[i], float(std::cos(250 * std::pow(10000.0, -i / 3.0))));
    EXPECT_FLOAT_EQ(f[3 + i], float(std::sin(250 * std::pow(10000.0, -i / 3.0))));
  }
}

}  // namespace
}  // namespace duet
