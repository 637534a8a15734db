#include "train/words.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "text/unicode.h"

namespace duet {
namespace {

bool letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) && static_cast<unsigned char>(c) < 128; }
bool upper(char c) { return c >= 'A' && c <= 'Z'; }
bool digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t' || s.back() == '\r')) s.remove_suffix(1);
  return s;
}

constexpr std::array<std::string_view, 4> kArticles = {"a ", "an ", "the ", "some "};

// Marks that end or quote a phrase, ASCII and typographic.
constexpr std::array<std::string_view, 14> kEdges = {".", "!", ",", ";", ":", "\"", "“", "”", "„", "。", "…", "—", "–", " "};

std::string_view without_edges(std::string_view s) {
  for (bool again = true; again;) {
    again = false;
    for (auto mark : kEdges) {
      if (s.ends_with(mark)) s.remove_suffix(mark.size()), again = true;
      if (s.starts_with(mark)) s.remove_prefix(mark.size()), again = true;
    }
  }
  return s;
}

// Where the first sentence ends, for sentences of three letters and more ("St. Basil" and "U.S. coin" go on).
size_t first_sentence(std::string_view s) {
  for (size_t i = 1; i + 1 < s.size(); i++) {
    if ((s[i] != '.' && s[i] != '!' && s[i] != '?') || s[i + 1] != ' ') continue;
    size_t word = s.rfind(' ', i - 1);
    std::string_view last = s.substr(word == s.npos ? 0 : word + 1, i - (word == s.npos ? 0 : word + 1));
    if (last.size() >= 3 && last.find('.') == last.npos) return i;
  }
  return s.size();
}

}  // namespace

std::string lower_ascii(std::string_view text) {
  std::string s(text);
  for (char& c : s) c = upper(c) ? char(c + 32) : c;
  return s;
}

void add_new(std::vector<std::string>& list, const std::string& item) {
  if (!item.empty() && std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
}

std::vector<std::string> split_words(std::string_view text, std::string_view separators) {
  std::vector<std::string> words;
  while (!text.empty()) {
    size_t end = text.find_first_of(separators);
    auto word = trimmed(text.substr(0, end));
    if (!word.empty()) words.emplace_back(word);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  return words;
}

std::string without_article(std::string_view phrase) {
  std::string low = lower_ascii(phrase);
  for (auto article : kArticles) {
    if (low.starts_with(article)) return std::string(trimmed(phrase.substr(article.size())));
  }
  return std::string(phrase);
}

std::string concept_of(std::string_view caption) {
  std::string folded;
  for (char c : lower_ascii(without_article(without_edges(caption)))) {
    bool keep = letter(c) || digit(c) || static_cast<unsigned char>(c) >= 128 || c == '+' || c == '#' || c == '*';
    if (keep) folded += c;
    else if (c != '\'' && !folded.empty() && folded.back() != ' ') folded += ' ';
  }
  while (!folded.empty() && folded.back() == ' ') folded.pop_back();
  return folded.empty() ? std::string(caption) : folded;
}

const char* split_of(std::string_view concept_name) {
  uint64_t at = XXH64(concept_name.data(), concept_name.size(), 0x64756574) % 1000;
  return at < 900 ? "train" : at < 950 ? "val" : "heldout";
}

bool pair_apart(std::string_view concept_name, std::string_view style) {
  std::string pair = std::string(concept_name) + '\n' + std::string(style);
  return XXH64(pair.data(), pair.size(), 0x70616972) % 10 == 0;
}

std::string words_of_file(std::string_view file_name) {
  if (size_t slash = file_name.rfind('/'); slash != file_name.npos) file_name.remove_prefix(slash + 1);
  if (size_t dot = file_name.rfind('.'); dot != file_name.npos && dot > 0) file_name = file_name.substr(0, dot);
  std::string spaced;
  for (size_t i = 0; i < file_name.size(); i++) {
    char c = file_name[i], before = i ? file_name[i - 1] : ' ';
    if (upper(c) && letter(before) && !upper(before)) spaced += ' ';
    bool plain = letter(c) || digit(c) || static_cast<unsigned char>(c) >= 128 || c == '\'';
    spaced += plain ? c : ' ';
  }
  std::string words;
  for (auto& w : split_words(spaced, " ")) {
    // A counter behind a name ("rabbit2", "flower 07") says nothing of the picture.
    while (w.size() > 4 && digit(w.back())) w.pop_back();
    if (std::all_of(w.begin(), w.end(), digit)) continue;
    words += (words.empty() ? "" : " ") + lower_ascii(w);
  }
  return words;
}

std::string phrase(std::string_view sentence, bool whole) {
  std::string clean = clean_caption(sentence, 600);
  std::string_view s = clean;
  if (!whole) {
    s = s.substr(0, first_sentence(s));
    for (std::string_view cut : {"—", " – ", " - ", " ("}) {
      size_t at = s.find(cut);
      if (at != s.npos && at >= 3) s = s.substr(0, at);
    }
  }
  std::string out(without_edges(s));
  if (out.empty()) out = clean;
  std::string low = lower_ascii(out);
  for (auto article : kArticles) {
    if (low.starts_with(article)) out[0] = low[0];
  }
  return out;
}

}  // namespace duet
