// Korean names of things whose pictures come with English names alone: a hand-written table of common words, and the
// ways in which icon sets put them together ("shield plus", "car off", "arrow up").
#pragma once
#include <string>
#include <string_view>

namespace duet {

// The Korean name of a concept (train/words.h), or nothing where the table has none.
std::string korean_word(std::string_view concept_name);

}  // namespace duet
