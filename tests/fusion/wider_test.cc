// A wider model, made of a narrower one.
#include "fusion/wider.h"

#include "fusion/grow.h"
#include "tests/fusion/tiny.h"

namespace duet {
namespace {

ModelConfig grown(int64_t width, int64_t hidden, int64_t k = 1) {
  ModelConfig c = tiny_config();
  c.width = width, c.hidden = hidden, c.patch *= k, c.size *= k;
  return c;
}

// Flow, caption and contrastive loss of one batch: through the stems, the fusion blocks and all heads.
std::vector<float> losses(const Model& m) {
  const NoGrad off;
  const TinyBatch t(5, m.config.size);
  const JointLoss l = joint_loss(m, t.batch, {});
  return {l.flow, l.caption, l.contrast};
}

TEST(Wider, SaysWhatTheNarrowerSaid) {
  const SettingsBack back;
  set_precision(Precision::f32);
  Model narrow(tiny_config());
  shake(narrow);
  const auto was = losses(narrow);
  const auto other = losses(Model(tiny_config(), 5));
  for (const auto& c : {grown(48, 48), grown(32, 80), grown(48, 64), grown(96, 128)}) {
    Model wide(c, 99);
    take_parameters(wide, narrow, "narrow");
    const auto is = losses(wide);
    for (size_t i = 0; i < was.size(); ++i) {
      // The norms' 1e-6 weighs up to three times as much beside a mean over three times the channels: of the words' embeddings,
      // whose mean square is 0.01, that changes 1 / rms by (3 - 1) * 1e-6 / 0.01 / 2.
      EXPECT_NEAR(is[i], was[i], 1e-4 * std::abs(was[i])) << "width " << c.width << " hidden " << c.hidden << " loss " << i;
      EXPECT_GT(std::abs(other[i] - was[i]), 1e-2 * std::abs(was[i])) << "another model says something else";
    }
  }
}

TEST(Wider, EveryNewEntryLearns) {
  Model narrow(tiny_config());
  shake(narrow);
  Model wide(grown(64, 96), 99);
  take_parameters(wide, narrow, "narrow");
  const Flat f = flatten([&](const Visit& v) { wide.params(v); });
  std::vector<bool> learnt(size_t(f.n));
  const TinyBatch t;
  for (int step = 0; step < 4; ++step) {
    std::fill_n(f.grads.data(), f.n, 0.0f);
    joint_loss(wide, t.batch, {}).total.backward();
    for (int64_t i = 0; i < f.n; ++i) {
      const float g = f.grads.data()[i];
      if (g != 0) f.values.data()[i] -= g > 0 ? 1e-3f : -1e-3f, learnt[size_t(i)] = true;
    }
  }
  for (const auto& e : f.entries) {
    int64_t idle = 0;
    for (int64_t i = 0; i < e.shape.count(); ++i) idle += !learnt[size_t(e.first + i)];
    // Row 0 is that of words, which the vision stem and the flow head never see.
    const bool pictures = e.name == "vision.0.own" || e.name == "head.flow.own" || e.name == "head.skip.own";
    EXPECT_EQ(idle, pictures ? e.shape.count() / 2 : 0) << e.name << " of " << e.shape.count();
  }
}

TEST(Wider, FinerAndWiderAtOnceAreOneAfterTheOther) {
  Model narrow(tiny_config());
  shake(narrow);
  Model both(grown(48, 64, 2), 99), finer(grown(32, 48, 2), 98), then(grown(48, 64, 2), 99);
  take_parameters(both, narrow, "narrow");
  take_parameters(finer, narrow, "narrow");
  take_parameters(then, finer, "finer");
  std::vector<Tensor> a;
  both.params([&](const std::string&, Var& v) { a.push_back(v.value()); });
  size_t i = 0;
  then.params([&](const std::string& n, Var& v) {
    EXPECT_TRUE(equal_bits(v.data(), a[i].data(), a[i].count())) << n;
    ++i;
  });
}

TEST(Wider, RefusesWhatIsNarrowerOrOfOtherHeads) {
  const auto complaint = [](const ModelConfig& from, const ModelConfig& to) -> std::string {
    Model a(from), b(to);
    EXPECT_FALSE(grows_to(from, to));
    try {
      take_parameters(b, a, "old");
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  };
  EXPECT_TRUE(grows_to(tiny_config(), grown(48, 64)));
  EXPECT_TRUE(grows_to(tiny_config(), grown(48, 64, 2)));
  EXPECT_EQ(complaint(grown(48, 48), tiny_config()),
            "old: table is (300,48) there and (300,32) in the config's [model]; give both the same sizes (model.patch and "
            "model.size may both be a whole multiple; model.width, in whole heads, and model.hidden may be larger)");
  EXPECT_NE(complaint(grown(32, 80), grown(48, 48)).find("old: table is (300,32) there and (300,48)"), std::string::npos);
  ModelConfig words = grown(48, 64);
  words.vocab = 400;
  EXPECT_NE(complaint(tiny_config(), words).find("old: table is (300,32) there and (400,48)"), std::string::npos);
  ModelConfig heads = grown(64, 64);
  heads.head = 32;
  EXPECT_NE(complaint(tiny_config(), heads).find("give both the same sizes"), std::string::npos);
}

}  // namespace
}  // namespace duet
