// The whole model on the card against the CPU: one batch's losses and gradients, then steps of the optimizer.
#include "tests/cuda/both.h"
#include "tests/fusion/tiny.h"
#include "train/optimizer.h"

namespace duet {
namespace {

struct OnDevice {
  Model model{tiny_config()};
  Flat flat;
  explicit OnDevice(Device d) {
    shake(model);
    flat = flatten([this](const Visit& v) { model.params(v); }, d);
  }
};

#ifdef DUET_HOST_SHIM
constexpr int kSteps = 3;
#else
constexpr int kSteps = 20;
#endif

// How far a precision may be off is measured, not guessed: by what changing the parameters by one rounding does on the CPU.
TEST(CudaModel, LossesAndGradientsAreTheCpus) {
  const DeviceBack back;
  set_device(Device::cuda);
  const TinyBatch t;
  for (const Precision p : {Precision::f32, Precision::bf16}) {
    set_precision(Precision::f32);
    OnDevice cpu(Device::cpu), twin(Device::cpu);
    for (float& x : twin.flat.values.floats()) x = p == Precision::bf16 ? round_bf16(x) : x * (1 + 0x1p-22f);
    const JointLoss want = joint_loss(cpu.model, t.batch, {}), naive = joint_loss(twin.model, t.batch, {});
    want.total.backward(), naive.total.backward();
    const double rounding = relative_error(cpu.flat.grads, twin.flat.grads);
    ASSERT_GT(rounding, 0);
    set_precision(p);
    OnDevice card(Device::cuda);
    const JointLoss got = joint_loss(card.model, t.batch, {});
    got.total.backward();
    EXPECT_NEAR(float(got.flow), float(want.flow), 4 * rounding * want.flow);
    EXPECT_NEAR(float(got.caption), float(want.caption), 4 * rounding * want.caption);
    EXPECT_NEAR(float(got.contrast), float(want.contrast), 4 * rounding * want.contrast);
    const double error = relative_error(cpu.flat.grads, card.flat.grads.to(Device::cpu));
    EXPECT_LE(error, 4 * rounding);
    if (std::getenv("DUET_SHOW_ERRORS"))
      std::printf("gradients: error %.2e, one rounding of the weights %.2e\n", error, rounding);
  }
}

// Roundings grow from step to step; how fast is seen on the CPU, from a twin whose weights start one rounding away.
TEST(CudaModel, StepsFollowTheCpus) {
  const DeviceBack back;
  set_device(Device::cuda);
  set_precision(Precision::f32);
  OnDevice cpu(Device::cpu), twin(Device::cpu), card(Device::cuda);
  for (float& x : twin.flat.values.floats()) x *= 1 + 0x1p-22f;
  Optimizer oc(cpu.flat, {}), ot(twin.flat, {}), og(card.flat, {});
  double drift = 0;
  for (int step = 1; step <= kSteps; ++step) {
    const TinyBatch t(5, 16, uint64_t(step));
    const auto one = [&](OnDevice& m, Optimizer& o) {
      const JointLoss l = joint_loss(m.model, t.batch, {});
      l.total.backward();
      const double loss = l.total.value().to(Device::cpu).data()[0];
      EXPECT_TRUE(o.step(step, 1e-3).applied);
      return loss;
    };
    const double want = one(cpu, oc), other = one(twin, ot), got = one(card, og);
    drift = std::max(drift, std::abs(want - other));
    EXPECT_NEAR(want, got, 4 * drift + 4 * 0x1p-24 * want) << "step " << step;
  }
  const double rounding = relative_error(cpu.flat.values, twin.flat.values);
  EXPECT_LE(relative_error(cpu.flat.values, card.flat.values.to(Device::cpu)), 4 * rounding);
  EXPECT_LE(relative_error(oc.ema, og.ema.to(Device::cpu)), 4 * relative_error(oc.ema, ot.ema));
}

TEST(CudaModel, ANonFiniteGradientIsNotApplied) {
  const DeviceBack back;
  set_device(Device::cuda);
  set_precision(Precision::f32);
  OnDevice card(Device::cuda);
  Optimizer o(card.flat, {});
  const Tensor before = card.flat.values.to(Device::cpu);
  Tensor bad({1});
  bad.data()[0] = NAN;
  copy_values(card.flat.grads.slice(7, {1}), bad);
  EXPECT_FALSE(o.step(1, 1e-2).applied);
  EXPECT_TRUE(same_bits(before, card.flat.values.to(Device::cpu)));
  EXPECT_TRUE(same_bits(before, o.ema.to(Device::cpu)));
  EXPECT_TRUE(o.step(1, 1e-2).applied) << "the bad gradient is gone";
}

TEST(CudaModel, OutOfMemoryIsOneLine) {
  const DeviceBack back;
  set_device(Device::cuda);
  std::string said;
  try {
    const Tensor never({int64_t(1) << 50}, DType::u8, Device::cuda);
  } catch (const Error& e) {
    said = e.what();
  }
  EXPECT_TRUE(said.find("out of memory") != std::string::npos) << said;
  EXPECT_TRUE(said.find('\n') == std::string::npos) << said;
  const Tensor small = Tensor::zeros({5}, DType::f32, Device::cuda);  // and goes on
  EXPECT_EQ(small.to(Device::cpu).data()[4], 0.0f);
}

TEST(CudaModel, RecomputingGivesTheSameGradients) {
  const DeviceBack back;
  set_device(Device::cuda);
  set_precision(Precision::f32);
  const TinyBatch t;
  Tensor grads[2];
  for (const bool twice : {false, true}) {
    OnDevice card(Device::cuda);
    set_recompute(twice);
    joint_loss(card.model, t.batch, {}).total.backward();
    set_recompute(false);
    grads[twice] = card.flat.grads.to(Device::cpu);
  }
  // The same products; gradients of what blocks share may be added in another order.
  EXPECT_LE(relative_error(grads[0], grads[1]), 0x1p-20);
}

TEST(CudaModel, SameBitsTwice) {
  const DeviceBack back;
  set_device(Device::cuda);
  set_deterministic(true);
  set_precision(Precision::bf16);
  const TinyBatch t;
  Tensor grads[2];
  for (Tensor& g : grads) {
    OnDevice card(Device::cuda);
    joint_loss(card.model, t.batch, {}).total.backward();
    g = card.flat.grads.to(Device::cpu);
  }
  set_deterministic(false);
  EXPECT_TRUE(same_bits(grads[0], grads[1]));
}

}  // namespace
}  // namespace duet
