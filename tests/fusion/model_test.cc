#include "fusion/model.h"

#include "tests/fusion/tiny.h"

namespace duet {
namespace {

// The states of a sequence of a picture, words and a second picture after the fusion blocks.
struct Three {
  std::vector<int32_t> ids{3, 20, 21, 22, 23};
  Tensor patches{Shape{10, 64}};
  Three() {
    for (int64_t i = 0; i < patches.count(); ++i) patches.data()[i] = normal(2, uint64_t(i));
  }
  // rows: 6 of the first picture (2x3), 5 of text, 4 of the second picture (2x2)
  Tensor states(const Model& m) const {
    const NoGrad off;
    const auto times = m.times({1.0f, 0.3f});
    const Var text = m.text_stem(Tensor::ints(ids), make_layout({{Segment::text(5)}}));
    const Var seen = m.vision_stem(patches, make_layout({{Segment::image(2, 3, 1)}, {Segment::image(2, 2, 2)}}), times);
    const std::vector<int32_t> from{-1, -2, -3, -4, -5, -6, 0, 1, 2, 3, 4, -7, -8, -9, -10};
    return m
        .fuse(gather(text, seen, Tensor::ints(from)),
              make_layout({{Segment::image(2, 3, 1), Segment::text(5), Segment::image(2, 2, 2)}}), times)
        .value();
  }
};

// Which rows of 15 differ.
std::string moved(const Tensor& a, const Tensor& b) {
  std::string s;
  for (int64_t n = 0; n < 15; ++n) s += equal_bits(a.data() + n * 32, b.data() + n * 32, 32) ? '.' : 'x';
  return s;
}

TEST(Model, SegmentsSeeWhatTheRuleSays) {
  const SettingsBack back;
  for (const Precision p : precisions()) {
    set_precision(p);
    Model m(tiny_config());
    shake(m);
    const Three three;
    const Tensor base = three.states(m);
    Three last_word, second_word, first_patch, last_patch;
    last_word.ids[4] = 99, second_word.ids[1] = 99;
    first_patch.patches.data()[5 * 64] += 1;  // the last patch of the first picture
    last_patch.patches.data()[9 * 64] += 1;
    EXPECT_EQ(moved(base, last_word.states(m)), "..........xxxxx");    // itself and the picture after it
    EXPECT_EQ(moved(base, second_word.states(m)), ".......xxxxxxxx");  // no earlier word
    EXPECT_EQ(moved(base, first_patch.states(m)), "xxxxxxxxxxxxxxx");  // all of its picture and what comes later
    EXPECT_EQ(moved(base, last_patch.states(m)), "...........xxxx");   // all of its picture, nothing earlier
  }
}

TEST(Model, NoiseLevelsMoveTheirOwnPictureAlone) {
  Model m(tiny_config());
  shake(m);
  const NoGrad off;
  const Three three;
  const auto seen = [&](float a, float b) {
    return m.vision_stem(three.patches, make_layout({{Segment::image(2, 3, 1)}, {Segment::image(2, 2, 2)}}), m.times({a, b}));
  };
  const Var x = seen(0.5f, 0.5f), y = seen(0.5f, 0.6f);
  EXPECT_TRUE(equal_bits(x.data(), y.data(), 6 * 32));
  for (int64_t n = 6; n < 10; ++n) EXPECT_FALSE(equal_bits(x.data() + n * 32, y.data() + n * 32, 32));
}

// Words through the cache, then the picture; or one word at a time: the bits of the whole sequence at once.
TEST(Model, CachedEqualsUncachedToTheBit) {
  const SettingsBack back;
  for (const Precision p : precisions()) {
    set_precision(p);
    Model m(tiny_config());
    shake(m);
    const NoGrad off;
    const Three three;
    const auto times = m.times({1.0f, 0.3f});
    const Tensor base = three.states(m);
    const Var text = m.text_stem(Tensor::ints(three.ids), make_layout({{Segment::text(5)}}));
    const Var seen = m.vision_stem(three.patches, make_layout({{Segment::image(2, 3, 1)}, {Segment::image(2, 2, 2)}}), times);
    auto caches = m.fusion_caches(1, 40);
    std::vector<int32_t> used{0};
    int64_t row = 0;
    const auto feed = [&](const std::vector<int32_t>& from, Segment s) {
      const Var h = m.fuse(gather(text, seen, Tensor::ints(from)), make_layout({{s}}, used), times, &caches, &used);
      EXPECT_TRUE(equal_bits(h.data(), base.data() + row * 32, h.value().count())) << "from row " << row;
      row += h.dim(0), used[0] += int32_t(h.dim(0));
    };
    feed({-1, -2, -3, -4, -5, -6}, Segment::image(2, 3, 1));
    for (int32_t t = 0; t < 5; ++t) feed({t}, Segment::text(1, t));
    for (int again = 0; again < 2; ++again) {  // the sampler runs the picture again and again after the same words
      feed({-7, -8, -9, -10}, Segment::image(2, 2, 2));
      row -= 4, used[0] -= 4;
    }
  }
}

TEST(Model, ANewModelPredictsNothing) {
  Model m(tiny_config());
  const NoGrad off;
  const Three three;
  const auto times = m.times({0.5f});
  const Var x = m.flow_head(Var(three.states(m)), Tensor::zeros({15, m.patch_values()}), Tensor::zeros({15, 2}, DType::i32),
                            Tensor::ints(std::vector<int32_t>(15, 1)), times);
  for (float v : x.value().floats()) ASSERT_EQ(v, 0);
}

TEST(Model, SameSeedSameWeights) {
  Model a(tiny_config(), 5), b(tiny_config(), 5), c(tiny_config(), 6);
  const auto all = [](Model& m) { return flatten([&](const Visit& v) { m.params(v); }); };
  const Flat fa = all(a), fb = all(b), fc = all(c);
  EXPECT_TRUE(equal_bits(fa.values.data(), fb.values.data(), fa.n));
  EXPECT_FALSE(equal_bits(fa.values.data(), fc.values.data(), fa.n));
  int64_t n = 0;
  for (const auto& e : fa.entries) {
    n += e.shape.count();
    EXPECT_EQ(e.first % 16, 0) << e.name;
  }
  EXPECT_EQ(n, count_params(a));
}

TEST(Model, RefusesSizesThatDoNotDivide) {
  ModelConfig c = tiny_config();
  c.head = 24;
  EXPECT_THROW(Model{c}, Error);
  c = tiny_config(), c.size = 18;
  EXPECT_THROW(Model{c}, Error);
}

}  // namespace
}  // namespace duet
