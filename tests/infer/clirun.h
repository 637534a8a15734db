// Runs a verb in this process as a person calls it, with a tiny model, and keeps what it printed.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "infer/cli.h"
#include "kernels/files.h"
#include "kernels/parallel.h"
#include "tests/infer/tiny.h"

namespace duet {
namespace fs = std::filesystem;

struct Result {
  int code;
  std::string out, err;
};

struct CliTest : testing::Test {
  TempDir dir;
  int was = threads();
  void SetUp() override {
    setenv("LC_ALL", "C", 1);  // whose terminal this is does not matter
    save_weights(dir / "tiny", *tiny_model(), tiny_tokenizer(), DType::f32, {{"training", "{\"lr\": 0.5}"}});
  }
  void TearDown() override { set_threads(was), set_precision(Precision::f32); }

  // `args` and the tiny model, unless there is a --weights already
  Result run(std::vector<std::string> args) {
    testing::internal::CaptureStdout(), testing::internal::CaptureStderr();
    const int code = program(std::move(args));
    std::fflush(stdout);
    return {code, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
  }
  int program(std::vector<std::string> args) {
    const bool bare =
        std::set<std::string>{"info", "--version", "data", "tokenizer", "train", "plan", "quantize", "merge"}.contains(
            args[0]) ||
        (args.size() > 1 && args[1] == "compare");
    if (!bare && std::find(args.begin(), args.end(), "--weights") == args.end())
      args.insert(args.begin() + (args[0] == "eval" ? 2 : 1), {"--weights", dir / "tiny", "--precision", "f32"});
    args.insert(args.begin(), "duet");
    std::vector<const char*> argv;
    for (const auto& a : args) argv.push_back(a.c_str());
    CLI::App app;
    set_up(app);
    return run_program(app, int(argv.size()), argv.data());
  }
  std::string bytes(const std::string& name) { return read_file(dir / name, 1 << 20); }
  // Refused: exit 1, one line on stderr that holds `says`, nothing new in the folder.
  void refused(const std::vector<std::string>& args, const std::string& says) {
    const auto files = [&] { return std::distance(fs::recursive_directory_iterator(dir.path), {}); };
    const auto before = files();
    const Result r = run(args);
    EXPECT_EQ(r.code, 1) << r.out << r.err;
    EXPECT_NE(r.err.find(says), std::string::npos) << r.err;
    EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
    EXPECT_EQ(files(), before);
  }
};

}  // namespace duet
