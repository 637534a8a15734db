// A model of finer pictures, made of one of coarser.
#include "fusion/finer.h"

#include "fusion/grow.h"
#include "fusion/patchify.h"
#include "tests/fusion/tiny.h"

namespace duet {
namespace {

ModelConfig grown(ModelConfig c, int64_t k) {
  c.patch *= k, c.size *= k;
  return c;
}

// What the flow head says of one noisy picture (S,S,4), as a picture.
std::vector<float> guess(const Model& m, const std::vector<float>& pixels) {
  const NoGrad off;
  const int64_t S = m.config.size, side = S / m.config.patch;
  const Tensor patches = patchify(pixels.data(), 1, S, S, m.config.patch);
  const Layout l = make_layout({{Segment::image(int(side), int(side), 1)}});
  const auto times = m.times({0.3f});
  const Var x = m.flow_head(m.fuse(m.vision_stem(patches, l, times), l, times), patches, l.pos, l.row, times);
  std::vector<float> out(pixels.size());
  unpatchify(out.data(), x.value().data(), 1, S, S, m.config.patch);
  return out;
}

std::vector<float> enlarged(const std::vector<float>& pixels, int64_t S, int64_t k) {
  std::vector<float> out;
  for (int64_t y = 0; y < S * k; ++y)
    for (int64_t x = 0; x < S * k; ++x)
      for (int64_t c = 0; c < 4; ++c) out.push_back(pixels[size_t((y / k * S + x / k) * 4 + c)]);
  return out;
}

TEST(Finer, SaysOfAnEnlargedPictureWhatTheCoarserSaid) {
  ModelConfig c = tiny_config();
  c.refine = 0;
  Model coarse(c);
  shake(coarse);
  const TinyBatch one(1);
  const auto said = guess(coarse, one.pixels);
  for (int64_t k : {2, 3}) {
    Model fine(grown(c, k), 99);
    take_parameters(fine, coarse, "coarse");
    const auto says = guess(fine, enlarged(one.pixels, c.size, k)), want = enlarged(said, c.size, k);
    // The patch embedding sums k^2 times as many products, 64 k^2 of them: f32 rounds each sum anew.
    for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(says[i], want[i], 2e-5 * (1 + std::abs(want[i]))) << k << " " << i;
    double moved = 0;
    for (float v : want) moved += std::abs(v);
    EXPECT_GT(moved / double(want.size()), 0.1) << "the shaken model says something";
  }
}

TEST(Finer, WhatMeetsNoPixelsStaysToTheBit) {
  Model coarse(tiny_config()), fine(grown(tiny_config(), 2), 99);
  shake(coarse);
  take_parameters(fine, coarse, "coarse");
  std::map<std::string, Tensor> was;
  coarse.params([&](const std::string& n, Var& v) { was[n] = v.value(); });
  int same = 0;
  fine.params([&](const std::string& n, Var& v) {
    if (v.shape() != was.at(n).shape()) return;
    EXPECT_TRUE(equal_bits(v.data(), was.at(n).data(), v.value().count())) << n;
    ++same;
  });
  EXPECT_EQ(same, int(was.size()) - 6);  // patch_in, flow and its bias, masks, and both of the skip
}

TEST(Finer, RefusesSizesThatDoNotGoTogether) {
  const auto complaint = [](const ModelConfig& from, const ModelConfig& to) -> std::string {
    Model a(from), b(to);
    try {
      take_parameters(b, a, "old");
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  };
  ModelConfig c = tiny_config(), finer = grown(c, 2), odd = finer;
  odd.size = c.size;  // larger patches, but not of a larger picture
  EXPECT_EQ(complaint(c, finer), "accepted");
  EXPECT_EQ(
      complaint(c, odd),
      "old: vision.patch_in.weight is (32,64) there and (32,256) in the config's [model]; give both the same sizes "
      "(model.patch and model.size may both be a whole multiple; model.width, in whole heads, and model.hidden may be larger)");
  EXPECT_NE(complaint(finer, c).find("give both the same sizes"), std::string::npos);
}

}  // namespace
}  // namespace duet
