// Names and keywords of emoji from Unicode's CLDR annotations, and the list of emoji with their groups
// (emoji-test.txt).
#pragma once
#include <map>
#include <string>
#include <vector>

namespace duet {

struct EmojiWords {
  std::string name;                   // type="tts"
  std::vector<std::string> keywords;  // without the name
};

// Emoji without U+FE0F -> words. Adds to `words`; what is there already stays. Refuses what is not such XML.
// https://unicode.org/reports/tr35/tr35-general.html#Annotations
void read_annotations(const std::string& xml_file, std::map<std::string, EmojiWords>& words);

struct EmojiEntry {
  std::string utf8;             // fully qualified
  std::string name;             // English, "grinning face"
  std::string group, subgroup;  // "Animals & Nature", "animal-bird"
  std::string base;             // without skin tones and U+FE0F
  int tones = 0;                // skin tone modifiers in it
  int tone = 0;                 // the last of them, 0 (light) to 4 (dark)
};

// The fully qualified lines, in order. https://unicode.org/reports/tr51/#emoji_data
std::vector<EmojiEntry> read_emoji_test(const std::string& file);

// concept_of(English name) -> Korean name, from the annotations below the tree of the package unicode-cldr-core: for
// pictures that are named in English alone. Only plain names ("apple"), no composed ones ("flag: Norway", "woman:
// bald").
std::map<std::string, std::string> korean_names(const std::string& tree);

std::string without_fe0f(const std::string& utf8);

}  // namespace duet
