#include "train/optimizer.h"

#include "kernels/table.h"
#include "tests/fusion/tiny.h"

namespace duet {
namespace {

struct OneModel {
  Model model{tiny_config()};
  Flat flat = flatten([this](const Visit& v) { model.params(v); });
  void gradients(uint64_t seed, float scale) {
    for (int64_t i = 0; i < flat.n; ++i) flat.grads.data()[i] = scale * normal(seed, uint64_t(i));
  }
};

TEST(Optimizer, ANonFiniteGradientIsNotApplied) {
  for (const float bad : {NAN, INFINITY, -INFINITY, 1e30f})  // the last one's square is not finite
    for (const int where : {0, 1}) {
      OneModel s;
      Optimizer o(s.flat, {});
      s.gradients(1, 1);
      EXPECT_TRUE(o.step(1, 1e-3).applied);
      const Tensor w = s.flat.values.clone(), m = o.m.clone(), v = o.v.clone(), ema = o.ema.clone();
      s.gradients(2, 1);
      s.flat.grads.data()[where ? s.flat.n - 16 : 0] = bad;
      EXPECT_FALSE(o.step(2, 1e-3).applied);
      EXPECT_TRUE(equal_bits(w.data(), s.flat.values.data(), s.flat.n));
      EXPECT_TRUE(equal_bits(m.data(), o.m.data(), s.flat.n));
      EXPECT_TRUE(equal_bits(v.data(), o.v.data(), s.flat.n));
      EXPECT_TRUE(equal_bits(ema.data(), o.ema.data(), s.flat.n));
      for (float g : s.flat.grads.floats()) ASSERT_EQ(g, 0);
    }
}

TEST(Optimizer, ClipsTheWholeGradient) {
  OneModel a, b;
  OptimizerConfig c;
  c.clip = 0.5, c.muon = false;
  Optimizer oa(a.flat, c);
  a.gradients(3, 2);
  const double norm = std::sqrt(cpu::square_sum(a.flat.grads.data(), a.flat.n));
  c.clip = 0;
  Optimizer ob(b.flat, c);
  b.gradients(3, 2);
  for (auto& g : b.flat.grads.floats()) g *= float(0.5 / norm);
  EXPECT_EQ(oa.step(1, 1e-3).norm, float(norm));
  ob.step(1, 1e-3);
  EXPECT_TRUE(equal_bits(a.flat.values.data(), b.flat.values.data(), a.flat.n));
}

// Gradients of a loss that was scaled by a power of two: the same step, to the bit, and the norm as it is without.
TEST(Optimizer, AScaledLossMakesTheSameStep) {
  for (const double clip : {0.0, 0.5}) {
    OneModel a, b;
    OptimizerConfig c;
    c.clip = clip;
    Optimizer oa(a.flat, c), ob(b.flat, c);
    for (int step = 1; step <= 2; ++step) {
      a.gradients(uint64_t(step), 1), b.gradients(uint64_t(step), 4096);
      const Tensor sa = oa.apply(step, 1e-2), sb = ob.apply(step, 1e-2, {}, 4096);
      EXPECT_EQ(sa.data()[0], sb.data()[0]);
      EXPECT_GT(sa.data()[0], 1);
      EXPECT_TRUE(equal_bits(a.flat.values.data(), b.flat.values.data(), a.flat.n));
      EXPECT_TRUE(equal_bits(oa.v.data(), ob.v.data(), a.flat.n));
    }
    b.gradients(3, INFINITY);
    EXPECT_EQ(ob.apply(3, 1e-2, {}, 4096).data()[1], 0) << "still not applied";
  }
}

// Muon moves a matrix by a nearly orthogonal step of AdamW's size: its root mean square is 0.2 lr, give or take what five
// Newton-Schulz steps leave of the singular values (0.7 to 1.2; fewer than all matter for a long matrix).
TEST(Optimizer, MuonStepsHaveAdamwsSize) {
  OneModel s;
  OptimizerConfig c;
  c.decay = 0;
  const Tensor before = s.flat.values.clone();
  Optimizer o(s.flat, c);
  s.gradients(4, 1);
  o.step(1, 1e-3);
  int matrices = 0;
  for (const auto& e : s.flat.entries) {
    double square = 0;
    for (int64_t i = e.first; i < e.first + e.shape.count(); ++i)
      square += std::pow(double(s.flat.values.data()[i]) - before.data()[i], 2);
    const double rms = std::sqrt(square / double(e.shape.count()));
    const bool block = e.name.ends_with("qkv.weight") || e.name.ends_with("proj.weight") || e.name.ends_with("up.weight") ||
                       e.name.ends_with("down.weight");
    if (block) {
      ++matrices;
      EXPECT_GT(rms, 0.2e-3 * 0.6) << e.name;
      EXPECT_LT(rms, 0.2e-3 * 1.25) << e.name;
      for (int64_t i = e.first; i < e.first + e.shape.count(); ++i) ASSERT_EQ(o.v.data()[i], 0) << e.name;
    } else {
      EXPECT_NEAR(rms, 1e-3, 1e-5) << e.name;  // AdamW's first step is lr times the sign
    }
  }
  EXPECT_EQ(matrices, 4 * 4);
}

TEST(Optimizer, OnlyMatricesDecay) {
  OneModel s;
  OptimizerConfig c;
  c.decay = 0.5;
  shake(s.model);
  const Tensor before = s.flat.values.clone();
  Optimizer o(s.flat, c);
  o.step(1, 0.1);  // gradients of zero
  for (const auto& e : s.flat.entries) {
    const bool decays = e.shape.size() == 2 && e.name.ends_with(".weight");
    for (int64_t i = e.first; i < e.first + e.shape.count(); ++i)
      ASSERT_FLOAT_EQ(s.flat.values.data()[i], before.data()[i] * (decays ? 0.95f : 1.0f)) << e.name;
  }
}

TEST(Optimizer, SameBitsWithAnyNumberOfThreads) {
  const SettingsBack back;
  for (const Precision p : precisions()) {
    set_precision(p);
    std::vector<Tensor> ends;
    for (int n : {1, 2, 3}) {
      set_threads(n);
      OneModel s;
      Optimizer o(s.flat, {});
      for (int step = 1; step <= 3; ++step) s.gradients(uint64_t(step), 1), o.step(step, 1e-2);
      ends.push_back(s.flat.values), ends.push_back(o.ema);
    }
    for (size_t i = 2; i < ends.size(); ++i) EXPECT_TRUE(equal_bits(ends[i % 2].data(), ends[i].data(), ends[i].count()));
  }
}

TEST(Optimizer, EmaIsShorterAtTheStart) {
  OneModel s;
  OptimizerConfig c;
  c.ema = 0.5, c.decay = 0;
  Optimizer o(s.flat, c);
  Tensor ema = o.ema.clone(), most = ema.clone();
  for (int step = 1; step <= 12; ++step) {
    s.gradients(uint64_t(step), 1);
    o.step(step, 1e-2);
    const double keep = std::min(0.5, step / (step + 9.0));
    for (int64_t i = 0; i < s.flat.n; ++i) {
      float &e = ema.data()[i], &largest = most.data()[i];
      const float w = s.flat.values.data()[i];
      e = float(keep * e + (1 - keep) * w);
      largest = std::max(std::abs(largest), std::abs(w));
      ASSERT_NEAR(o.ema.data()[i], e, 4 * 0x1p-24f * largest * float(step));  // four roundings a step
    }
  }
}

}  // namespace
}  // namespace duet
