// One model of several.
#include "fusion/merge.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "fusion/fields.h"
#include "fusion/grow.h"
#include "kernels/files.h"
#include "tests/fusion/tiny.h"
#include "text/bpetrain.h"

namespace duet {
namespace {

Tokenizer words(const std::string& text) { return train_bpe({text}, 280, 1); }

std::string complaint(std::vector<Loaded> parts, std::vector<double> shares) {
  try {
    merged(std::move(parts), std::move(shares));
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

class MergeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "duet-merge-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  Loaded model(const std::string& name, uint64_t seed, const Provenance& more = {}, const ModelConfig& c = tiny_config()) {
    Model m(c, seed);
    shake(m, seed);
    save_weights(root_ + "/" + name, m, words("a red circle"), DType::f32, more);
    return load_weights(root_ + "/" + name, Device::cpu);
  }
  template <class... L>
  static std::vector<Loaded> list(L... l) {
    std::vector<Loaded> parts;
    (parts.push_back(std::move(l)), ...);
    return parts;
  }
  std::string root_;
};

std::vector<float> all(Model& m) {
  std::vector<float> out;
  m.params([&](const std::string&, Var& v) { out.insert(out.end(), v.value().floats().begin(), v.value().floats().end()); });
  return out;
}

TEST_F(MergeTest, IsTheWeightedMeanOfEveryParameter) {
  const auto a = all(*model("a", 1).model), b = all(*model("b", 2).model), c = all(*model("c", 3).model);
  const auto even = all(*merged(list(model("a", 1), model("b", 2)), {}).model);
  const auto third = all(*merged(list(model("a", 1), model("b", 2), model("c", 3)), {4, 1, 3}).model);
  double apart = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(even[i], float((double(a[i]) + b[i]) / 2)) << i;
    ASSERT_EQ(third[i], float(0.5 * a[i] + 0.125 * b[i] + 0.375 * c[i])) << i;
    apart += std::abs(a[i] - b[i]);
  }
  EXPECT_GT(apart / double(a.size()), 0.05) << "the two are not one";
}

TEST_F(MergeTest, SaysOfWhatItIsAndKeepsWhatStillHolds) {
  const std::string quick = R"({"steps":4,"guidance":1.0,"shift":3.0})";
  const Provenance a{{"styles", "emoji, 3D"}, {"training", "{}"}, {"steps", "9"}, {"sampling", quick}};
  const Provenance b{{"styles", "outline, emoji"}, {"sampling", quick}};
  Loaded both = merged(list(model("a", 1, a), model("b", 2, b)), {3, 1});
  EXPECT_EQ(both.styles, (std::vector<std::string>{"emoji", "3D", "outline"}));
  EXPECT_EQ(both.sampling.steps, 4);
  save_weights(root_ + "/both", *both.model, both.tokenizer, DType::f32, both.metadata);
  const Loaded again = load_weights(root_ + "/both", Device::cpu);
  EXPECT_EQ(again.styles, both.styles);
  EXPECT_EQ(again.sampling.steps, 4);
  EXPECT_FALSE(again.metadata.contains("training")) << "neither run made these weights";
  EXPECT_FALSE(again.metadata.contains("steps"));
  const auto of_what = nlohmann::json::parse(again.metadata.at("merged"))["of"];
  ASSERT_EQ(of_what.size(), 2u);
  EXPECT_EQ(of_what[0]["weights"], "a");
  EXPECT_EQ(of_what[0]["share"], 0.75);
  EXPECT_EQ(of_what[1]["xxh3"], hex64(model("b", 2, b).hash));

  const Loaded mixed = merged(list(model("a", 1, a), model("c", 3)), {});
  EXPECT_FALSE(mixed.metadata.contains("sampling")) << "one draws in 4 steps, the other does not";
  EXPECT_EQ(mixed.sampling.steps, Sampling().steps);
}

TEST_F(MergeTest, GivesToOneWhatTuningTaughtAnother) {
  const auto a = all(*model("a", 1).model), b = all(*model("b", 2).model), c = all(*model("c", 3).model);
  const std::string quick = R"({"steps":4,"guidance":1.0,"shift":3.0})";
  const Provenance tuned{{"sampling", quick}, {"styles", "3D"}}, base{{"styles", "flat"}};
  Loaded out = merged(list(model("a", 1), model("b", 2, tuned), model("c", 3, base)), {1, 1, -1}, 1);
  const auto got = all(*out.model);
  for (size_t i = 0; i < a.size(); ++i) ASSERT_EQ(got[i], float(double(a[i]) + b[i] - c[i])) << i;
  EXPECT_EQ(out.sampling.steps, 4);
  EXPECT_EQ(out.metadata.at("sampling"), quick);
  EXPECT_EQ(out.styles, std::vector<std::string>{"3D"}) << "what is taken away teaches no style";
}

TEST_F(MergeTest, GrowsTheCoarserToTheFinest) {
  ModelConfig fine = tiny_config();
  fine.patch *= 2, fine.size *= 2;
  Model grown(fine);
  take_parameters(grown, *model("a", 1).model, "a");
  const auto a = all(grown), b = all(*model("b", 2, {}, fine).model);
  Loaded out = merged(list(model("a", 1), model("b", 2, {}, fine)), {});
  EXPECT_EQ(out.model->config.size, fine.size);
  const auto got = all(*out.model);
  ASSERT_EQ(got.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) ASSERT_EQ(got[i], float((double(a[i]) + b[i]) / 2)) << i;
}

TEST_F(MergeTest, GivesToTheWiderWhatTuningTaughtTheNarrower) {
  ModelConfig wide = tiny_config();
  wide.width = 48, wide.hidden = 64;
  Loaded out = merged(list(model("wide", 1, {}, wide), model("tuned", 2), model("base", 3)), {1, 1, -1});
  const auto width = out.model->config.width;
  EXPECT_EQ(width, wide.width);
  Model tuned(wide), base(wide);
  take_parameters(tuned, *model("tuned", 2).model, "tuned");
  take_parameters(base, *model("base", 3).model, "base");
  const auto w = all(*model("wide", 1, {}, wide).model), t = all(tuned), b = all(base), got = all(*out.model);
  ASSERT_EQ(got.size(), w.size());
  for (size_t i = 0; i < w.size(); ++i) ASSERT_EQ(got[i], float(double(w[i]) + t[i] - b[i])) << i;
}

TEST_F(MergeTest, RefusesWhatHasNoMean) {
  const auto refused = [](const std::string& said, const char* part) { EXPECT_NE(said.find(part), std::string::npos) << said; };
  ModelConfig wide = tiny_config();
  wide.embed = 32;
  refused(complaint(list(model("a", 1)), {}), "takes two models or more");
  refused(complaint(list(model("a", 1), model("wide", 2, {}, wide)), {}), "another config than");
  refused(complaint(list(model("a", 1), model("b", 2)), {1}), "1 shares for 2 models");
  for (double bad : {0., double(INFINITY), std::nan("")})
    refused(complaint(list(model("a", 1), model("b", 2)), {1, bad}), "is not a number other than 0");
  refused(complaint(list(model("a", 1), model("b", 2)), {1, -1}), "the shares are 0 in all");
  ModelConfig bent = tiny_config();
  bent.patch *= 2;  // larger patches of a picture as large
  refused(complaint(list(model("a", 1), model("bent", 2, {}, bent)), {}), "another config than");
  Model m(tiny_config(), 4);
  save_weights(root_ + "/other", m, words("two blue stars"), DType::f32);
  refused(complaint(list(model("a", 1), load_weights(root_ + "/other", Device::cpu)), {}), "another tokenizer than");
}

}  // namespace
}  // namespace duet
