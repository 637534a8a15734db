// The verbs as a person calls them, in this process: exit codes, what is printed, what is written.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdio_ext.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "fusion/shards.h"
#include "infer/bestof.h"
#include "infer/eval_scenes.h"
#include "infer/pngmeta.h"
#include "infer/sampler.h"
#include "kernels/files.h"
#include "tests/infer/clirun.h"
#include "tests/vision/rawdicom.h"
#include "vision/draw.h"

namespace duet {
namespace {

// int8 where the CPU has it, and a picture that says so; else one line.
TEST_F(CliTest, WeightsHaveNamesOrPaths) {
  const fs::path before = fs::current_path();
  fs::create_directories(dir / "assets");
  fs::copy(dir / "tiny", dir / "assets/small", fs::copy_options::recursive);
  fs::current_path(dir.path);
  EXPECT_EQ(find_weights("small"), "assets/small");
  EXPECT_EQ(find_weights("tiny"), "tiny");  // there is such a path
  EXPECT_EQ(find_weights("./small"), "./small");
  EXPECT_THROW(find_weights("nothing"), Error);
  fs::current_path(before);
}

TEST_F(CliTest, QuantizeInt8) {
  if (!has_int8()) {
    refused({"generate", "a", "--quantize", "int8", "-o", dir / "x.png"}, "--quantize none");
    return;
  }
  ASSERT_EQ(run({"generate", "a", "--seed", "7", "--steps", "2", "-o", dir / "f32.png"}).code, 0);
  ASSERT_EQ(run({"generate", "a", "--seed", "7", "--steps", "2", "--quantize", "int8", "-o", dir / "x.png"}).code, 0);
  ASSERT_EQ(run({"generate", "a", "--seed", "7", "--steps", "2", "--quantize", "int8", "-o", dir / "y.png"}).code, 0);
  const auto precision_of = [&](const char* name) {
    const auto png = bytes(name);
    return read_drawn(as_bytes(png), name)->precision;
  };
  EXPECT_EQ(precision_of("f32.png"), "f32");
  EXPECT_EQ(precision_of("x.png"), "int8+f32");
  EXPECT_EQ(bytes("x.png"), bytes("y.png"));
  for (const char* verb : {"caption", "embed"}) EXPECT_EQ(run({verb, dir / "x.png", "--quantize", "int8"}).code, 0) << verb;
}

// What needs a card is refused without one, before weights are read.
TEST_F(CliTest, NarrowWeightsOfACard) {
  for (const char* narrow : {"int4", "fp8"})
    refused({"generate", "a", "--device", "cpu", "--quantize", narrow, "--weights", dir / "nowhere", "-o", dir / "x.png"},
            join("--quantize ", narrow, " needs a card, and this is on the CPU: use --quantize int8 or none"));
  try {
    open_model({.weights = dir / "tiny", .quantize = "int2", .device = "cpu"});
    FAIL() << "int2 was taken";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("none, int8, int4, fp8"), std::string::npos) << e.what();
  }
}

TEST_F(CliTest, EvalGenerateWritesFiguresAPageAndSheets) {
  for (const char* split : {"train", "pairs"}) {
    ShardWriter w(dir / (std::string("set/") + split), "", 100);
    for (uint64_t i = 0; i < 12; ++i) {
      Record r;
      r.key = std::string(split) + "/" + std::to_string(i);
      r.image_bytes = encode_png(tiny_picture(i + (split[0] == 'p' ? 100 : 0)));
      r.meta.caption = "a thing " + std::to_string(i), r.meta.caption_ko = "물건 " + std::to_string(i);
      r.meta.style = split[0] == 'p' ? "flat"
                     : i < 6         ? "flat"
                                     : "line",
      r.meta.style_ko = r.meta.style == "flat" ? "납작한" : "선";
      if (split[0] == 'p' && i < 6) continue;
      w.add(to_sample(r));
    }
    w.finish();
  }
  const std::vector<std::string> args{"eval", "generate",  dir / "set", "--weights", dir / "tiny", "--precision", "f32",
                                      "-n",   "3",         "--steps",   "2",         "--scenes",   "0",           "--diverse",
                                      "1",    "--best-of", "2",         "--show",    "4"};
  auto all = args;
  all.insert(all.end(), {"--out", dir / "out", "--sheet", dir / "sheet.png"});
  const Result r = run(all);
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_NE(r.out.find("model.safetensors (f32), seed 1"), std::string::npos) << r.out;
  const auto j = nlohmann::json::parse(bytes("out/eval.json"));
  EXPECT_EQ(j["finish"], "clean");
  EXPECT_EQ(j["groups"].size(), 2u);
  const auto& pairs = j["groups"]["held-out pairs"];
  EXPECT_EQ(pairs["prompts"], 3);
  EXPECT_EQ(pairs["drawings"].size(), 6u);
  EXPECT_EQ(pairs["drawings"][0]["among"], 12);
  EXPECT_EQ(pairs["measures"]["within_10"]["ko"]["n"], 3);
  const auto text = pairs["drawings"][1]["prompt"].get<std::string>();
  EXPECT_TRUE(text.starts_with("물건 ") && text.ends_with(", 납작한")) << text;
  EXPECT_NE(bytes("out/report.html").find("What tiny draws"), std::string::npos);
  EXPECT_GT(load_image(dir / "out/nearest.png").width, 100);
  EXPECT_GT(load_image(dir / "sheet.png").width, 100);
  fs::remove_all(dir / "set/train");
  refused(args, "train");
}

// The pictures that are judged are the best of several, by the model's own scores.
TEST_F(CliTest, EvalScenesJudgesTheBestOfSeveral) {
  const auto sheet = [&](const char* best) {
    const Result r = run({"eval", "scenes", "-n", "2", "--steps", "2", "--best-of", best, "--show", "2", "--sheet",
                          dir / "sheet.png", "--json", "-"});
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_EQ(nlohmann::json::parse(r.out)["best_of"], std::stoi(best));
    return bytes("sheet.png");
  };
  const Opened opened = open_model({.weights = dir / "tiny", .precision = "f32"});
  DrawOptions draw;
  settle(draw, opened.loaded.sampling);
  draw.steps = 2;
  const auto kept = eval_scenes(best_of(eval_model(opened, draw, 1), opened, draw, 3, BestBy::both), {2, 1, 24, 2});
  const auto png = encode_png(contact_sheet(kept.cells, 2, 128));
  EXPECT_EQ(sheet("3"), std::string(png.begin(), png.end()));
  EXPECT_NE(sheet("1"), std::string(png.begin(), png.end()));
}

// Two results of scenes, written as files, item by item; a folder is taken for generate's.
TEST_F(CliTest, EvalCompareReadsWhatTheOthersWrote) {
  for (const char* steps : {"1", "2"}) {
    const Result r = run({"eval", "scenes", "-n", "3", "--steps", steps, "--json", dir / join(steps, ".json")});
    ASSERT_EQ(r.code, 0) << r.err;
  }
  const Result r = run({"eval", "compare", dir / "1.json", dir / "2.json", "--json", "-"});
  ASSERT_EQ(r.code, 0) << r.err;
  const auto j = nlohmann::json::parse(r.out);
  EXPECT_EQ(j["of"], "scenes");
  EXPECT_EQ(j["not_the_same"], nlohmann::json({"steps: 1, 2"}));
  EXPECT_EQ(j["left_out"], nlohmann::json({0, 0}));
  int whole = 0;
  for (const auto& row : j["rows"]) {
    EXPECT_LE(row["n"], 3) << row;
    if (row["measure"] != "whole scene") continue;
    EXPECT_EQ(row["n"], 3);
    ++whole;
  }
  EXPECT_EQ(whole, 2 * 4) << "drawn and captioned, four groups";
  EXPECT_NE(r.err.find("captioned, unseen ko"), std::string::npos) << r.err;
  refused({"eval", "compare", dir / "1.json", dir / "none.json"}, "none.json");
  refused({"eval", "compare", dir / "1.json", dir.path}, "eval.json");
  EXPECT_EQ(run({"eval", "compare", dir / "1.json"}).code, 2);
}

TEST_F(CliTest, WrongUsageIsExitCode2) {
  const auto says = [&](std::vector<std::string> args, const std::string& words) {
    const Result r = run(std::move(args));
    EXPECT_EQ(r.code, 2);
    EXPECT_NE(r.err.find(words), std::string::npos) << r.err;
    EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
  };
  says({"paint", "a"}, "duet: no verb 'paint'; there are demo, generate, ");
  says({"generate", "a", "--steps", "0"}, "--steps: ");
  says({"generate", "a", "--bogus"}, "'--bogus'; 'duet generate --help' tells more");
  says({"eval", "scenes", "-n", "x"}, "'duet eval scenes --help' tells more");
  says({"generate"}, "PROMPT, or --prompts FILE, is required");
  // What may have been meant
  says({"generat", "a"}, "no verb 'generat'; did you mean generate\n");
  says({"data", "biuld", "x"}, "no verb 'data biuld'; did you mean build\n");
  says({"data", "zzz"}, "no verb 'data zzz'; there are build, ");
  says({"generate", "a", "--stlye", "emoji"}, "unknown option '--stlye'; did you mean --style\n");
  says({"generate", "a", "--stlye=emoji"}, "did you mean --style\n");
  says({"eval", "--jsno", "x", "scenes"}, "unknown option '--jsno'; 'duet eval --help' tells more\n");
  says({"eval", "--json", "x", "scenes"}, "--json belongs after 'duet eval scenes'\n");
  says({"data", "--bogus"}, "unknown option '--bogus'; 'duet data --help' tells more\n");
  says({"generate", "red", "heart"}, "one argument too many: 'heart'; words that belong together need quotes\n");
  EXPECT_EQ(run({"generate", "a", "--steps", "0"}).code, 2);
  EXPECT_EQ(run({"generate", "a", "--seed", "-1"}).code, 2);
  EXPECT_EQ(run({"generate", "a", "--bogus"}).code, 2);
  EXPECT_EQ(run({"generate", "a", "--precision", "f64"}).code, 2);
  EXPECT_EQ(run({"generate", "a", "--quantize", "int2"}).code, 2);
  EXPECT_EQ(run({"caption", "a.png", "--lang", "fr"}).code, 2);
  EXPECT_EQ(run({"generate", "--help"}).code, 0);
}

TEST_F(CliTest, SaysWhatIsWrongInTheTerminalsLanguage) {
  setenv("LC_ALL", "ko_KR.UTF-8", 1);
  const Result usage = run({"generate", "a", "--stlye", "emoji"}), input = run({"generate", "a", "-o", dir / "none/a.png"});
  const Result verb = run({"paint"});
  setenv("LC_ALL", "C", 1);
  EXPECT_EQ(usage.err, "duet: 모르는 옵션입니다: '--stlye'. 혹시 --style인가요?\n");
  EXPECT_EQ(usage.code, 2);
  EXPECT_EQ(input.err, "duet: -o " + (dir / "none/a.png") + ": 폴더 " + (dir / "none") + "이(가) 없습니다. 먼저 만드세요\n");
  EXPECT_EQ(input.code, 1);
  EXPECT_TRUE(verb.err.starts_with("duet: 'paint'(이)라는 명령이 없습니다")) << verb.err;
}

TEST_F(CliTest, NumbersThatAreNoneAreWrongUsage) {
  const auto wrong = [&](std::vector<std::string> args, const std::string& option) {
    for (const char* number : {"nan", "inf", "-inf", "x"}) {
      auto all = args;
      all.insert(all.end(), {option, number});
      const Result r = run(all);
      EXPECT_EQ(r.code, 2) << option << number << r.err;
      EXPECT_NE(r.err.find(option + ": "), std::string::npos) << r.err;
    }
  };
  for (const char* option : {"--guidance", "--shift", "--guide-from", "--guide-to"})
    wrong({"generate", "a", "-o", dir / "x.png"}, option);
  for (const char* option : {"--top-p", "--temperature"}) wrong({"caption", dir / "a.png"}, option);
  wrong({"serve", "--port", "0"}, "--timeout");
  EXPECT_FALSE(fs::exists(dir / "x.png"));
}

// As where a disk is full: what was asked for did not come.
TEST_F(CliTest, OutputThatCannotBeWrittenIsAFailure) {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC), out = dup(STDOUT_FILENO);
  if (full < 0) GTEST_SKIP() << "no /dev/full here";
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"info", dir / "tiny"}, {"embed", "--text", "a", "--json"}, {"generate", "--help"}}) {
    std::fflush(stdout), dup2(full, STDOUT_FILENO);
    testing::internal::CaptureStderr();
    const int code = program(args);
    const std::string err = testing::internal::GetCapturedStderr();
    __fpurge(stdout), std::clearerr(stdout), dup2(out, STDOUT_FILENO);
    EXPECT_EQ(code, 1) << args[0];
    EXPECT_NE(err.find("standard output: cannot write: "), std::string::npos) << err;
    EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 1) << err;
  }
  close(full), close(out);
}

TEST_F(CliTest, WhatIsWrittenIsCheckedBeforeTheWork) {
  save_picture(dir / "a.png", tiny_picture(1));
  refused({"search", dir.path, "a", "-o", dir / "x.jpg"}, "-o " + (dir / "x.jpg") + ": duet writes PNG");
  refused({"search", dir.path, "a", "-o", dir / "no/x.png"}, "no folder " + (dir / "no"));
  refused({"data", "show", dir.path, "-o", dir / "no/x.png"}, "no folder " + (dir / "no"));
  refused({"data", "show", dir.path, "-o", dir / "x.jpg"}, "duet writes PNG");
  for (const char* verb : {"scenes", "binding", "icons", "retrieval", "classify", "caption"}) {
    std::vector<std::string> args{"eval", verb, "--json", dir / "no/x.json"};
    if (verb != std::string("scenes") && verb != std::string("binding")) args.push_back(dir / "nowhere");
    refused(args, "--json " + (dir / "no/x.json") + ": no folder");
  }
  refused({"eval", "caption", dir / "nowhere", "--json", dir.path}, "is a folder");
  for (const char* option : {"--refs", "--results"})
    refused({"eval", "caption", dir / "nowhere", option, dir / "no/x"}, std::string(option) + " ");
  refused({"eval", "scenes", "--sheet", dir / "x.webp"}, "--sheet ");
  refused({"eval", "generate", dir / "nowhere", "--sheet", dir / "no/x.png"}, "--sheet ");
  for (const char* out : {"a.png", "a.png/deep/er"})
    refused({"eval", "generate", dir / "nowhere", "--out", dir / out}, (dir / "a.png") + " is a file; name a folder");
}

TEST_F(CliTest, MergedWeightsSayOfWhat) {
  Model other(tiny_model()->config, 77);
  save_weights(dir / "other", other, tiny_tokenizer(), DType::f32, {{"styles", "outline"}});
  const Result r = run({"merge", dir / "tiny", dir / "other", "--share", "3", "--share", "1", "-o", dir / "both"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(r.out, dir / "both/model.safetensors\n");
  const auto j = nlohmann::json::parse(run({"info", dir / "both", "--json"}).out).at("metadata");
  const auto of = j.at("merged").at("of");
  EXPECT_EQ(of.at(0).at("weights"), "tiny");
  EXPECT_EQ(of.at(0).at("share"), 0.75);
  EXPECT_EQ(of.at(1).at("weights"), "other");
  EXPECT_EQ(j.at("styles"), "outline");
  EXPECT_EQ(run({"generate", "a", "--steps", "2", "--weights", dir / "both", "-o", dir / "both.png"}).code, 0);
  refused({"merge", dir / "tiny", dir / "other", "-o", dir / "both"}, "is there already; name another folder with -o");
  refused({"merge", dir / "tiny", "-o", dir / "one"}, "takes two models or more");
  refused({"merge", dir / "tiny", dir / "nowhere", "-o", dir / "none"}, "no such weights");
  refused({"merge", dir / "tiny", "xs-256", "-o", dir / "none"},
          "xs-256: no such weights; name a folder that 'duet train' wrote, or those that ship: xs-128, ");
  EXPECT_NE(run({"info", dir / "both"}).out.find("styles      outline (외곽선)\n"), std::string::npos);
  refused({"merge", dir / "tiny", dir / "other", "--draw-as", "tiny", "-o", dir / "none"}, "none of the weights is called so");
  EXPECT_FALSE(fs::exists(dir / "none")) << "nothing half done";
}

TEST_F(CliTest, FoldersThatCannotBeMadeAreNamed) {
  std::ofstream(dir / "file") << "here";
  const std::string folder = dir / "file/below";
  refused({"quantize", dir / "tiny", "-o", folder},
          "duet: " + folder + ": cannot make this folder: Not a directory; name another");
  refused({"demo", "--out", folder}, folder + "/drawn: cannot make this folder: ");
  refused({"data", "build", "scenes", "--scenes", "4", "--out", folder}, "cannot make this folder: ");
  refused({"train", std::string(DUET_SOURCE_DIR) + "/assets/configs/tiny.toml", "--set",
           "tokenizer=" + std::string(DUET_SOURCE_DIR) + "/tests/golden/tokenizer.json", "--set", "out=" + folder},
          folder + ": cannot make this folder: ");
}

TEST_F(CliTest, DemoReadsThePicturesThatCanBeRead) {
  fs::create_directories(dir / "own");
  refused({"demo", "--out", dir / "demo", "--pictures", dir / "nope"}, "--pictures " + (dir / "nope") + ": no such folder");
  save_picture(dir / "own/dog.png", tiny_picture(1)), save_picture(dir / "own/cat.png", tiny_picture(2));
  std::ofstream(dir / "own/bad.png") << "nothing";
  const Result r = run({"demo", "--out", dir / "demo", "--pictures", dir / "own", "--json"});
  EXPECT_EQ(r.code, 1) << "as caption: all else is done";
  EXPECT_NE(r.err.find("bad.png: this is no picture that duet knows; save"), std::string::npos) << r.err;
  const auto j = nlohmann::json::parse(r.out);
  EXPECT_EQ(j["read"].size(), 2u);
  const auto png = read_file(j["drawn"][0]["file"], 1 << 20);
  EXPECT_EQ(read_drawn(as_bytes(png), "drawn")->steps, 24) << "as the weights say";
  fs::remove(dir / "own/cat.png");
  const Result few = run({"demo", "--out", dir / "few", "--pictures", dir / "own"});
  EXPECT_EQ(few.code, 1);
  EXPECT_FALSE(fs::exists(dir / "few")) << "nothing is drawn first";
}

TEST_F(CliTest, CaptionNamesABadPictureAndGoesOn) {
  save_picture(dir / "a.png", tiny_picture(1));
  save_picture(dir / "c.png", tiny_picture(2, 1, 1));
  std::ofstream(dir / "b.png") << "nothing";
  Result r = run({"caption", dir / "a.png", dir / "b.png", dir / "c.png", "--lang", "both", "--beam", "2"});
  EXPECT_EQ(r.code, 1);
  EXPECT_NE(r.err.find("b.png"), std::string::npos) << r.err;
  EXPECT_EQ(std::count(r.out.begin(), r.out.end(), '\n'), 4) << r.out;
  r = run({"caption", dir / "a.png", dir / "missing.png", "--json"});
  EXPECT_EQ(r.code, 1);
  const auto j = nlohmann::json::parse(r.out);
  ASSERT_EQ(j.size(), 2u);
  EXPECT_EQ(j[0]["captions"][0]["lang"], "en");
  EXPECT_TRUE(j[1].contains("error"));
  EXPECT_EQ(run({"caption", dir / "a.png"}).code, 0);
}

TEST_F(CliTest, ClassifyPrintsProbabilitiesAndTemplates) {
  save_picture(dir / "a.png", tiny_picture(1));
  for (const char* by : {"embedding", "caption"}) {
    const Result r = run({"classify", dir / "a.png", "--labels", "cat, 개 ,dog", "--by", by, "--json"});
    ASSERT_EQ(r.code, 0) << r.err;
    const auto j = nlohmann::json::parse(r.out);
    EXPECT_FALSE(j["templates"].empty());
    double sum = 0;
    for (const auto& [label, p] : j["results"][0]["probabilities"].items()) sum += p.get<double>();
    EXPECT_EQ(j["results"][0]["probabilities"].size(), 3u);
    EXPECT_NEAR(sum, 1, 1e-9);
  }
  const auto scan = rawdicom::Grey{}.bytes();
  std::filesystem::create_directory(dir / "scans");
  write_file(dir / "scans/IM0001", std::string_view(reinterpret_cast<const char*>(scan.data()), scan.size()));
  rawdicom::Raw report;
  rawdicom::text(report, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.88.11");
  const auto report_file = rawdicom::file(report);
  write_file(dir / "scans/SR0001", std::string_view(reinterpret_cast<const char*>(report_file.data()), report_file.size()));
  write_file(dir / "scans/DICOMDIR", std::string_view(reinterpret_cast<const char*>(report_file.data()), report_file.size()));
  const Result folder = run({"classify", dir / "scans", "--labels", "cat,dog"});
  EXPECT_EQ(folder.code, 0) << "nothing is wrong with a report beside the pictures: " << folder.err;
  EXPECT_NE(folder.err.find("passed over"), folder.err.npos) << folder.err;
  const Result alone = run({"classify", dir / "scans/SR0001", "--labels", "cat,dog"});
  EXPECT_EQ(alone.code, 1);
  EXPECT_NE(alone.err.find("holds no picture"), alone.err.npos) << alone.err;
  EXPECT_NE(folder.out.find("IM0001:"), folder.out.npos) << folder.out;
  const Result narrow = run({"classify", dir / "scans", "--labels", "cat,dog", "--window", "50/100"});
  EXPECT_EQ(narrow.code, 0) << narrow.err;
  EXPECT_NE(narrow.out, folder.out);
  const Result white = run({"classify", dir / "scans", "--labels", "cat,dog", "--window", "-10/20"});
  EXPECT_EQ(white.code, 1);
  EXPECT_NE(white.err.find("all its pixels have one value through the window -10/20"), white.err.npos) << white.err;
  for (const char* bad : {"40", "40/", "/80", "40/0", "40/-1", "a/80", "40/80/1", "nan/1", "1/inf"})
    refused({"classify", dir / "scans", "--labels", "cat,dog", "--window", bad}, "--window ");
  refused({"classify", dir / "a.png", "--labels", "cat"}, "two or more");
  refused({"classify", dir / "a.png", "--labels", "cat,dog", "--template", "photo"}, "{}");
}

TEST_F(CliTest, EmbedTakesPicturesAndTexts) {
  save_picture(dir / "a.png", tiny_picture(1));
  const Result r = run({"embed", dir / "a.png", "a red circle", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const auto j = nlohmann::json::parse(r.out);
  ASSERT_EQ(j["items"].size(), 2u);
  EXPECT_EQ(j["items"][0]["embedding"].size(), 16u);
  EXPECT_EQ(j["items"][1]["text"], "a red circle");
  EXPECT_EQ(run({"embed", dir / "missing.png", "a red circle"}).code, 1);
  EXPECT_EQ(run({"embed", "--text", "missing.png"}).code, 0);
}

TEST_F(CliTest, SearchFindsThePictureItself) {
  fs::create_directories(dir / "photos");
  for (int i = 0; i < 4; ++i) save_picture(dir / "photos/" + std::to_string(i) + ".png", tiny_picture(uint64_t(i)));
  const Result r = run({"search", dir / "photos", dir / "photos/2.png", "-n", "3", "-o", dir / "sheet.png", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const auto j = nlohmann::json::parse(r.out);
  ASSERT_EQ(j["results"].size(), 3u);
  EXPECT_EQ(j["results"][0]["file"], dir / "photos/2.png");
  EXPECT_GT(load_image(dir / "sheet.png").width, 300);
  EXPECT_EQ(run({"search", dir / "photos", "빨간 원", "--no-sheet"}).code, 0);
  refused({"search", dir / "nowhere", "a"}, "nowhere");
  refused({"search", dir / "photos", ""}, "empty");
}

TEST_F(CliTest, InfoTellsWhatTheWeightsHold) {
  const Result r = run({"info", dir / "tiny", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const auto j = nlohmann::json::parse(r.out);
  EXPECT_EQ(j["config"]["width"], 32);
  EXPECT_EQ(j["parameters"], count_params(*tiny_model()));
  EXPECT_EQ(j["metadata"]["training"]["lr"], 0.5);
  EXPECT_EQ(j["tokenizer"]["tokens"], tiny_tokenizer().size());
  EXPECT_GT(j["tensors"].size(), 20u);
  EXPECT_EQ(run({"info", dir / "tiny", "--tensors"}).code, 0);
  setenv("DUET_WEIGHTS", (dir / "tiny").c_str(), 1);
  EXPECT_EQ(run({"info"}).code, 0);
  unsetenv("DUET_WEIGHTS");
}

}  // namespace
}  // namespace duet
