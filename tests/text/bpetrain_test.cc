#include "text/bpetrain.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "kernels/error.h"
#include "text/corpus.h"

namespace duet {
namespace {

const std::string kGolden = DUET_SOURCE_DIR "/tests/golden/";

std::vector<std::string> corpus() {
  std::vector<std::string> lines;
  for_each_line(kGolden + "tokenizer_corpus.txt", [&](std::string_view line) { lines.emplace_back(line); });
  return lines;
}

TEST(TrainBpe, LearnsWhatHuggingFaceLearns) {
  Tokenizer theirs = Tokenizer::load(kGolden + "tokenizer.json");
  EXPECT_EQ(train_bpe(corpus(), 900).json(), theirs.json());
}

TEST(TrainBpe, OrderOfTextsDoesNotMatter) {
  std::vector<std::string> texts = corpus();
  std::string want = train_bpe(texts, 700).json();
  std::shuffle(texts.begin(), texts.end(), std::mt19937(1));
  EXPECT_EQ(train_bpe(texts, 700).json(), want);
}

TEST(TrainBpe, MergesByHand) {
  // Pieces "ab" x4, "abc" x3, "bc" x2: ab 7, bc 5 (2 after ab is merged), then (ab)c 3.
  Tokenizer t = train_bpe({"ab\nab\nab\nab", "abc\nabc\nabc", "bc\nbc"}, 400);
  EXPECT_EQ(t.decode(std::vector<int>{272}), "ab");
  EXPECT_EQ(t.decode(std::vector<int>{273}), "abc");
  EXPECT_EQ(t.decode(std::vector<int>{274}), "bc");
  EXPECT_EQ(t.size(), 275);
  EXPECT_EQ(t.encode("abcbcab"), (std::vector<int>{273, 274, 272}));
}

TEST(TrainBpe, KoreanWordsBecomeTokens) {
  std::vector<std::string> texts = corpus();
  Tokenizer t = train_bpe(texts, 900);
  size_t ids = 0, words = 0;
  for (auto& text : texts) {
    if (text.find("위에 있다") == text.npos) continue;
    ids += t.encode(text).size();
    words += 1 + std::count(text.begin(), text.end(), ' ');
  }
  ASSERT_GT(words, 1000u);
  EXPECT_LT(static_cast<double>(ids), 1.3 * static_cast<double>(words));
}

TEST(TrainBpe, RareAndLongAndEmpty) {
  EXPECT_EQ(train_bpe({}, 5000).size(), 272);
  EXPECT_EQ(train_bpe({"once"}, 5000).size(), 272);     // below min_count
  EXPECT_EQ(train_bpe({"once"}, 5000, 1).size(), 275);  // on, onc, once
  EXPECT_THROW(train_bpe({}, 271), Error);
  std::string endless;
  std::mt19937 rng(2);
  for (int i = 0; i < 300000; ++i) endless += static_cast<char>('a' + rng() % 26);
  Tokenizer t = train_bpe({endless}, 2000);  // one piece; seconds, not hours
  EXPECT_EQ(t.size(), 2000);
  EXPECT_EQ(t.decode(t.encode(endless)), endless);
}

TEST(TrainBpe, BrokenBytesLearnNothing) {
  EXPECT_EQ(train_bpe({std::string(100, '\xFF'), std::string(100, '\xFF')}, 300).size(), 272);
}

}  // namespace
}  // namespace duet
