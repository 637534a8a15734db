// The verbs about data sets, training and tokenizers, as a person calls them.
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "fusion/shards.h"
#include "infer/cli.h"
#include "tests/infer/clirun.h"

namespace duet {
namespace {

struct CliDataTest : CliTest {
  // A set with so many pictures of each split.
  void build(const std::string& name, const std::vector<std::pair<std::string, int>>& splits, bool groups = false,
             int classes = 2) {
    for (const auto& [split, n] : splits) {
      fs::create_directories(dir / name + "/" + split);
      ShardWriter w(dir / name + "/" + split, "", 100);
      for (int i = 0; i < n; ++i) {
        Record r;
        r.key = split + "/" + std::to_string(i), r.image_bytes = encode_png(tiny_picture(uint64_t(i) + 50 * split.size()));
        r.meta.caption = "a thing " + std::to_string(i), r.meta.style = "flat";
        if (groups) r.meta.group = std::vector{"dogs", "cats", "birds"}.at(size_t(i % classes));
        w.add(to_sample(r));
      }
      w.finish();
    }
  }
  std::vector<std::string> train(std::vector<std::string> more) const {
    const std::string root = DUET_SOURCE_DIR;
    std::vector<std::string> args{
        "train", root + "/assets/configs/tiny.toml", "--set",    "tokenizer=" + root + "/tests/golden/tokenizer.json",
        "--set", "out=" + dir.path + "/run",         "--device", "cpu"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  }
};

TEST_F(CliDataTest, AnEmptySplitIsNoBrokenSet) {
  build("set", {{"train", 4}, {"val", 2}, {"heldout", 0}, {"pairs", 3}}, true);
  const std::string has = "heldout is empty (the set has 4 in train, 2 in val, 3 in pairs); try --split val";
  for (const char* verb : {"caption", "retrieval", "classify"}) refused({"eval", verb, dir / "set"}, has);
  refused({"data", "show", dir / "set", "--split", "heldout", "-o", dir / "x.png"}, has);
  const std::vector<std::string> drawn{"eval", "generate", dir / "set", "-n",        "2", "--steps",
                                       "1",    "--scenes", "0",         "--diverse", "0"};
  for (const char* split : {"train", "pairs"}) {
    auto args = drawn;
    args.insert(args.end(), {"--split", split, "--out", dir / split});
    const Result r = run(args);
    EXPECT_EQ(r.code, 0) << r.err;
  }
  auto args = drawn;
  args.insert(args.end(), {"--split", "heldout", "--out", dir / "no"});
  refused(args, "no captions in these splits");
  fs::create_directories(dir / "nothing/train");
  args[2] = dir / "nothing";
  refused(args, dir / "nothing" + ": no data set");
}

TEST_F(CliDataTest, PairsAreASplitToo) {
  build("set", {{"train", 4}, {"pairs", 3}}, true);
  EXPECT_EQ(run({"eval", "caption", dir / "set", "--split", "pairs", "--beam", "1"}).code, 0);
  EXPECT_EQ(run({"eval", "retrieval", dir / "set", "--split", "pairs"}).code, 0);
  const Result r = run({"search", dir / "set", "a thing", "--split", "pairs", "--no-sheet", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(nlohmann::json::parse(r.out)["pictures"], 3);
}

TEST_F(CliDataTest, ASetWithoutCategoriesSaysHowToGiveSome) {
  build("set", {{"val", 2}});
  refused({"eval", "classify", dir / "set", "--split", "val"},
          "its pictures have no categories; build it from a folder with a folder");
  build("with", {{"heldout", 4}, {"train", 2}, {"val", 12}}, true);
  EXPECT_EQ(run({"eval", "classify", dir / "with", "--split", "val", "--json", dir / "c.json"}).code, 0);

  // What val says of its probabilities, told of others and of a picture.
  const std::string file = dir / "calibration.json";
  write_file(dir / "with/dataset.json", R"({"hash": "xxh64:0123456789abcdef"})");
  Result r = run({"eval", "classify", dir / "with", "--split", "val", "--template", "scan of {}", "--calibrate", file});
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_NE(r.out.find("calibration.json: temperature "), r.out.npos) << r.out;
  r = run({"eval", "classify", dir / "with", "--split", "heldout", "--calibration", file, "--json", dir / "warm.json"});
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_NE(r.out.find("sets made to hold the truth in 90 %"), r.out.npos) << r.out;
  EXPECT_NE(r.out.find(", calibrated by " + file + " (temperature "), r.out.npos) << r.out;
  EXPECT_EQ(r.err.find("too good a tale"), r.err.npos) << r.err;
  r = run({"eval", "classify", dir / "with", "--split", "val", "--calibration", file});
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_NE(r.err.find("was learnt from these pictures, of which it tells too good a tale"), r.err.npos) << r.err;
  const auto warm = nlohmann::json::parse(read_file(dir / "warm.json", 1 << 20));
  EXPECT_EQ(warm["templates"], nlohmann::json({"scan of {}"})) << "as it was calibrated";
  EXPECT_GT(warm["temperature"].get<double>(), 0);
  refused({"eval", "classify", dir / "set", "--split", "val", "--calibration", file}, "its pictures have no categories");
  build("few", {{"heldout", 1}}, true), build("strange", {{"heldout", 3}}, true, 3);
  r = run({"eval", "classify", dir / "few", "--split", "heldout", "--calibration", file, "--json", dir / "few.json"});
  EXPECT_EQ(r.code, 0) << "one class alone, asked among those of the calibration: " << r.err;
  EXPECT_EQ(nlohmann::json::parse(read_file(dir / "few.json", 1 << 20))["labels"], warm["labels"]);
  refused({"eval", "classify", dir / "strange", "--split", "heldout", "--calibration", file}, "knows no class 'birds', which ");
  save_picture(dir / "one.png", tiny_picture(3));
  // Scans of two patients with one file name: neither overlay takes the other's place, in one call or in two.
  fs::create_directories(dir / "p1"), fs::create_directories(dir / "p2");
  save_picture(dir / "p1/im0.png", tiny_picture(4)), save_picture(dir / "p2/im0.png", tiny_picture(5));
  std::set<std::string> overlays;
  for (const auto& which : std::vector<std::vector<std::string>>{{"p1", "p2"}, {"p1"}, {"p2"}}) {
    std::vector<std::string> args{"classify", "--calibration", file, "--json", "--overlay", dir / "heat"};
    for (const auto& p : which) args.push_back(dir / p);
    r = run(args);
    ASSERT_EQ(r.code, 0) << r.err;
    const auto j = nlohmann::json::parse(r.out);
    for (size_t i = 0; i < which.size(); ++i) {
      const std::string at = j["results"][i]["overlay"];
      EXPECT_TRUE(at.starts_with(dir / "heat") && at.ends_with("/" + which[i] + "/im0.png")) << at;
      overlays.insert(at);
    }
  }
  EXPECT_EQ(overlays.size(), 2u);
  for (int again = 0; again < 2; ++again) {  // what was painted is no scan
    r = run({"classify", dir / "p1", "--calibration", file, "--json", "--overlay", dir / "p1/heat"});
    ASSERT_EQ(r.code, 0) << r.err;
    EXPECT_EQ(nlohmann::json::parse(r.out)["results"].size(), 1u) << again;
  }
  const std::string scan = read_file(dir / "p1/im0.png", 1 << 20);
  for (const std::string& holds : {dir / "p1", dir / "p1/", dir / "p1/../p1", std::string(dir.path)})
    refused({"classify", dir / "p1", "--calibration", file, "--overlay", holds}, "which could be painted over");
  refused({"classify", dir / "p1/im0.png", "--calibration", file, "--overlay", dir / "p1"}, "which could be painted over");
  EXPECT_EQ(read_file(dir / "p1/im0.png", 1 << 20), scan);
  EXPECT_EQ(run({"classify", dir / "p1", "--calibration", file, "--overlay", dir / "p"}).code, 0) << "not below it";
  r = run({"classify", dir / "one.png", "--calibration", file});
  EXPECT_NE(r.out.find(" (95 % "), r.out.npos) << r.out;
  EXPECT_NE(r.out.find("; the set that holds the truth in 90 %: "), r.out.npos) << r.out;
  r = run({"classify", dir / "one.png", "--calibration", file, "--json", "--overlay", dir / "heat"});
  ASSERT_EQ(r.code, 0) << r.err;
  const auto j = nlohmann::json::parse(r.out);
  const auto& one = j["results"][0];
  double sum = 0;
  for (const auto& [label, p] : one["probabilities"].items()) {
    sum += p.get<double>();
    EXPECT_LE(one["intervals_95"][label][0].get<double>(), p.get<double>() + 1e-9) << label;
    EXPECT_GE(one["intervals_95"][label][1].get<double>(), p.get<double>() - 1e-9) << label;
  }
  EXPECT_NEAR(sum, 1, 1e-9);
  EXPECT_EQ(one["set_90"][0], one["label"]);
  EXPECT_EQ(decode_image(as_bytes(read_file(one["overlay"].get<std::string>(), 1 << 20)), "overlay").width, 512);
  std::string other = read_file(file, 1 << 20);
  const size_t at = other.find("weights_xxh3") + 16;
  other[at] = other[at] == '0' ? '1' : '0';
  write_file(dir / "other.json", other);
  refused({"classify", dir / "one.png", "--calibration", dir / "other.json"}, "was learnt of other weights");
  refused({"serve", "--port", "0", "--calibration", dir / "other.json"}, "was learnt of other weights");
  refused({"classify", dir / "one.png"}, "--labels is needed");
  refused({"eval", "classify", dir / "with", "--split", "train", "--calibrate", file}, "trained on it is too sure");
  write_file(dir / "with/dataset.json", R"({"window": [-600, 1500]})");  // as --window of data build leaves it
  refused({"eval", "classify", dir / "with", "--split", "heldout", "--calibration", file}, "was built with -600/1500");
  EXPECT_EQ(run({"eval", "classify", dir / "with", "--split", "val", "--calibrate", file}).code, 0);
  EXPECT_EQ(run({"eval", "classify", dir / "with", "--split", "heldout", "--calibration", file}).code, 0);
  EXPECT_NE(read_file(file, 1 << 20).find("window"), std::string::npos);
  EXPECT_EQ(run({"classify", dir / "one.png", "--calibration", file, "--window", "1/2"}).code, 2) << "the file says it";
  EXPECT_EQ(run({"eval", "classify", dir / "with", "--calibrate", file, "--calibration", file}).code, 2);
  const auto c = nlohmann::json::parse(read_file(dir / "c.json", 1 << 20));
  ASSERT_EQ(c["predictions"].size(), c["n"].get<size_t>());
  for (const auto& p : c["predictions"]) {
    double sum = 0;
    for (const double v : p["probabilities"]) sum += v;
    EXPECT_NEAR(sum, 1, 1e-6) << p;
    EXPECT_EQ(p["probabilities"].size(), c["labels"].size());
    EXPECT_NE(std::find(c["labels"].begin(), c["labels"].end(), p["truth"]), c["labels"].end());
  }
}

TEST_F(CliDataTest, ATokenizerIsTrainedOnUtf8) {
  std::ofstream(dir / "good.txt") << "a red circle\n빨간 원\n", std::ofstream(dir / "bad.txt") << "a\nb\xb0\xed\n";
  EXPECT_EQ(run({"tokenizer", "train", dir / "good.txt", "--vocab", "280", "-o", dir / "t.json"}).code, 0);
  refused({"tokenizer", "train", dir / "good.txt", dir / "bad.txt", "--vocab", "280", "-o", dir / "u.json"},
          dir / "bad.txt" + ": line 2, byte 1 (0xb0) is not UTF-8");
}

TEST_F(CliDataTest, TrainingOnlyScenesRefusesNamedFolders) {
  build("set", {{"train", 4}});
  refused(train({"--set", "data.dirs=[\"" + dir.path + "/set\"]"}),
          "data.scenes = 1 leaves them no share; set data.scenes below 1");
  EXPECT_EQ(run(train({"--set", "data.dirs=[\"" + dir.path + "/set\"]", "--set", "data.scenes=0", "--set", "steps=1"})).code,
            0);
  EXPECT_TRUE(fs::exists(dir / "run/model/model.safetensors"));
}

TEST_F(CliDataTest, TrainSaysWhatIsWrong) {
  const Result r = run(train({"--export", ""}));
  EXPECT_EQ(r.code, 2) << r.out << r.err;
  EXPECT_NE(r.err.find("--export: name a folder"), std::string::npos) << r.err;
  EXPECT_FALSE(fs::exists(dir / "run"));
  refused(train({"--set", "steps"}), "for example optimizer.lr=0.001");
}

// What a stopped run says next works as it stands.
TEST_F(CliDataTest, AStoppedRunSaysHowItsWeightsAreWritten) {
  // Ctrl-C as soon as there is a log: the run has taken the signal over by then.
  std::atomic<bool> over = false;
  std::thread interrupt([&] {
    while (!over && !fs::exists(dir / "run/log.jsonl")) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (!over) std::raise(SIGINT);
  });
  const Result r = run(train({"--set", "steps=100000000"}));
  over = true, interrupt.join();
  std::signal(SIGINT, SIG_DFL), std::signal(SIGTERM, SIG_DFL);
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_NE(r.out.find("stopped after "), std::string::npos) << r.out;
  EXPECT_NE(r.out.find(" --export " + dir.path + "/run/model"), std::string::npos) << r.out;
  for (const char* weights : {"run", "run/model"})
    refused({"generate", "a", "-o", dir / "x.png", "--weights", dir / weights},
            dir.path + "/run holds checkpoints of a training run");
  refused(train({"--export", dir / "run/model", "--set", "out=" + dir.path + "/other"}),
          "other: holds no checkpoint to export");
  // Where the data lay does not matter then.
  ASSERT_EQ(run(train({"--export", dir / "run/model", "--set", "data.dirs=[\"gone\"]"})).code, 0);
  EXPECT_EQ(run({"info", dir / "run/model"}).code, 0);
}

}  // namespace
}  // namespace duet
