// Learning the merges of a byte-level BPE tokenizer from text.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/tokenizer.h"

namespace duet {

// Counts pieces as text goes by, so that a corpus need not fit in memory, then merges the most frequent pair (the one
// of smaller ids among equals, as Hugging Face does) until the vocabulary is full. The result depends only on how often
// each piece was seen.
class BpeTrainer {
 public:
  void add(std::string_view text);

  // vocab_size counts the 16 special tokens and the 256 bytes, so it is at least 272. The vocabulary comes out smaller
  // when no pair is left that was seen min_count times: take the size from the result.
  Tokenizer train(int vocab_size, int min_count = 2) const;

 private:
  std::unordered_map<std::string, int64_t> counts_;
};

Tokenizer train_bpe(const std::vector<std::string>& texts, int vocab_size, int min_count = 2);

}  // namespace duet
