#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <thread>

#include "kernels/error.h"
#include "text/bpe.h"

namespace duet {
namespace {

const std::string kGolden = DUET_SOURCE_DIR "/tests/golden/";

std::string slurp(const std::string& path) {
  std::ostringstream s;
  s << std::ifstream(path, std::ios::binary).rdbuf();
  return s.str();
}

const Tokenizer& golden() {
  static const Tokenizer t = Tokenizer::load(kGolden + "tokenizer.json");
  return t;
}

std::string refusal(const std::string& json) {
  try {
    Tokenizer::parse(json, "t.json");
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

void expect_round_trip(const Tokenizer& t, const std::string& text) {
  std::vector<int> ids = t.encode(text);
  for (int id : ids) ASSERT_FALSE(t.is_special(id));
  ASSERT_EQ(t.decode(ids), text);
}

TEST(Tokenizer, AgreesWithHuggingFace) {
  auto cases = nlohmann::json::parse(slurp(kGolden + "tokenizer_cases.json"));
  ASSERT_GT(cases.size(), 250u);
  for (auto& c : cases) {
    auto text = c["text"].get<std::string>();
    EXPECT_EQ(golden().encode(text), c["ids"].get<std::vector<int>>()) << c["text"];
    expect_round_trip(golden(), text);
  }
}

TEST(Tokenizer, SpecialTokens) {
  EXPECT_EQ(golden().pad(), 0);
  EXPECT_EQ(golden().bos(), 1);
  EXPECT_EQ(golden().eos(), 2);
  for (size_t i = 0; i < std::size(kSpecialTokens); ++i) {
    EXPECT_EQ(golden().special(kSpecialTokens[i]), static_cast<int>(i));
    EXPECT_TRUE(golden().is_special(static_cast<int>(i)));
    expect_round_trip(golden(), std::string(kSpecialTokens[i]));  // as text it is only text
  }
  EXPECT_FALSE(golden().is_special(16));
  EXPECT_THROW(golden().special("<|nope|>"), Error);
  std::vector<int> ids = golden().encode("별");
  ids.insert(ids.begin(), {1, 4});
  ids.push_back(2);
  EXPECT_EQ(golden().decode(ids), "별");
  EXPECT_THROW(golden().decode(std::vector<int>{golden().size()}), Error);
  EXPECT_THROW(golden().decode(std::vector<int>{-1}), Error);
}

TEST(Tokenizer, AnyBytesRoundTrip) {
  for (int a = 0; a < 256; ++a) {
    expect_round_trip(golden(), {static_cast<char>(a)});
    for (int b = 0; b < 256; ++b) expect_round_trip(golden(), {static_cast<char>(a), static_cast<char>(b)});
  }
  std::mt19937 rng(3);
  for (int i = 0; i < 3000; ++i) {
    std::string s(rng() % 60, 0);
    // Half of them near UTF-8: leads and trails in any order, cut sequences, surrogates.
    for (char& c : s) c = static_cast<char>(i % 2 ? rng() : "\x80\xBF\xC0\xC3\xE0\xED\xA0\xF4\x90\xEA\xB0 a\n'"[rng() % 15]);
    expect_round_trip(golden(), s);
  }
}

TEST(Tokenizer, LongRunsStayLinear) {
  for (const char* unit : {"a", " ", "가", "7", "!", "\n", "\xFF", " x", "\u0301", "\xE3\x80\x80"}) {
    std::string s;
    while (s.size() < 1 << 19) s += unit;
    expect_round_trip(golden(), s);
    expect_round_trip(golden(), s + "q");
  }
}

TEST(Tokenizer, SavedFileIsTheSameTokenizer) {
  std::string path = testing::TempDir() + "duet_tokenizer_test.json";
  golden().save(path);
  Tokenizer again = Tokenizer::load(path);
  EXPECT_EQ(again.json(), golden().json());
  EXPECT_EQ(again.hash(), golden().hash());
  EXPECT_EQ(again.encode("빨간 원이 있다"), golden().encode("빨간 원이 있다"));
  std::filesystem::remove(path);
}

TEST(Tokenizer, FailedSaveLeavesNothing) {
  std::string folder = testing::TempDir() + "duet_tokenizer_folder";
  std::filesystem::create_directories(folder + "/t.json");  // a folder stands where the file should
  EXPECT_THROW(golden().save(folder + "/t.json"), Error);
  EXPECT_THROW(golden().save(folder + "/no/such/t.json"), Error);
  size_t left = std::distance(std::filesystem::directory_iterator(folder), {});
  EXPECT_EQ(left, 1u);
  std::filesystem::remove_all(folder);
}

TEST(Tokenizer, ManyThreadsEncodeAlike) {
  std::string text = slurp(kGolden + "tokenizer_corpus.txt");
  std::vector<int> want = golden().encode(text);
  std::vector<std::vector<int>> got(4);
  std::vector<std::thread> threads;
  Tokenizer cold = Tokenizer::load(kGolden + "tokenizer.json");
  for (auto& g : got) threads.emplace_back([&] { g = cold.encode(text); });
  for (auto& t : threads) t.join();
  for (auto& g : got) EXPECT_EQ(g, want);
}

// One field of the golden file changed at a time; each word must be in the refusal.
TEST(TokenizerFile, RefusesWithTheKey) {
  using nlohmann::json;
  const json good = json::parse(slurp(kGolden + "tokenizer.json"));
  ASSERT_EQ(refusal(good.dump()), "accepted");
  auto changed = [&](const std::function<void(json&)>& change) {
    json j = good;
    change(j);
    return refusal(j.dump());
  };
  auto expect = [](const std::string& said, const char* key) {
    EXPECT_NE(said.find("t.json: "), said.npos) << said;
    EXPECT_NE(said.find(key), said.npos) << said;
    EXPECT_EQ(said.find('\n'), said.npos) << said;
  };
  expect(refusal(""), "JSON");
  expect(refusal("[]"), "JSON");
  expect(refusal("{}"), "model is missing");
  expect(refusal(std::string(100000, '[')), "JSON");
  expect(changed([](json& j) { j["model"]["type"] = "Unigram"; }), "Unigram");
  expect(changed([](json& j) { j["model"]["dropout"] = 0.1; }), "model.dropout");
  expect(changed([](json& j) { j["model"]["end_of_word_suffix"] = "</w>"; }), "model.end_of_word_suffix");
  expect(changed([](json& j) { j["normalizer"] = {{"type", "NFC"}}; }), "normalizer");
  expect(changed([](json& j) { j["pre_tokenizer"]["type"] = "Metaspace"; }), "Metaspace");
  expect(changed([](json& j) { j["pre_tokenizer"]["add_prefix_space"] = true; }), "add_prefix_space");
  expect(changed([](json& j) { j["pre_tokenizer"]["use_regex"] = false; }), "use_regex");
  expect(changed([](json& j) { j["model"].erase("merges"); }), "model.merges");
  expect(changed([](json& j) { j["model"]["merges"][5] = "Zq Qz"; }), "model.merges[5]");
  expect(changed([](json& j) { j["model"]["merges"][5] = {"a", "b", "c"}; }), "model.merges[5]");
  expect(changed([](json& j) { j["model"]["merges"][5] = j["model"]["merges"][4]; }), "twice");
  expect(changed([](json& j) { j["model"]["merges"][5] = {"~", "~"}; }), "does not make a token");
  expect(changed([](json& j) { j["model"]["merges"].erase(j["model"]["merges"].size() - 1); }), "no merge makes");
  expect(changed([](json& j) { j["model"]["vocab"]["a"] = -1; }), "model.vocab");
  expect(changed([](json& j) { j["model"]["vocab"]["a"] = 1e30; }), "model.vocab");
  expect(changed([](json& j) { j["model"]["vocab"]["a"] = 70; }), "id 70");
  expect(changed([](json& j) { j["model"]["vocab"]["a"] = 5000; }), "hole");
  expect(changed([](json& j) { j["model"]["vocab"]["\u20ac"] = j["model"]["vocab"].size(); }), "alphabet");
  expect(changed([](json& j) { j["model"]["vocab"][""] = j["model"]["vocab"].size(); }), "alphabet");
  expect(changed([](json& j) { j["added_tokens"][3]["special"] = false; }), "added_tokens[3].special");
  expect(changed([](json& j) { j["added_tokens"][3]["id"] = 4; }), "added_tokens[3].id");
  expect(changed([](json& j) { j["added_tokens"][3] = j["added_tokens"][4]; }), "twice");
  expect(changed([](json& j) { j["added_tokens"][3].erase("content"); }), "added_tokens[3].content");
  std::string twice = good.dump();
  twice.insert(twice.find("\"vocab\":{") + 9, "\"a\":0,");
  expect(refusal(twice), "twice");
  expect(changed([](json& j) { j["model"]["type"] = "B\nP\tE" + std::string(500, 'x'); }), "B\\x0aP");
}

TEST(TokenizerFile, LacksAByte) {
  using nlohmann::json;
  json vocab = json::object();
  auto file = [&] {
    json level = {{"type", "ByteLevel"}};
    return json{{"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", json::array()}}}, {"pre_tokenizer", level}}.dump();
  };
  for (int b = 0; b < 255; ++b) vocab[spell_bytes(std::string(1, static_cast<char>(b)))] = b;
  EXPECT_NE(refusal(file()).find("lacks byte 255"), std::string::npos);
  vocab[spell_bytes("\xFF")] = 255;
  Tokenizer t = Tokenizer::parse(file(), "t.json");
  EXPECT_EQ(t.size(), 256);
  EXPECT_EQ(t.bos(), -1);
  EXPECT_EQ(t.encode("a\xFF"), (std::vector<int>{'a', 255}));
}

// Truncation is always noticed. A flipped bit is, or it makes another tokenizer, which its hash tells from ours; never
// anything else than one line.
TEST(TokenizerFile, DamageIsOneLineOrAnotherHash) {
  std::string good = slurp(kGolden + "tokenizer.json");
  while (!good.empty() && std::isspace(static_cast<unsigned char>(good.back()))) good.pop_back();
  for (size_t n = 0; n < good.size(); n += 1 + n / 40) EXPECT_NE(refusal(good.substr(0, n)), "accepted") << n;
  EXPECT_NE(refusal(good.substr(0, good.size() - 1)), "accepted");
  std::mt19937 rng(5);
  int refused = 0;
  constexpr int kFlips = 400;
  for (int i = 0; i < kFlips; ++i) {
    std::string bad = good;
    bad[rng() % bad.size()] ^= static_cast<char>(1 << rng() % 8);
    std::string said = refusal(bad);
    EXPECT_EQ(said.find('\n'), said.npos) << said;
    if (said != "accepted") {
      ++refused;
    } else {
      expect_round_trip(Tokenizer::parse(bad, "t.json"), "a red circle 빨간 원");
    }
  }
  RecordProperty("refused_of_400", refused);
  EXPECT_GT(refused, kFlips / 4);  // about two thirds of the bits are indentation and unused keys
}

TEST(TokenizerFile, MissingFile) {
  EXPECT_THROW(Tokenizer::load(testing::TempDir() + "no_such_tokenizer.json"), Error);
  EXPECT_THROW(Tokenizer::load(testing::TempDir()), Error);  // a folder
}

}  // namespace
}  // namespace duet
