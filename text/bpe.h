// Byte-pair encoding over bytes (Sennrich et al. 2016; byte-level as GPT-2): the merge table and what it does to a
// piece.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace duet {

// The alphabet in which a tokenizer.json spells bytes: each byte is one printable character, itself where it is
// printable Latin-1 and U+0100, U+0101 ... in order where it is not, so that a space reads as U+0120.
char32_t byte_letter(uint8_t byte);
std::string spell_bytes(std::string_view bytes);
std::optional<std::string> unspell_bytes(std::string_view letters);  // nothing where a character is not in the alphabet

// A pair of token ids as one key, and a hash that mixes it (ids are small and dense: the identity would collide).
inline uint64_t pair_key(int left, int right) { return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right); }
struct PairHash {
  size_t operator()(uint64_t key) const {
    key = (key ^ key >> 32) * 0x9E3779B97F4A7C15u;
    return key ^ key >> 29;
  }
};

struct Merge {
  int left, right, made;  // ids
};

class Bpe {
 public:
  Bpe() = default;
  // byte_ids: the id of each single byte. merges: best first, no pair twice.
  Bpe(const std::array<int, 256>& byte_ids, const std::vector<Merge>& merges);

  // Appends the ids of one piece to out: always the best-ranked pair first, leftmost among equals.
  // O(n log n) in the bytes of the piece; const and safe on many threads.
  void encode(std::string_view piece, std::vector<int>& out) const;

 private:
  struct Rule {
    int rank, made;
  };
  std::array<int, 256> byte_ids_{};
  std::unordered_map<uint64_t, Rule, PairHash> rules_;
};

}  // namespace duet
