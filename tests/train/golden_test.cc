// Ten steps of the optimizer against PyTorch's: losses and gradient norms.
#include "tests/fusion/golden.h"

#include "train/optimizer.h"

namespace duet {
namespace {

TEST(Golden, LossesOfTenSteps) {
  const SettingsBack back;
  set_precision(Precision::f32);
  const Golden g;
  Flat f = flatten([&](const Visit& v) { g.model->params(v); });
  Optimizer o(f, {});
  const auto truth = g.read<double>("f64:losses");
  std::vector<std::vector<double>> naive{g.read<double>("f32:losses")};
  for (int i = 0; i < 3; ++i) naive.push_back(g.read<double>(join("f32:losses:", i)));
  ASSERT_EQ(truth.size(), 50u);
  const char* names[] = {"total", "flow", "caption", "contrast", "gradient norm"};
  // A rounding grows from step to step, and one number may be right by luck: what PyTorch's f32 runs lost so far of any of
  // the five, as a share of its size, is the measure.
  double lost = 0, most[5] = {};
  for (int step = 1; step <= 10; ++step) {
    const JointLoss l = joint_loss(*g.model, g.batch(uint64_t(10 + step)), Golden::loss());
    l.total.backward();
    const auto r = o.step(step, 0.01);
    const double got[] = {l.total.data()[0], l.flow, l.caption, l.contrast, r.norm};
    const double* t = &truth[size_t(step - 1) * 5];
    for (int i = 0; i < 5; ++i) {
      most[i] = std::max(most[i], std::abs(t[i]));
      for (const auto& n : naive) lost = std::max(lost, std::abs(n[size_t((step - 1) * 5 + i)] - t[i]) / most[i]);
    }
    for (int i = 0; i < 5; ++i) {
      if (std::getenv("DUET_SHOW_ERRORS"))
        std::printf("step %2d %-14s %9.6f error %.2e of it, PyTorch so far %.2e\n", step, names[i], t[i],
                    std::abs(got[i] - t[i]) / most[i], lost);
      EXPECT_NEAR(got[i], t[i], (2 * lost + 4 * 0x1p-24) * most[i]) << names[i] << " of step " << step;
    }
  }
}

}  // namespace
}  // namespace duet
