// `duet generate` as a person calls it, in this process: the pictures it writes, what they carry, what it refuses.
#include <fstream>
#include <nlohmann/json.hpp>

#include "infer/bestof.h"
#include "infer/pngmeta.h"
#include "infer/reader.h"
#include "kernels/files.h"
#include "tests/infer/clirun.h"

namespace duet {
namespace {

using CliDrawTest = CliTest;

TEST_F(CliDrawTest, TheSameSeedGivesTheSameBytesWhateverCountAndThreads) {
  ASSERT_EQ(run({"generate", "빨간 원", "--seed", "5", "--steps", "3", "-o", dir / "one.png", "--threads", "1"}).code, 0);
  const Result r =
      run({"generate", "빨간 원", "--seed", "3", "--steps", "3", "-n", "4", "-o", dir / "four.png", "--threads", "3"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(r.out, (dir / "four-1.png") + "\n" + (dir / "four-2.png") + "\n" + (dir / "four-3.png") + "\n" +
                       (dir / "four-4.png") + "\n");
  EXPECT_EQ(bytes("one.png"), bytes("four-3.png"));
  EXPECT_NE(bytes("four-2.png"), bytes("four-3.png"));
  ASSERT_EQ(run({"generate", "파란 원", "--seed", "5", "--steps", "3", "-o", dir / "blue.png"}).code, 0);
  EXPECT_NE(load_image(dir / "one.png").rgba, load_image(dir / "blue.png").rgba) << "the words must matter";
}

TEST_F(CliDrawTest, APictureCarriesHowItWasMade) {
  const Result r =
      run({"generate", "a red  circle", "--seed", "7",      "--steps", "2",      "--guidance", "2.5", "--negative",
           "별",       "--style",       "emoji",  "--size", "32",      "--heun", "--shift",    "2",   "--guide-from",
           "0.25",     "--guide-to",    "0.75",   "--json", "--grid",  "-o",     dir / "x.png"});
  ASSERT_EQ(r.code, 0) << r.err;
  const auto j = nlohmann::json::parse(r.out);
  EXPECT_EQ(j["files"][0]["file"], dir / "x.png");
  EXPECT_EQ(j["files"][0]["seed"], 7);
  const auto sheet = read_file(j["grid"].get<std::string>(), 1 << 20);
  const auto page = read_drawn(as_bytes(sheet), "grid");
  ASSERT_TRUE(page) << "a page of drawings says what it is, too";
  EXPECT_EQ(page->prompt, "a red circle");
  EXPECT_EQ(page->seed, 7);
  const auto png = read_file(dir / "x.png", 1 << 20);
  const auto m = read_drawn(as_bytes(png), "x.png");
  ASSERT_TRUE(m);
  EXPECT_EQ(m->prompt, "a red circle");
  EXPECT_EQ(m->negative, "별");
  EXPECT_EQ(m->style, "emoji");
  EXPECT_EQ(m->seed, 7);
  EXPECT_EQ(m->steps, 2);
  EXPECT_EQ(m->guidance, 2.5);
  EXPECT_TRUE(m->heun);
  EXPECT_EQ(m->shift, 2);
  EXPECT_EQ(m->guide_from, 0.25);
  EXPECT_EQ(m->guide_to, 0.75);
  EXPECT_EQ(m->width, 32);
  EXPECT_EQ(m->model, "tiny");
  EXPECT_EQ(load_image(dir / "x.png").width, 32);
  EXPECT_EQ(m->finish, "clean");
  // As the model drew it
  for (const char* finish : {"clean", "raw"})
    ASSERT_EQ(run({"generate", "a red circle", "--seed", "7", "--steps", "2", "--finish", finish, "-o",
                   dir / (std::string(finish) + ".png")})
                  .code,
              0);
  EXPECT_EQ(read_drawn(as_bytes(bytes("raw.png")), "raw.png")->finish, "raw");
  EXPECT_NE(load_image(dir / "raw.png").rgba, load_image(dir / "clean.png").rgba);
  EXPECT_EQ(run({"generate", "a", "--finish", "shiny"}).code, 2);
  // A style is said as the loader says it.
  ASSERT_EQ(run({"generate", "a red circle, emoji", "--seed", "7",          "--steps", "2",      "--guidance",
                 "2.5",      "--negative",          "별",     "--size",     "32",      "--heun", "--shift",
                 "2",        "--guide-from",        "0.25",   "--guide-to", "0.75",    "-o",     dir / "y.png"})
                .code,
            0);
  EXPECT_EQ(load_image(dir / "x.png").rgba, load_image(dir / "y.png").rgba);
}

TEST_F(CliDrawTest, SaysWhichStylesTheWeightsKnow) {
  save_weights(dir / "styled", *tiny_model(), tiny_tokenizer(), DType::f32, {{"styles", "emoji, line icon"}});
  const auto said = [&](const std::string& weights, const std::string& style) {
    return run({"generate", "a star", "--weights", dir / weights, "--style", style, "--steps", "1", "-o", dir / "a.png"}).err;
  };
  EXPECT_NE(said("styled", "outline")
                .find("styled has not learned the style 'outline'; it knows emoji (이모지), line icon (선 아이콘)\n"),
            std::string::npos);
  EXPECT_NE(said("styled", "lime icon").find("'lime icon'; did you mean line icon\n"), std::string::npos);
  EXPECT_NE(said("styled", "이모쥐").find("did you mean 이모지\n"), std::string::npos);
  for (const char* known : {"emoji", "line icon", "선 아이콘"})
    EXPECT_EQ(said("styled", known).find("has not learned"), std::string::npos) << known;
  EXPECT_EQ(said("tiny", "outline").find("has not learned"), std::string::npos) << "weights that do not say";
}

// What a person leaves open is as the weights say; what is said holds.
TEST_F(CliDrawTest, WeightsSayHowToDraw) {
  save_weights(dir / "fast", *tiny_model(), tiny_tokenizer(), DType::f32,
               {{"sampling", R"({"steps": 2, "guidance": 1, "shift": 2})"}});
  const auto how = [&](const std::string& weights, std::vector<std::string> more) {
    more.insert(more.begin(), {"generate", "a red star", "--weights", dir / weights, "-o", dir / "a.png", "--json"});
    return nlohmann::json::parse(run(more).out);
  };
  for (const auto& [key, value] : {std::pair("steps", 2.0), {"guidance", 1.0}, {"shift", 2.0}})
    EXPECT_EQ(how("fast", {})[key], value);
  EXPECT_EQ(how("tiny", {})["steps"], 24);
  EXPECT_EQ(how("tiny", {})["guidance"], 5);
  const auto asked = how("fast", {"--steps", "3", "--guidance", "4", "--shift", "1"});
  for (const auto& [key, value] : {std::pair("steps", 3.0), {"guidance", 4.0}, {"shift", 1.0}}) EXPECT_EQ(asked[key], value);
  save_weights(dir / "bad", *tiny_model(), tiny_tokenizer(), DType::f32, {{"sampling", R"({"steps": 0})"}});
  refused({"generate", "a", "--weights", dir / "bad", "-o", dir / "a.png"}, "sampling: steps 0");
}

// The kept ones carry the seeds that draw them alone, each out of its own N.
TEST_F(CliDrawTest, BestOfKeepsTheBestRead) {
  const Result r = run({"generate", "a red circle", "--seed", "10", "--steps", "2", "-n", "3", "--best-of", "4", "--style",
                        "emoji", "--json", "-o", dir / "best.png"});
  ASSERT_EQ(r.code, 0) << r.err;
  const auto files = nlohmann::json::parse(r.out)["files"];
  ASSERT_EQ(files.size(), 3u);
  const Opened opened = open_model({.weights = dir / "tiny", .precision = "f32"});
  for (int i = 0; i < 3; ++i) {
    std::vector<Image> all;
    std::vector<std::string> bytes_of;
    for (int k = 0; k < 4; ++k) {
      ASSERT_EQ(run({"generate", "a red circle", "--seed", std::to_string(10 + 4 * i + k), "--steps", "2", "--style", "emoji",
                     "-o", dir / "one.png"})
                    .code,
                0);
      all.push_back(load_image(dir / "one.png")), bytes_of.push_back(bytes("one.png"));
    }
    const auto scores = own_scores(opened.model(), opened.tokenizer(), "a red circle, emoji", all, BestBy::both);
    const auto cosine = own_scores(opened.model(), opened.tokenizer(), "a red circle, emoji", all, BestBy::contrastive);
    for (size_t k = 0; k < 4; ++k)
      EXPECT_NEAR(
          scores[k] - cosine[k],
          caption_log_probs(opened.model(), opened.tokenizer(), all[k], std::vector<std::string>{"a red circle, emoji"})[0],
          1e-9);
    EXPECT_EQ(files[size_t(i)]["seed"], 10 + 4 * i + int(best_of(scores)));
    EXPECT_EQ(bytes("best-" + std::to_string(i + 1) + ".png"), bytes_of[best_of(scores)]);
  }
  EXPECT_NE(run({"generate", "a red circle", "--seed", "10", "--steps", "2", "--best-of", "4", "--style", "emoji", "-o",
                 dir / "one.png"})
                .err.find(join("seed 10 to 13, kept ", files[0]["seed"].get<int>(), ", 2 steps")),
            std::string::npos);
  refused({"generate", "", "--best-of", "2", "-o", dir / "x.png"}, "--best-of needs words");
}

// Of four where no seed is named; a seed that is named draws its own picture, and so does one that was kept.
TEST_F(CliDrawTest, WithoutASeedItIsTheBestOfFour) {
  const auto seeds_of = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"generate", "a red circle", "--steps", "8", "-o", dir / "a.png"});
    const Result r = run(more);
    EXPECT_EQ(r.code, 0) << r.err;
    const size_t at = r.err.find("seed ") + 5;
    return r.err.substr(at, r.err.find(", 8 steps") - at);  // "5 to 8, kept 7", or "5"
  };
  const std::string chosen = seeds_of({});
  uint64_t first = 0, last = 0, kept = 0;
  ASSERT_EQ(std::sscanf(chosen.c_str(), "%lu to %lu, kept %lu", &first, &last, &kept), 3) << chosen;
  EXPECT_EQ(last, first + 3);
  const std::string best = bytes("a.png"), seed = std::to_string(kept);
  EXPECT_EQ(seeds_of({"--seed", seed}), seed);
  EXPECT_EQ(bytes("a.png"), best);
  EXPECT_EQ(seeds_of({"--seed", std::to_string(first), "--best-of", "4"}), chosen);
  EXPECT_EQ(bytes("a.png"), best);
  EXPECT_EQ(seeds_of({"--best-of", "1"}).find("to"), std::string::npos);
  EXPECT_EQ(run({"generate", "", "--steps", "2", "-o", dir / "b.png"}).err.find("kept"), std::string::npos);
}

TEST_F(CliTest, LettersThatTheModelCannotReadAreSaid) {
  const auto said = [&](const char* prompt) {
    const Result r = run({"generate", prompt, "--seed", "5", "--steps", "1", "-o", dir / "x.png"});
    EXPECT_EQ(r.code, 0) << r.err;
    return r.err;
  };
  EXPECT_NE(said("赤い a").find("tiny has not learned to read '赤'; say it in words of English or Korean"), std::string::npos);
  EXPECT_NE(said("\xf0\x9f\x8d\x8b").find("has not learned to read"), std::string::npos);
  for (const char* fine : {"a “red” star… – 5", "샥 별", "café"})
    EXPECT_EQ(said(fine).find("has not learned"), std::string::npos);
}

// Each picture of a file's prompts is the one that the prompt alone draws, under the same name of the style.
TEST_F(CliDrawTest, PromptsOfAFileDrawWhatEachDrawsAlone) {
  std::ofstream(dir / "prompts.txt") << "\xef\xbb\xbf"
                                        "a red  circle\n\n \t\r\n파란 원\r\na star";
  const std::vector<std::string> prompts{"a red circle", "파란 원", "a star"};
  const Result r = run({"generate", "--prompts", dir / "prompts.txt", "--seed", "5", "--steps", "2", "--style", "photo",
                        "--grid", "-o", dir / "set.png"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(r.out,
            dir / "set-1.png" + "\n" + (dir / "set-2.png") + "\n" + (dir / "set-3.png") + "\n" + (dir / "set-grid.png") + "\n");
  for (size_t i = 0; i < prompts.size(); ++i) {
    ASSERT_EQ(run({"generate", prompts[i], "--seed", "5", "--steps", "2", "--style", "photo", "-o", dir / "one.png"}).code, 0);
    EXPECT_EQ(bytes("set-" + std::to_string(i + 1) + ".png"), bytes("one.png")) << prompts[i];
  }
  const Result two = run({"generate", "--prompts", dir / "prompts.txt", "-n", "2", "--seed", "5", "--steps", "2", "--best-of",
                          "2", "--json", "-o", dir / "two.png"});
  ASSERT_EQ(two.code, 0) << two.err;
  const auto said = nlohmann::json::parse(two.out)["prompts"];
  ASSERT_EQ(said.size(), 3u);
  EXPECT_EQ(said[1]["prompt"], "파란 원");
  EXPECT_EQ(said[2]["files"][1]["file"], dir / "two-3-2.png");
  const int64_t seed = said[2]["files"][1]["seed"];
  EXPECT_TRUE(seed == 7 || seed == 8) << "the second picture is the better of the second two seeds, not " << seed;
  ASSERT_EQ(run({"generate", "a star", "--seed", std::to_string(seed), "--steps", "2", "-o", dir / "one.png"}).code, 0);
  EXPECT_EQ(bytes("two-3-2.png"), bytes("one.png"));

  std::ofstream(dir / "in.txt") << "a red circle\n파란 원\n";
  ASSERT_TRUE(std::freopen((dir / "in.txt").c_str(), "r", stdin));
  ASSERT_EQ(run({"generate", "--prompts", "-", "--seed", "5", "--steps", "2", "--style", "photo", "-o", dir / "in.png"}).code,
            0);
  EXPECT_EQ(bytes("in-2.png"), bytes("set-2.png"));
  ASSERT_TRUE(std::freopen("/dev/null", "r", stdin));

  refused({"generate", "--prompts", dir / "none.txt", "-o", dir / "x.png"}, "none.txt");
  std::ofstream(dir / "blank.txt") << " \n\n";
  refused({"generate", "--prompts", dir / "blank.txt", "-o", dir / "x.png"},
          "blank.txt: says nothing; write one prompt a line");
  std::ofstream(dir / "latin.txt") << "a star\n\xe9toile\n";
  refused({"generate", "--prompts", dir / "latin.txt", "-o", dir / "x.png"},
          "latin.txt, line 2: byte 0 (0xe9) is not UTF-8; save");
  EXPECT_EQ(run({"generate", "a", "--prompts", dir / "prompts.txt"}).code, 2);
  const Result unnamed = run({"generate", "--prompts", ""});
  EXPECT_EQ(unnamed.code, 2);
  EXPECT_NE(unnamed.err.find("names no file"), std::string::npos) << unnamed.err;
}

TEST_F(CliDrawTest, NoWordsDrawSomethingAndARandomSeedIsTold) {
  const Result r = run({"generate", "", "--steps", "2", "-o", dir / "x.png"});
  ASSERT_EQ(r.code, 0) << r.err;
  const auto png = read_file(dir / "x.png", 1 << 20);
  const auto m = read_drawn(as_bytes(png), "x.png");
  EXPECT_NE(r.err.find("seed " + std::to_string(m->seed)), std::string::npos) << r.err;
  EXPECT_NE(r.err.find("guidance 1,"), std::string::npos) << r.err;
  EXPECT_EQ(m->guidance, 1) << "no words, nothing to steer by";
  const auto said = run({"generate", "", "--steps", "2", "--json", "-o", dir / "z.png"});
  EXPECT_EQ(nlohmann::json::parse(said.out)["guidance"], 1);
  ASSERT_EQ(run({"generate", "", "--steps", "2", "--seed", std::to_string(m->seed), "-o", dir / "y.png"}).code, 0);
  EXPECT_EQ(bytes("x.png"), bytes("y.png"));
}

TEST_F(CliDrawTest, GenerateRefuses) {
  refused({"generate", "a \xff b", "-o", dir / "x.png"}, "prompt: byte 2 (0xff) is not UTF-8");
  refused({"generate", "a", "--negative", "\xed\xa0\x80", "-o", dir / "x.png"}, "--negative: byte 0");
  refused({"generate", "a", "--guide-from", "0.5", "--guide-to", "0.4", "-o", dir / "x.png"}, "--guide-from 0.5 is above");
  refused({"generate", "a", "-o", dir / "x.jpg"}, ".png");
  refused({"generate", "a", "-n", "2", "--seed", "9007199254740992", "-o", dir / "x.png"}, "--seed");
  refused({"generate", "a", "-o", dir / "no/x.png"}, "make it first");
  const auto wrong = [&](const std::string& size, const std::string& says) {
    const Result r = run({"generate", "a", "--size", size, "-o", dir / "x.png"});
    EXPECT_EQ(r.code, 2) << size;
    EXPECT_NE(r.err.find("--size: "), r.err.npos) << r.err;
    EXPECT_NE(r.err.find(says), r.err.npos) << r.err;
  };
  for (const char* size : {"4", "-8", "4096", "0"}) wrong(size, "sides from 8 to 2048");
  wrong("30x200", "none over four times the other");
  for (const char* none : {"30x", "x30", "big", "30x30x30", "3.5", "30 x 30", "99999999999"})
    wrong(none, "expected a number of pixels, or WIDTHxHEIGHT");
  refused({"generate", "a", "--weights", dir / "nowhere", "-o", dir / "x.png"}, "nowhere");
  std::ofstream(dir / "tiny/model.safetensors", std::ios::in | std::ios::out).seekp(2000) << "flipped";
  refused({"generate", "a", "-o", dir / "x.png"}, "model.safetensors");
}

// The words are counted as they were given, however long; the file keeps the beginning.
TEST_F(CliDrawTest, ALongPromptIsCountedWhole) {
  std::string words = "a red circle";
  for (int i = 0; i < 400; ++i) words += " a red circle";
  const size_t tokens = tiny_tokenizer().encode(words).size() + 1;
  ASSERT_GT(words.size(), 4096u);
  const Result r = run({"generate", words, "--negative", words, "--steps", "1", "-o", dir / "x.png"});
  ASSERT_EQ(r.code, 0) << r.err;
  for (const char* what : {"the prompt has ", "the negative prompt has "})
    EXPECT_NE(
        r.err.find(what + std::to_string(tokens) + " tokens; the last " + std::to_string(tokens - 64) + " are left out, and"),
        std::string::npos)
        << r.err;
}

}  // namespace
}  // namespace duet
