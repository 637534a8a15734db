#include "train/cldr.h"

#include <fstream>
#include <pugixml.hpp>
#include <sstream>

#include "kernels/error.h"
#include "text/unicode.h"
#include "train/words.h"

namespace duet {
namespace {

constexpr const char* kSelector = "\xef\xb8\x8f";  // U+FE0F, "show as emoji"

void append_utf8(std::string& s, uint32_t c) {
  if (c < 0x80) return s.push_back(char(c));
  if (c < 0x800) s.push_back(char(0xc0 | c >> 6));
  else if (c < 0x10000) s.push_back(char(0xe0 | c >> 12)), s.push_back(char(0x80 | (c >> 6 & 63)));
  else s.push_back(char(0xf0 | c >> 18)), s.push_back(char(0x80 | (c >> 12 & 63))), s.push_back(char(0x80 | (c >> 6 & 63)));
  s.push_back(char(0x80 | (c & 63)));
}

// The line ends "# EMOJI E1.0 NAME".
std::string name_in(const std::string& line) {
  size_t version = line.find(" E", line.find('#')), space = line.find(' ', version + 2);
  return version == line.npos || space == line.npos ? "" : clean_caption(line.substr(space + 1), 200);
}

bool is_tone(uint32_t c) { return c >= 0x1f3fb && c <= 0x1f3ff; }

}  // namespace

std::string without_fe0f(const std::string& utf8) {
  std::string s = utf8;
  for (size_t at; (at = s.find(kSelector)) != s.npos;) s.erase(at, 3);
  return s;
}

void read_annotations(const std::string& xml_file, std::map<std::string, EmojiWords>& words) {
  pugi::xml_document document;
  auto parsed = document.load_file(xml_file.c_str());
  if (!parsed) refuse(xml_file, ": not XML: ", parsed.description(), " at byte ", parsed.offset);
  auto list = document.child("ldml").child("annotations");
  if (!list) refuse(xml_file, ": no <ldml><annotations>: not a CLDR annotation file");
  std::map<std::string, EmojiWords> here;
  for (auto a : list.children("annotation")) {
    std::string cp = without_fe0f(a.attribute("cp").value());
    std::string text = a.text().get();
    // Three arrows in a row mean "as in the parent locale".
    if (cp.empty() || text.empty() || text.find("↑↑↑") != text.npos) continue;
    if (std::string(a.attribute("type").value()) == "tts") here[cp].name = clean_caption(text, 200);
    else
      for (auto& k : split_words(text, "|")) add_new(here[cp].keywords, clean_caption(k, 100));
  }
  for (auto& [cp, w] : here) {
    std::erase(w.keywords, w.name);
    words.emplace(cp, std::move(w));
  }
}

std::map<std::string, std::string> korean_names(const std::string& tree) {
  std::map<std::string, EmojiWords> en, ko;
  read_annotations(tree + "/usr/share/unicode/cldr/common/annotations/en.xml", en);
  read_annotations(tree + "/usr/share/unicode/cldr/common/annotations/ko.xml", ko);
  std::map<std::string, std::string> names;
  for (auto& [cp, words] : en) {
    auto other = ko.find(cp);
    // Emoji lie above U+2300; below are currencies and marks whose names are other words as well ("mill").
    if (cp < "\xe2\x8c\x80" || other == ko.end() || other->second.name.empty()) continue;
    if (words.name.find(':') == words.name.npos) names.emplace(concept_of(words.name), other->second.name);
  }
  return names;
}

std::vector<EmojiEntry> read_emoji_test(const std::string& file) {
  std::ifstream in(file);
  if (!in) refuse(file, ": cannot be read; it should come with the Debian package unicode-data");
  std::vector<EmojiEntry> all;
  std::string line, group, subgroup;
  while (std::getline(in, line)) {
    if (line.rfind("# group: ", 0) == 0) group = line.substr(9);
    if (line.rfind("# subgroup: ", 0) == 0) subgroup = line.substr(12);
    size_t semicolon = line.find(';');
    if (line.empty() || line[0] == '#' || semicolon == line.npos) continue;
    if (line.find("fully-qualified", semicolon) != line.find_first_not_of(' ', semicolon + 1)) continue;
    EmojiEntry e{"", name_in(line), group, subgroup, "", 0, 0};
    std::istringstream hex(line.substr(0, semicolon));
    uint32_t c = 0;
    while (hex >> std::hex >> c) {
      if (c == 0 || c > 0x10ffff) refuse(file, ": not a code point in: ", line.substr(0, 80));
      append_utf8(e.utf8, c);
      if (is_tone(c)) e.tones++, e.tone = int(c - 0x1f3fb);
      else if (c != 0xfe0f) append_utf8(e.base, c);
    }
    if (!e.utf8.empty() && !e.name.empty()) all.push_back(std::move(e));
  }
  if (all.empty()) refuse(file, ": no emoji in it; expected the format of Unicode's emoji-test.txt");
  return all;
}

}  // namespace duet
