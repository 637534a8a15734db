// What somebody may have meant: the nearest of the words that are known.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace duet {

// How many bytes must be put in, left out, changed, or exchanged with the next (optimal string alignment: Levenshtein's
// distance with the slip that fingers make most, Damerau 1964).
size_t edit_distance(std::string_view a, std::string_view b);

// The nearest, of equals the first; empty where there are none. Only the first 64 bytes of what was said count: hostile words
// are long, known ones are not.
std::string_view nearest_word(const std::vector<std::string>& known, std::string_view said);
// The same, but empty where that is no slip of the pen: more than a third of the longer word's bytes are other ones.
std::string_view likely_meant(const std::vector<std::string>& known, std::string_view said);

}  // namespace duet
