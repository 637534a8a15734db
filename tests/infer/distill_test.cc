// Distillation against the sampler: what a student is to guess takes it to where the sampler comes with the teacher.
#include "fusion/distill.h"

#include <gtest/gtest.h>

#include "fusion/flow.h"
#include "fusion/patchify.h"
#include "infer/flowbatch.h"
#include "kernels/gemm.h"
#include "tests/infer/tiny.h"

namespace duet {
namespace {

struct One {  // a batch of one picture
  std::vector<float> pixels;
  JointBatch batch;
  explicit One(const Model& m, uint64_t seed) {
    const int64_t S = m.config.size;
    for (int64_t i = 0; i < S * S * 4; ++i) pixels.push_back(std::tanh(normal(5, uint64_t(i))));
    batch.B = 1, batch.size = S, batch.pixels = pixels.data(), batch.seed = seed, batch.null_token = tiny_tokenizer().bos();
    auto text = prompt_ids(tiny_tokenizer(), "a red star");
    text.push_back(tiny_tokenizer().eos());
    batch.text = {text}, batch.same = {1};
  }
};

// Every step of the student's, with words and without.
TEST(Distill, TheGuessLeadsToWhereTheTeacherComes) {
  const Precision before = precision();
  set_precision(Precision::f32);
  const auto m = tiny_model();
  const DistillConfig d{.teacher = "", .steps = 3, .parts = 2, .guidance = 3, .shift = 2};
  std::vector<int> seen(size_t(d.steps), 0);
  for (uint64_t seed = 0; seed < 12; ++seed)
    for (const double drop : {0.0, 1.0}) {
      const One one(*m, seed);
      const FlowGoal goal = distill_goal(*m, one.batch, {.drop = drop}, d);
      ASSERT_EQ(goal.t.size(), 1u);
      int step = 0;
      while (step < d.steps && step_time(step, d.steps, d.shift) != goal.t[0]) ++step;
      ASSERT_LT(step, d.steps) << "t " << goal.t[0];
      ++seen[size_t(step)];

      // The sampler, from the same noise and picture, as many steps on.
      DrawOptions o;
      o.steps = d.steps * d.parts, o.guidance = d.guidance, o.shift = d.shift;
      const Given given{one.pixels, {}, 1 - double(step) / d.steps};
      DrawRequest request{drop > 0 ? std::vector<int>{tiny_tokenizer().bos()} : prompt_ids(tiny_tokenizer(), "a red star"),
                          {},
                          mix(one.batch.seed, 2)};
      Drawing begin(*m, tiny_tokenizer(), request, o, &given), end(*m, tiny_tokenizer(), request, o, &given);
      ASSERT_EQ(begin.step(), step * d.parts);
      FlowBatch batch(*m, tiny_tokenizer());
      Drawing* of[] = {&end};
      for (int i = 0; i < d.parts; ++i) batch.advance(of);

      const int64_t S = m->config.size;
      const auto patches = [&](const std::vector<float>& p) { return patchify(p.data(), 1, S, S, m->config.patch); };
      const Tensor from = patches(begin.pixels()), to = patches(end.pixels());
      const float t = goal.t[0], next = step_time(step + 1, d.steps, d.shift);
      double most = 0;
      for (int64_t i = 0; i < from.count(); ++i) {
        const float z = from.data()[i], x = goal.target.data()[i];
        most = std::max(most, double(std::abs(to.data()[i])));
        // f32 rounding of a few sums of numbers of this size, made larger by the quotient of the steps
        ASSERT_NEAR(z + (next - t) / (1 - t) * (x - z), to.data()[i], 3e-5 * (1 + std::abs(to.data()[i]))) << "step " << step;
      }
      EXPECT_GT(most, 0.1);
    }
  for (int s = 0; s < d.steps; ++s) EXPECT_GT(seen[size_t(s)], 0) << "step " << s;
  set_precision(before);
}

// Pictures of a batch are taken apart: each as if it were alone, but for the step it is at.
TEST(Distill, ABatchHoldsEveryStep) {
  const auto m = tiny_model();
  const DistillConfig d{.teacher = "", .steps = 4, .parts = 1, .guidance = 1, .shift = 3};
  One one(*m, 3);
  const size_t n = one.pixels.size();
  std::vector<float> pixels;
  for (int b = 0; b < 9; ++b) pixels.insert(pixels.end(), one.pixels.begin(), one.pixels.begin() + int64_t(n));
  one.batch.B = 9, one.batch.pixels = pixels.data();
  one.batch.text.assign(9, one.batch.text[0]), one.batch.same.assign(9, 1);
  const FlowGoal goal = distill_goal(*m, one.batch, {}, d);
  std::vector<float> times = goal.t;
  std::sort(times.begin(), times.end());
  times.erase(std::unique(times.begin(), times.end()), times.end());
  ASSERT_EQ(times.size(), 4u);
  for (int s = 0; s < 4; ++s) EXPECT_EQ(times[size_t(s)], step_time(s, 4, 3));
}

TEST(Distill, RefusesWhatIsNoStep) {
  const auto m = tiny_model();
  const One one(*m, 1);
  EXPECT_THROW(distill_goal(*m, one.batch, {}, {.steps = 0}), Error);
  EXPECT_THROW(distill_goal(*m, one.batch, {}, {.parts = 0}), Error);
  EXPECT_THROW(distill_goal(*m, one.batch, {}, {.guidance = 0}), Error);
  EXPECT_THROW(distill_goal(*m, one.batch, {}, {.shift = 0}), Error);
}

}  // namespace
}  // namespace duet
