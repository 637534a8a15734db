// Text to token ids and back: a byte-level BPE tokenizer in Hugging Face's tokenizer.json form.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace duet {

// The special tokens of a tokenizer that duet trains; their ids are their places in this list. The language marks start
// a caption. Imported tokenizers have other ones.
inline constexpr std::string_view kSpecialTokens[] = {"<|pad|>",        "<|bos|>",        "<|eos|>",        "<|en|>",
                                                      "<|ko|>",         "<|image|>",      "<|mask|>",       "<|reserved7|>",
                                                      "<|reserved8|>",  "<|reserved9|>",  "<|reserved10|>", "<|reserved11|>",
                                                      "<|reserved12|>", "<|reserved13|>", "<|reserved14|>", "<|reserved15|>"};

// Immutable; copies share one table; every const call is safe on many threads.
class Tokenizer {
 public:
  // Reads a tokenizer.json of kind BPE + ByteLevel without normalizer (GPT-2's kind, and what save() writes).
  // Anything else, and anything damaged, is refused in one line that names the file, the key and the mend.
  static Tokenizer load(const std::string& path);
  static Tokenizer parse(std::string_view json, const std::string& name);  // name: what errors call it

  // tokens: the bytes of each id (of a special token its name); merges: pairs of ids, best first, whose joined bytes
  // are a token; specials: ids. Refuses a set that could not spell every byte or has a token that no merge makes.
  static Tokenizer make(std::vector<std::string> tokens, const std::vector<std::pair<int, int>>& merges,
                        const std::vector<int>& specials, const std::string& name);

  std::string json() const;                  // canonical: the same tokenizer, the same bytes
  void save(const std::string& path) const;  // whole or not at all

  // Any bytes, also broken UTF-8: decode(encode(x)) == x. Never yields a special id, whatever the text says.
  std::vector<int> encode(std::string_view text) const;
  // The exact bytes, which may end inside a character; special tokens are skipped. Ids must be in [0, size()).
  std::string decode(std::span<const int> ids) const;

  int size() const;  // ids are 0 ... size()-1
  int bos() const;   // -1 where an imported tokenizer has none
  int eos() const;
  int pad() const;
  int special(std::string_view name) const;  // refuses an unknown name
  bool is_special(int id) const;
  uint64_t hash() const;  // XXH3 of json()

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace duet
