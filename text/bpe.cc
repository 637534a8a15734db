#include "text/bpe.h"

#include <algorithm>

#include "text/unicode.h"

namespace duet {
namespace {

struct Alphabet {
  std::array<char32_t, 256> letter;
  std::unordered_map<char32_t, uint8_t> byte;
  Alphabet() {
    char32_t next = 0x100;
    for (int b = 0; b < 256; ++b) {
      bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      letter[b] = printable ? b : next++;
      byte[letter[b]] = static_cast<uint8_t>(b);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet a;
  return a;
}

// One symbol of a piece while it is merged: a doubly linked list in an array. id < 0: merged into its left neighbour.
struct Symbol {
  int id, left, right;
};

struct Candidate {
  int rank, at, made;
  bool operator<(const Candidate& o) const { return rank != o.rank ? rank > o.rank : at > o.at; }
};

}  // namespace

char32_t byte_letter(uint8_t byte) { return alphabet().letter[byte]; }

std::string spell_bytes(std::string_view bytes) {
  std::string out;
  for (unsigned char b : bytes) {
    char32_t c = byte_letter(b);  // below U+0800: at most two bytes
    if (c < 0x80) {
      out += static_cast<char>(c);
    } else {
      out += static_cast<char>(0xC0 | c >> 6);
      out += static_cast<char>(0x80 | (c & 0x3F));
    }
  }
  return out;
}

std::optional<std::string> unspell_bytes(std::string_view letters) {
  std::string out;
  for (size_t at = 0; at < letters.size();) {
    size_t n = utf8_sequence(letters, at);
    if (n != 1 && n != 2) return std::nullopt;
    char32_t c = static_cast<unsigned char>(letters[at]);
    if (n == 2) c = (c & 0x1F) << 6 | (letters[at + 1] & 0x3F);
    auto found = alphabet().byte.find(c);
    if (found == alphabet().byte.end()) return std::nullopt;
    out += static_cast<char>(found->second);
    at += n;
  }
  return out;
}

Bpe::Bpe(const std::array<int, 256>& byte_ids, const std::vector<Merge>& merges) : byte_ids_(byte_ids) {
  rules_.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const Merge& m = merges[rank];
    rules_.try_emplace(pair_key(m.left, m.right), Rule{static_cast<int>(rank), m.made});
  }
}

void Bpe::encode(std::string_view piece, std::vector<int>& out) const {
  int n = static_cast<int>(piece.size());
  thread_local std::vector<Symbol> symbols;
  thread_local std::vector<Candidate> heap;
  symbols.clear();
  heap.clear();
  for (int i = 0; i < n; ++i)
    symbols.push_back({byte_ids_[static_cast<unsigned char>(piece[i])], i - 1, i + 1 < n ? i + 1 : -1});

  auto offer = [&](int at) {
    if (at < 0 || symbols[at].right < 0) return;
    auto rule = rules_.find(pair_key(symbols[at].id, symbols[symbols[at].right].id));
    if (rule == rules_.end()) return;
    heap.push_back({rule->second.rank, at, rule->second.made});
    std::push_heap(heap.begin(), heap.end());
  };
  for (int i = 0; i < n; ++i) offer(i);

  while (!heap.empty()) {
    Candidate best = heap.front();
    std::pop_heap(heap.begin(), heap.end());
    heap.pop_back();
    Symbol& left = symbols[best.at];
    if (left.id < 0 || left.right < 0) continue;
    Symbol& right = symbols[left.right];
    // A neighbour may have merged since. Like Hugging Face, the test is what the pair makes, not which pair it is.
    auto rule = rules_.find(pair_key(left.id, right.id));
    if (rule == rules_.end() || rule->second.made != best.made) continue;
    left.id = best.made;
    left.right = right.right;
    right.id = -1;
    if (left.right >= 0) symbols[left.right].left = best.at;
    offer(left.left);
    offer(best.at);
  }
  for (int at = 0; at >= 0 && n > 0; at = symbols[at].right) out.push_back(symbols[at].id);
}

}  // namespace duet
