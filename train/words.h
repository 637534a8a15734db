// Words of a picture as they come out of packages: file names, titles, sentences; and the concept behind a caption.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace duet {

// What two captions of the same thing have in common: lower case, without article, punctuation and accents of spelling
// ("A turkey." and "Turkey" -> "turkey"). Decides the split, so that no concept is in two of them.
std::string concept_of(std::string_view caption);

// train, val or heldout: 90, 5 and 5 percent of all concepts, by hash alone, so the same concept falls the same way in
// every data set ever built.
const char* split_of(std::string_view concept_name);

// Whether the pictures of a concept in one style are kept apart, so that a model may be asked for a pair whose concept
// and style it has both seen, but never together: one in ten of all pairs, by hash alone.
bool pair_apart(std::string_view concept_name, std::string_view style);

// "candy_cane", "monarchButterfly2.svg", "file-earmark-arrow" -> "candy cane", "monarch butterfly", "file earmark
// arrow".
std::string words_of_file(std::string_view file_name);

// A sentence as a prompt would say it: "A computer mouse. Squeak!" -> "a computer mouse"; the rest of the story is cut
// at the first sentence, dash or parenthesis. `whole` keeps everything and only mends the ends.
std::string phrase(std::string_view sentence, bool whole = false);

std::string without_article(std::string_view phrase);
std::vector<std::string> split_words(std::string_view text,
                                     std::string_view separators);  // trimmed, empty ones left out
std::string lower_ascii(std::string_view text);

// Appends what is neither empty nor already there.
void add_new(std::vector<std::string>& list, const std::string& item);

}  // namespace duet
