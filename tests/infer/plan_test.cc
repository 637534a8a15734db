// `duet plan`: its counts against those of a whole batch, counted another way.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "fusion/fields.h"
#include "infer/cli.h"
#include "kernels/gemm.h"
#include "kernels/parallel.h"
#include "kernels/random.h"
#include "tests/infer/tiny.h"
#include "train/trainer.h"

namespace duet {
namespace {

struct Said {
  int code;
  std::string out, err;
};

Said plan(std::vector<std::string> args) {
  args.insert(args.begin(), {"duet", "plan"});
  std::vector<const char*> argv;
  for (const auto& a : args) argv.push_back(a.c_str());
  CLI::App app;
  app.require_subcommand(1);
  add_plan_verb(app);
  testing::internal::CaptureStdout(), testing::internal::CaptureStderr();
  const int code = run_program(app, int(argv.size()), argv.data());
  std::fflush(stdout);
  Said s{code, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
  set_precision(Precision::f32);
  return s;
}

const std::string kTiny = std::string(DUET_SOURCE_DIR) + "/assets/configs/tiny.toml";

TEST(Plan, CountsWhatABatchTakes) {
  const Said s = plan({kTiny, "--json", "--set", "precision=f32", "--set", "loss.drop=0"});
  ASSERT_EQ(s.code, 0) << s.err;
  const auto j = nlohmann::json::parse(s.out);

  TrainConfig c;
  load_toml(kTiny, c);
  Model m(c.model);
  const Flat flat = flatten([&](const Visit& v) { m.params(v); });
  EXPECT_EQ(j["parameters"], count_params(m));
  EXPECT_DOUBLE_EQ(j["fixed_bytes"].get<double>(), double(flat.n) * 20);
  const int64_t B = 40;
  std::vector<float> pixels(size_t(B * c.model.size * c.model.size * 4), 0.5f);
  JointBatch b;
  b.B = B, b.size = c.model.size, b.pixels = pixels.data();
  for (int64_t i = 0; i < B; ++i)
    b.text.push_back(std::vector<int>(size_t(c.data.max_tokens), int(i + 5))), b.same.push_back(uint64_t(i));
  c.loss.drop = 0;
  const int64_t before = gemm_flops();
  joint_loss(m, b, c.loss).total.backward();
  const double each = double(gemm_flops() - before) / double(B);
  EXPECT_NEAR(j["sample_flops"].get<double>(), each, 0.05 * each);
  EXPECT_DOUBLE_EQ(j["samples"].get<double>(), double(c.steps) * c.data.batch);
  EXPECT_GT(j["sample_bytes"].get<double>(), double(c.model.size * c.model.size * 4) * 4) << "more than the picture";
  // Of any number: what is held, not the segments that happen to be asked for
  const size_t idle = memory_stats().in_use;
  b.B = 12, b.text.resize(12), b.same.resize(12);
  const JointLoss held = joint_loss(m, b, c.loss);
  const double of_each = double(memory_stats().in_use - idle) / 12;
  EXPECT_GT(j["sample_bytes"].get<double>(), 0.3 * of_each);
  EXPECT_LT(j["sample_bytes"].get<double>(), 3 * of_each);
}

TEST(Plan, SaysItInWordsAndRefusesWhatIsNoConfig) {
  const Said s = plan({kTiny});
  EXPECT_EQ(s.code, 0) << s.err;
  for (const char* word : {"parameters", "GFLOP", "memory", "this CPU", "an H100"})
    EXPECT_NE(s.out.find(word), std::string::npos) << s.out;
  EXPECT_EQ(plan({kTiny, "--set", "model.wide=3"}).code, 1);
  EXPECT_EQ(plan({"/nowhere.toml"}).code, 1);
}

// The size that DESIGN asks of it, on paper alone: building it takes a second.
TEST(Plan, TheConfigOfSLoads) {
  TrainConfig c;
  load_toml(std::string(DUET_SOURCE_DIR) + "/assets/configs/s.toml", c);
  Model m(c.model);
  EXPECT_NEAR(double(count_params(m)) / 1e6, 32, 2);
  EXPECT_EQ(c.model.size, c.data.size);
  EXPECT_EQ(c.data.dirs.size(), c.data.weights.size());
}

}  // namespace
}  // namespace duet
