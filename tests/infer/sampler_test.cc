#include "infer/sampler.h"

#include <gtest/gtest.h>

#include "fusion/narrow.h"
#include "infer/flowbatch.h"
#include "kernels/error.h"
#include "tests/fusion/tiny.h"
#include "text/bpetrain.h"

namespace duet {
namespace {

const Tokenizer& words() {
  static const Tokenizer t = train_bpe({"a red circle", "빨간 원"}, 290, 1);
  return t;
}

const Model& model() {
  static const Model* m = [] {
    auto* made = new Model(tiny_config());
    shake(*made);
    return made;
  }();
  return *m;
}

DrawRequest request(uint64_t seed, int tokens) {
  DrawRequest r{.prompt = {3}, .negative = {}, .seed = seed};
  for (int i = 1; i < tokens; ++i) r.prompt.push_back(20 + int(mix(seed, uint64_t(i)) % 250));
  return r;
}

std::vector<DrawRequest> five() {
  std::vector<DrawRequest> r;
  for (int i = 0; i < 5; ++i) r.push_back(request(uint64_t(i + 1), 1 + 7 * i));
  r[2].negative = {3, 40, 41};
  return r;
}

const std::vector<DrawOptions> kWays = {{.steps = 4, .guidance = 3},
                                        {.steps = 3, .guidance = 1},
                                        {.steps = 5, .guidance = 3, .guide_from = 0.05, .guide_to = 0.4},
                                        {.steps = 3, .guidance = 2, .heun = true, .width = 24, .height = 12}};

TEST(Sampler, APictureDependsOnItsRequestAlone) {
  const SettingsBack back;
  for (const Precision p : precisions())
    for (const DrawOptions& o : kWays) {
      set_precision(p);
      const auto all = five();
      set_threads(1);
      const auto batch = draw(model(), words(), all, o);
      const size_t n = batch.size() / 5;
      EXPECT_EQ(n, size_t((o.width ? o.width : 16) * (o.height ? o.height : 16) * 4));
      for (float x : batch) ASSERT_TRUE(std::isfinite(x));
      for (int threads : {2, 3}) {
        set_threads(threads);
        EXPECT_EQ(batch, draw(model(), words(), all, o)) << threads << " threads";
      }
      set_threads(1);
      for (size_t b = 0; b < 5; ++b) {
        const auto alone = draw(model(), words(), {all[b]}, o);
        EXPECT_TRUE(equal_bits(alone.data(), batch.data() + b * n, int64_t(n)))
            << "request " << b << " alone" << (p == Precision::bf16 ? ", bf16" : "");
      }
      EXPECT_FALSE(equal_bits(batch.data(), batch.data() + n, int64_t(n)));
    }
}

TEST(Sampler, WithInt8WeightsAPictureDependsOnItsRequestAlone) {
  if (!has_int8()) GTEST_SKIP() << "this CPU has no AVX-512 VNNI";
  const SettingsBack back;
  Model m(tiny_config());
  shake(m);
  const DrawOptions o = kWays[0];
  const auto all = five();
  set_threads(1);
  const auto wide = draw(m, words(), all, o);
  const Frozen narrow(int8_weights(m));
  EXPECT_EQ(int8_weights(m).size(), 4 * 4u) << "four of each of four blocks";
  const auto batch = draw(m, words(), all, o);
  const size_t n = batch.size() / 5;
  for (float x : batch) ASSERT_TRUE(std::isfinite(x));
  EXPECT_NE(batch, wide);
  for (int threads : {2, 3}) {
    set_threads(threads);
    EXPECT_EQ(batch, draw(m, words(), all, o)) << threads << " threads";
    for (size_t b = 0; b < 5; ++b) {
      const auto alone = draw(m, words(), {all[b]}, o);
      EXPECT_TRUE(equal_bits(alone.data(), batch.data() + b * n, int64_t(n))) << "request " << b << " alone";
    }
  }
  FlowBatch flow(m, words());
  Drawing first(m, words(), all[0], o), second(m, words(), all[1], o);
  for (Drawing* both[] = {&first, &second}; !first.done();) flow.advance(both);
  for (size_t b : {0, 1}) {
    const auto made = (b ? second : first).pixels();
    EXPECT_TRUE(equal_bits(made.data(), batch.data() + b * n, int64_t(n))) << "request " << b << " in a batch that others join";
  }
}

// The cached words and the doubled pass of guidance, against one pass over [text][image] without a cache.
TEST(Sampler, OneStepIsTheFlowHeadOverTheWholeSequence) {
  const SettingsBack back;
  for (const Precision p : precisions()) {
    set_precision(p);
    const DrawRequest r = request(5, 9);
    const auto got = draw(model(), words(), {r}, {.steps = 1, .guidance = 1});
    const NoGrad off;
    const Model& m = model();
    const int64_t P = 16, V = m.patch_values();
    Tensor z({P, V});
    for (int64_t i = 0; i < P * V; ++i) z.data()[i] = normal(r.seed, uint64_t(i));
    const auto times = m.times({0.0f});
    std::vector<int32_t> ids(r.prompt.begin(), r.prompt.end()), from;
    const int n = int(ids.size());
    for (int i = 0; i < n; ++i) from.push_back(i);
    for (int i = 0; i < P; ++i) from.push_back(-i - 1);
    const Var text = m.text_stem(Tensor::ints(ids), make_layout({{Segment::text(n)}}));
    const Var seen = m.vision_stem(z, make_layout({{Segment::image(4, 4, 1)}}), times);
    const Var h = m.fuse(gather(text, seen, Tensor::ints(from)), make_layout({{m.prompt(n), Segment::image(4, 4, 1)}}), times);
    std::vector<int32_t> picture;
    for (int i = 0; i < P; ++i) picture.push_back(n + i);
    const Var x = m.flow_head(gather(h, {}, Tensor::ints(picture)), z, make_layout({{Segment::image(4, 4, 1)}}).pos,
                              Tensor::ints(std::vector<int32_t>(size_t(P), 1)), times);
    for (int64_t patch = 0; patch < P; ++patch)
      for (int64_t y = 0; y < 4; ++y)
        for (int64_t i = 0; i < 16; ++i) {
          const float guess = x.data()[patch * V + y * 16 + i], noise = z.data()[patch * V + y * 16 + i];
          // one step from t = 0 to 1: z + (x - z), rounded as the sampler rounds it
          ASSERT_EQ(got[size_t(((patch / 4 * 4 + y) * 16 + patch % 4 * 4) * 4 + i)], noise + (guess - noise))
              << "patch " << patch << (p == Precision::bf16 ? ", bf16" : "");
        }
  }
}

TEST(Sampler, NoMemoryAfterTheSecondStep) {
  const SettingsBack back;
  set_threads(1);
  for (const DrawOptions& way : kWays) {
    DrawOptions o = way;
    o.steps = 6;
    size_t first = 0;
    draw(model(), words(), five(), o, [&](int step, const float*) {
      // Of each kind of step: guided ones have twice the rows. What the first step keeps for all (index tensors of the
      // layout) lies in blocks that the second asks for anew.
      if (step <= 2 || step_time(o, step - 2) < o.guide_from) first = memory_stats().calls;
      EXPECT_EQ(memory_stats().calls, first) << "step " << step;
    });
    EXPECT_EQ(memory_stats().calls, first);
  }
}

// With a model that always predicts the same picture, any number of steps of either kind ends exactly at it.
TEST(Sampler, AConstantPredictionIsReached) {
  const SettingsBack back;
  set_threads(1);
  Model m(tiny_config());  // heads start at zero
  m.params([&](const std::string& name, Var& v) {
    if (name == "head.flow.bias")
      for (int64_t i = 0; i < v.value().count(); ++i) v.data()[i] = 0.1f * float(i % 4);
  });
  for (bool heun : {false, true})
    for (int steps : {1, 2, 7}) {
      const auto x = draw(m, words(), {request(1, 3)}, {.steps = steps, .guidance = 3, .heun = heun});
      for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], 0.1f * float(i % 4), 4 * steps * 0x1p-24) << steps;
    }
}

TEST(Sampler, GuidanceSteersAwayFromTheNegative) {
  const SettingsBack back;
  set_threads(1);
  const DrawRequest r = request(5, 9);
  DrawRequest against = r;
  against.negative = r.prompt;
  // with = without: guidance has nothing to add, up to the rounding of x + g (x - x)
  EXPECT_EQ(draw(model(), words(), {against}, {.steps = 2, .guidance = 7}),
            draw(model(), words(), {r}, {.steps = 2, .guidance = 1}));
  EXPECT_NE(draw(model(), words(), {r}, {.steps = 2, .guidance = 7}), draw(model(), words(), {r}, {.steps = 2, .guidance = 1}));
}

// Guided while guide_from <= t <= guide_to, both ends counted; elsewhere a step is the one of guidance 1. The first step that
// differs tells where the interval begins, the guesses from there on where it ends.
TEST(Sampler, GuidanceHoldsInItsInterval) {
  const SettingsBack back;
  set_threads(1);
  const std::vector<DrawRequest> r{request(5, 9), request(6, 4)};
  const auto guesses = [&](const DrawOptions& o) {
    std::vector<std::vector<float>> out;
    const size_t n = size_t(2 * model().config.size * model().config.size * 4);
    draw(model(), words(), r, o, [&](int, const float* guess) { out.emplace_back(guess, guess + n); });
    return out;
  };
  const DrawOptions always{.steps = 6, .guidance = 3}, never{.steps = 6, .guidance = 1};
  const auto with = guesses(always), without = guesses(never);
  EXPECT_NE(with[0], without[0]);
  DrawOptions o = always;
  o.guide_to = step_time(o, 2);  // steps 0, 1, 2
  const auto early = guesses(o);
  for (int s = 0; s < 3; ++s) EXPECT_EQ(early[size_t(s)], with[size_t(s)]) << s;
  EXPECT_NE(early[3], with[3]);
  o.guide_to = std::nextafter(o.guide_to, 0.0);  // steps 0, 1
  const auto earlier = guesses(o);
  EXPECT_EQ(earlier[1], with[1]);
  EXPECT_NE(earlier[2], with[2]);
  o.guide_from = step_time(o, 3), o.guide_to = 1;  // steps 3, 4, 5
  const auto late = guesses(o);
  for (int s = 0; s < 3; ++s) EXPECT_EQ(late[size_t(s)], without[size_t(s)]) << s;
  EXPECT_NE(late[3], without[3]);
  o.guide_from = std::nextafter(o.guide_from, 1.0);  // steps 4, 5
  const auto later = guesses(o);
  EXPECT_EQ(later[3], without[3]);
  EXPECT_NE(later[4], without[4]);
  o.guide_from = 0.5, o.guide_to = 0.5;  // no step begins there
  EXPECT_EQ(guesses(o), without);
  o.guide_from = 0, o.guide_to = 1;
  EXPECT_EQ(guesses(o), with);
}

TEST(Sampler, PromptsCarryTheirLanguage) {
  EXPECT_EQ(prompt_ids(words(), "a red circle")[0], words().special("<|en|>"));
  EXPECT_EQ(prompt_ids(words(), "빨간 원")[0], words().special("<|ko|>"));
  EXPECT_EQ(prompt_ids(words(), "a ㅋ")[0], words().special("<|ko|>"));
  EXPECT_EQ(prompt_ids(words(), "café → é 日本")[0], words().special("<|en|>"));
  EXPECT_EQ(prompt_ids(words(), "a red circle", 2).size(), 2u);
  EXPECT_EQ(prompt_ids(words(), "").size(), 1u);
}

TEST(Sampler, RefusesSizesThatAreNoPatches) {
  EXPECT_THROW(draw(model(), words(), {request(1, 3)}, {.width = 18}), Error);
  EXPECT_THROW(draw(model(), words(), {request(1, 3)}, {.steps = 0}), Error);
  EXPECT_TRUE(draw(model(), words(), {}, {}).empty());
}

}  // namespace
}  // namespace duet
