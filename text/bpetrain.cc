#include "text/bpetrain.h"

#include <algorithm>
#include <array>
#include <queue>

#include "kernels/error.h"
#include "text/bpe.h"
#include "text/pretokenize.h"

namespace duet {
namespace {

// A merge costs time in the length of the pieces that it touches; text without spaces is learned in slices.
constexpr size_t kSlice = 256;

struct Word {
  std::vector<int> ids;
  int64_t count;
};

struct Pair {
  int64_t count;
  int left, right;
  bool operator<(const Pair& o) const {
    if (count != o.count) return count < o.count;
    return left != o.left ? left > o.left : right > o.right;
  }
};

// Pair counts that follow the words. A count is exact; an entry of the heap may be stale and is checked when it comes
// up; an entry of places may be stale too (the word no longer has the pair).
class Merger {
 public:
  explicit Merger(std::vector<Word> words) : words_(std::move(words)) {
    for (size_t w = 0; w < words_.size(); ++w) count(static_cast<uint32_t>(w), +1, true);
    for (auto& [key, c] : counts_) heap_.push({c, static_cast<int>(key >> 32), static_cast<int>(key & 0xFFFFFFFF)});
  }

  // The most frequent pair, or count 0.
  Pair best() {
    while (!heap_.empty()) {
      Pair p = heap_.top();
      int64_t now = counts_[pair_key(p.left, p.right)];
      if (now == p.count) return p;
      heap_.pop();
      if (now > 0) heap_.push({now, p.left, p.right});
    }
    return {0, 0, 0};
  }

  void merge(const Pair& p, int made) {
    std::vector<uint32_t> where = std::move(places_[pair_key(p.left, p.right)]);
    grown_.clear();
    for (uint32_t w : where) {
      std::vector<int>& ids = words_[w].ids;
      bool has = false;
      for (size_t i = 0; i + 1 < ids.size() && !has; ++i) has = ids[i] == p.left && ids[i + 1] == p.right;
      if (!has) continue;
      count(w, -1, false);
      size_t to = 0;
      for (size_t i = 0; i < ids.size(); ++i) {
        bool here = i + 1 < ids.size() && ids[i] == p.left && ids[i + 1] == p.right;
        ids[to++] = here ? made : ids[i];
        i += here;
      }
      ids.resize(to);
      count(w, +1, false);
      for (size_t i = 0; i + 1 < to; ++i) {
        if (ids[i] != made && ids[i + 1] != made) continue;
        uint64_t key = pair_key(ids[i], ids[i + 1]);
        note(key, w);
        grown_.push_back(key);
      }
    }
    std::sort(grown_.begin(), grown_.end());
    grown_.erase(std::unique(grown_.begin(), grown_.end()), grown_.end());
    for (uint64_t key : grown_) heap_.push({counts_[key], static_cast<int>(key >> 32), static_cast<int>(key & 0xFFFFFFFF)});
    counts_.erase(pair_key(p.left, p.right));
    places_.erase(pair_key(p.left, p.right));
  }

 private:
  void note(uint64_t key, uint32_t w) {
    std::vector<uint32_t>& list = places_[key];
    if (list.empty() || list.back() != w) list.push_back(w);
  }
  void count(uint32_t w, int sign, bool place) {
    const Word& word = words_[w];
    for (size_t i = 0; i + 1 < word.ids.size(); ++i) {
      uint64_t key = pair_key(word.ids[i], word.ids[i + 1]);
      counts_[key] += sign * word.count;
      if (place) note(key, w);
    }
  }

  std::vector<Word> words_;
  std::unordered_map<uint64_t, int64_t, PairHash> counts_;
  std::unordered_map<uint64_t, std::vector<uint32_t>, PairHash> places_;
  std::priority_queue<Pair> heap_;
  std::vector<uint64_t> grown_;
};

}  // namespace

void BpeTrainer::add(std::string_view text) {
  thread_local std::vector<std::string_view> pieces;
  thread_local std::string key;
  pieces.clear();
  pretokenize(text, pieces);
  for (std::string_view piece : pieces)
    for (size_t at = 0; at < piece.size(); at += kSlice) {
      key = piece.substr(at, kSlice);
      ++counts_[key];
    }
}

Tokenizer BpeTrainer::train(int vocab_size, int min_count) const {
  constexpr int kSpecials = std::size(kSpecialTokens);
  if (vocab_size < kSpecials + 256 || vocab_size > 1'000'000)
    refuse("a vocabulary of ", vocab_size, " tokens is not possible: choose from ", kSpecials + 256, " to 1000000");

  std::vector<std::string> tokens(std::begin(kSpecialTokens), std::end(kSpecialTokens));
  std::vector<int> specials(kSpecials);
  for (int i = 0; i < kSpecials; ++i) specials[i] = i;
  // Bytes in the order of their letters, as Hugging Face's trainer sorts its alphabet.
  std::array<int, 256> order, byte_ids;
  for (int b = 0; b < 256; ++b) order[b] = b;
  std::sort(order.begin(), order.end(), [](int a, int b) { return byte_letter(a) < byte_letter(b); });
  for (int b : order) {
    byte_ids[b] = static_cast<int>(tokens.size());
    tokens.emplace_back(1, static_cast<char>(b));
  }

  std::vector<Word> words;
  words.reserve(counts_.size());
  for (auto& [piece, n] : counts_) {
    if (piece.size() < 2) continue;
    Word& word = words.emplace_back(Word{{}, n});
    for (unsigned char c : piece) word.ids.push_back(byte_ids[c]);
  }
  std::unordered_map<std::string, int> ids;
  for (size_t id = kSpecials; id < tokens.size(); ++id) ids[tokens[id]] = static_cast<int>(id);
  std::vector<std::pair<int, int>> merges;
  Merger merger(std::move(words));
  while (static_cast<int>(tokens.size()) < vocab_size) {
    Pair p = merger.best();
    if (p.count < std::max(min_count, 1)) break;
    // Two pairs can spell the same bytes: they share the token.
    auto [token, fresh] = ids.try_emplace(tokens[p.left] + tokens[p.right], static_cast<int>(tokens.size()));
    if (fresh) tokens.push_back(token->first);
    merges.emplace_back(p.left, p.right);
    merger.merge(p, token->second);
  }
  return Tokenizer::make(std::move(tokens), merges, specials, "the trained tokenizer");
}

Tokenizer train_bpe(const std::vector<std::string>& texts, int vocab_size, int min_count) {
  BpeTrainer trainer;
  for (const std::string& text : texts) trainer.add(text);
  return trainer.train(vocab_size, min_count);
}

}  // namespace duet
