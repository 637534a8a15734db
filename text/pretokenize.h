// Cuts text into the pieces that byte-level BPE never merges across, with GPT-2's pattern:
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// (Radford et al. 2019; \s is Unicode's White_Space, as in Hugging Face `tokenizers`.)
#pragma once
#include <string_view>
#include <vector>

namespace duet {

// Appends the pieces to out; together they are exactly the text. A byte that is not UTF-8 is a piece of its own.
// Linear time, any input; safe on many threads.
void pretokenize(std::string_view text, std::vector<std::string_view>& out);

}  // namespace duet
