#include "text/tokenizer.h"

#include <mutex>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "kernels/error.h"
#include "kernels/files.h"
#include "kernels/quote.h"
#include "text/bpe.h"
#include "text/pretokenize.h"

namespace duet {
namespace {

// Remembers the ids of short pieces: words come again and again. Sharded so that loader threads rarely meet.
class PieceCache {
 public:
  bool find(std::string_view piece, uint64_t hash, std::vector<int>& out) const {
    Shard& s = shards_[hash % kShards];
    std::lock_guard lock(s.mutex);
    auto found = s.ids.find(hash);
    if (found == s.ids.end() || found->second.first != piece) return false;
    out.insert(out.end(), found->second.second.begin(), found->second.second.end());
    return true;
  }
  void put(std::string_view piece, uint64_t hash, std::span<const int> ids) const {
    Shard& s = shards_[hash % kShards];
    std::lock_guard lock(s.mutex);
    if (s.ids.size() >= kPerShard) s.ids.clear();
    s.ids.insert_or_assign(hash, std::pair(std::string(piece), std::vector<int>(ids.begin(), ids.end())));
  }

 private:
  static constexpr size_t kShards = 16, kPerShard = 8192;
  struct Shard {
    std::mutex mutex;
    std::unordered_map<uint64_t, std::pair<std::string, std::vector<int>>> ids;
  };
  mutable std::array<Shard, kShards> shards_;
};

constexpr size_t kCachedPiece = 64;  // bytes; longer pieces are rarely seen twice

}  // namespace

struct Tokenizer::State {
  std::vector<std::string> tokens;
  std::vector<bool> is_special;
  std::unordered_map<std::string_view, int> specials;
  std::vector<std::pair<int, int>> merges;
  Bpe bpe;
  uint64_t hash = 0;
  int bos = -1, eos = -1, pad = -1;
  PieceCache cache;

  int first_of(std::initializer_list<std::string_view> names) const {
    for (std::string_view n : names)
      if (auto found = specials.find(n); found != specials.end()) return found->second;
    return -1;
  }
};

Tokenizer Tokenizer::make(std::vector<std::string> tokens, const std::vector<std::pair<int, int>>& merges,
                          const std::vector<int>& specials, const std::string& name) {
  auto state = std::make_shared<State>();
  State& s = *state;
  s.tokens = std::move(tokens);
  s.merges = merges;
  int n = static_cast<int>(s.tokens.size());
  s.is_special.resize(n);
  for (int id : specials) {
    CHECK(id >= 0 && id < n, "special id ", id, " of ", n);
    s.is_special[id] = true;
    if (!s.specials.emplace(s.tokens[id], id).second)
      refuse(name, ": special token ", shown(s.tokens[id]), " is there twice; remove one");
  }

  std::unordered_map<std::string_view, int> ids;
  std::vector<bool> made(n);
  std::array<int, 256> byte_ids;
  byte_ids.fill(-1);
  for (int id = 0; id < n; ++id) {
    if (s.is_special[id]) continue;
    if (!ids.emplace(s.tokens[id], id).second)
      refuse(name, ": model.vocab has two tokens of the same bytes, one is ", id, "; remove one");
    if (s.tokens[id].size() != 1) continue;
    byte_ids[static_cast<unsigned char>(s.tokens[id][0])] = id;
    made[id] = true;
  }
  for (int b = 0; b < 256; ++b)
    if (byte_ids[b] < 0)
      refuse(name, ": model.vocab lacks byte ", b, " (", shown(spell_bytes(std::string(1, static_cast<char>(b)))),
             "), so not every text can be encoded; a byte-level vocabulary has all 256");

  std::vector<Merge> rules;
  std::unordered_set<uint64_t, PairHash> seen;
  for (auto [left, right] : merges) {
    CHECK(left >= 0 && left < n && right >= 0 && right < n, "merge ", left, " ", right, " of ", n, " tokens");
    auto refuse_pair = [&, left = left, right = right](const char* why) {
      refuse(name, ": model.merges[", rules.size(), "] ", shown(spell_bytes(s.tokens[left])), " ",
             shown(spell_bytes(s.tokens[right])), why);
    };
    if (!seen.insert(pair_key(left, right)).second) refuse_pair(" is there twice; remove one");
    auto found = ids.find(s.tokens[left] + s.tokens[right]);
    if (s.is_special[left] || s.is_special[right] || found == ids.end())
      refuse_pair(" does not make a token of model.vocab; the file is damaged");
    made[found->second] = true;
    rules.push_back({left, right, found->second});
  }
  for (int id = 0; id < n; ++id)
    if (!made[id] && !s.is_special[id])
      refuse(name, ": model.vocab has ", shown(spell_bytes(s.tokens[id])), " = ", id,
             ", which no merge makes; the file is damaged, or lists a special token only in model.vocab");

  s.bpe = Bpe(byte_ids, rules);
  s.bos = s.first_of({"<|bos|>", "<|startoftext|>", "<s>", "<|endoftext|>"});
  s.eos = s.first_of({"<|eos|>", "</s>", "<|endoftext|>"});
  s.pad = s.first_of({"<|pad|>", "<pad>", "<|endoftext|>"});
  Tokenizer t;
  t.state_ = state;
  s.hash = xxh3(as_bytes(t.json()));
  return t;
}

std::vector<int> Tokenizer::encode(std::string_view text) const {
  std::vector<int> out;
  thread_local std::vector<std::string_view> pieces;
  pieces.clear();
  pretokenize(text, pieces);
  for (std::string_view piece : pieces) {
    if (piece.size() > kCachedPiece) {
      state_->bpe.encode(piece, out);
      continue;
    }
    uint64_t hash = xxh3(as_bytes(piece));
    if (state_->cache.find(piece, hash, out)) continue;
    size_t before = out.size();
    state_->bpe.encode(piece, out);
    state_->cache.put(piece, hash, std::span(out).subspan(before));
  }
  return out;
}

std::string Tokenizer::decode(std::span<const int> ids) const {
  std::string out;
  for (int id : ids)
    if (!is_special(id)) out += state_->tokens[id];
  return out;
}

std::string Tokenizer::json() const {
  using nlohmann::json;
  const State& s = *state_;
  json added = json::array(), vocab = json::object(), merges = json::array();
  for (int id = 0; id < size(); ++id) {
    vocab[s.is_special[id] ? s.tokens[id] : spell_bytes(s.tokens[id])] = id;
    if (s.is_special[id])
      added.push_back({{"id", id},
                       {"content", s.tokens[id]},
                       {"single_word", false},
                       {"lstrip", false},
                       {"rstrip", false},
                       {"normalized", false},
                       {"special", true}});
  }
  for (auto [left, right] : s.merges) merges.push_back(spell_bytes(s.tokens[left]) + " " + spell_bytes(s.tokens[right]));
  json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  json model = {{"type", "BPE"},
                {"dropout", nullptr},
                {"unk_token", nullptr},
                {"continuing_subword_prefix", nullptr},
                {"end_of_word_suffix", nullptr},
                {"fuse_unk", false},
                {"byte_fallback", false},
                {"ignore_merges", false},
                {"vocab", std::move(vocab)},
                {"merges", std::move(merges)}};
  json whole = {{"version", "1.0"},          {"truncation", nullptr},
                {"padding", nullptr},        {"added_tokens", std::move(added)},
                {"normalizer", nullptr},     {"pre_tokenizer", byte_level},
                {"post_processor", nullptr}, {"decoder", byte_level},
                {"model", std::move(model)}};
  return whole.dump(1) + "\n";
}

void Tokenizer::save(const std::string& path) const { write_file(path, json()); }

int Tokenizer::size() const { return static_cast<int>(state_->tokens.size()); }
int Tokenizer::bos() const { return state_->bos; }
int Tokenizer::eos() const { return state_->eos; }
int Tokenizer::pad() const { return state_->pad; }
uint64_t Tokenizer::hash() const { return state_->hash; }

int Tokenizer::special(std::string_view name) const {
  auto found = state_->specials.find(name);
  if (found == state_->specials.end()) refuse("the tokenizer has no special token ", shown(name));
  return found->second;
}

bool Tokenizer::is_special(int id) const {
  CHECK(id >= 0 && id < size(), "token id ", id, " of ", size());
  return state_->is_special[id];
}

}  // namespace duet
