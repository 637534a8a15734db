// The main job as a person calls it, with a tiny model.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "infer/cli.h"
#include "infer/pngmeta.h"
#include "kernels/files.h"
#include "kernels/gemm.h"
#include "tests/infer/tiny.h"

namespace duet {
namespace {
namespace fs = std::filesystem;

TEST(Demo, DrawsReadsAndSearches) {
  const TempDir dir;
  save_weights(dir / "tiny", *tiny_model(), tiny_tokenizer(), DType::f32,
               {{"sampling", R"({"steps": 2, "guidance": 1, "shift": 2})"}});
  fs::create_directories(dir / "pictures");
  for (int i = 0; i < 3; ++i) save_picture(dir / ("pictures/thing-" + std::to_string(i) + ".png"), tiny_picture(uint64_t(i)));
  CLI::App app;
  app.require_subcommand(1);
  add_demo_verb(app);
  const std::string weights = dir / "tiny", pictures = dir / "pictures", out = dir / "out";
  const char* argv[] = {"duet",       "demo",           "--weights", weights.c_str(), "--precision", "f32",
                        "--pictures", pictures.c_str(), "--out",     out.c_str(),     "--json"};
  testing::internal::CaptureStdout(), testing::internal::CaptureStderr();
  const int code = run_program(app, int(std::size(argv)), argv);
  const std::string said = testing::internal::GetCapturedStdout(), lines = testing::internal::GetCapturedStderr();
  set_precision(Precision::f32);
  ASSERT_EQ(code, 0) << lines;
  const auto j = nlohmann::json::parse(said);
  ASSERT_EQ(j["drawn"].size(), 16u);
  int korean = 0;
  for (const auto& d : j["drawn"]) {
    const std::string file = d["file"];
    const std::string bytes = read_file(file, 1 << 20);
    const auto meta = read_drawn({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, file);
    ASSERT_TRUE(meta);
    EXPECT_EQ(meta->prompt, d["prompt"]);
    EXPECT_EQ(meta->steps, 2);  // as the weights say
    korean += meta->prompt[0] < 0;
  }
  EXPECT_EQ(korean, 8);
  EXPECT_TRUE(fs::exists(fs::path(out) / "grid.png"));
  EXPECT_GE(std::distance(fs::directory_iterator(out), {}), 5);
}

}  // namespace
}  // namespace duet
