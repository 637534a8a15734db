// Clip art of the Open Clip Art Library: SVG drawings with title and keywords in their RDF. Many titles name the author
// or a collection instead of the thing; for those the file name is asked, and what stays unclear is left out.
#include <algorithm>
#include <cstring>
#include <pugixml.hpp>

#include "text/unicode.h"
#include "train/cldr.h"
#include "train/koreanwords.h"
#include "train/sources.h"
#include "train/words.h"

namespace duet {
namespace {

struct Art {
  std::string file, title;
  std::vector<std::string> subjects;
};

void collect(pugi::xml_node node, const char* name, std::vector<std::string>& texts) {
  for (auto n : node.children()) {
    if (!std::strcmp(n.name(), name) && *n.text().get()) texts.push_back(n.text().get());
    collect(n, name, texts);
  }
}

Art read_art(const std::string& root, const std::string& file) {
  Art art{file, "", {}};
  pugi::xml_document document;
  document.load_file((root + "/" + file).c_str());  // of a damaged file, what could be read counts
  std::vector<std::string> titles;
  for (auto part : document.document_element().children()) {
    if (std::strcmp(part.name(), "metadata")) continue;
    collect(part, "dc:title", titles);
    collect(part, "rdf:li", art.subjects);
  }
  if (!titles.empty()) art.title = clean_caption(titles[0]);
  return art;
}

bool contains(const std::string& s, std::initializer_list<const char*> parts) {
  return std::any_of(parts.begin(), parts.end(), [&](const char* p) { return s.find(p) != s.npos; });
}

const char* unwanted(const Art& art) {
  if (art.title == "gramastar") return "computed stars";
  if (contains(art.file, {"-theme/", "_theme/", "/iconset"})) return "icon themes of programs";
  if (contains(art.file, {"special/", "/cards/", "unsorted/", "logos/", "/diagrams/", "advertising"}))
    return "patterns, playing cards, logos";
  if (contains(art.file, {"architetto", "yves_g", "_yves", "_yve_"})) return "not in English";
  return nullptr;
}

// "Clipart by Steve Hall - United States" -> "United States"; "_" is a space.
std::string tidy(std::string title) {
  if (lower_ascii(title).rfind("clipart by ", 0) == 0) {
    size_t dash = title.find(" - ");
    title = dash == title.npos ? "" : title.substr(dash + 3);
  }
  std::replace(title.begin(), title.end(), '_', ' ');
  return title;
}

bool speaks(const std::string& words) {
  int letters = 0;
  for (unsigned char c : words) {
    if (c >= 128 || std::strchr("@/\\<>{}=#|~^", c)) return false;
    letters += std::isalpha(c) != 0;
  }
  auto parts = split_words(words, " ");
  if (letters < 3 || words.size() > 60 || parts.size() > 8 ||
      contains(words, {"submission", "sibmission", "untitled", "collection", "clipart"}))
    return false;
  return std::none_of(parts.begin(), parts.end(), [](const std::string& w) {
    bool digits = std::any_of(w.begin(), w.end(), [](unsigned char c) { return std::isdigit(c); });
    bool plain = std::any_of(w.begin(), w.end(), [](unsigned char c) { return std::isalpha(c); });
    return w.size() > 18 || (digits && plain && w.size() > 2);  // "03b", "fc23": counters
  });
}

std::string from_file(const std::string& file) {
  std::string words;
  for (auto& w : split_words(words_of_file(file), " ")) {
    bool noise = w.size() < 3 || contains(" " + w + " ", {" aiga ", " bb ", " clipart ", " nicu ", " buculei ", " svg "});
    if (!noise) words += (words.empty() ? "" : " ") + w;
  }
  return words;
}

std::string caption_of(const Art& art, bool title_is_a_collection) {
  std::string title = tidy(art.title);
  if (title.empty() || title_is_a_collection) title = from_file(art.file);
  if (art.file.find("/flags/") != art.file.npos) {
    for (size_t at; (at = title.find(" - ")) != title.npos;) title.replace(at, 3, ", ");
    std::string place = phrase(title, true);
    if (contains(lower_ascii(place), {"flag"}) || !speaks(place)) return place;
    if (place == lower_ascii(place)) {
      for (size_t i = 0; i < place.size(); i++) {
        if ((i == 0 || place[i - 1] == ' ') && place[i] >= 'a' && place[i] <= 'z') place[i] = char(place[i] - 32);
      }
    }
    return "flag of " + place;
  }
  std::string words = lower_ascii(phrase(title));
  std::replace(words.begin(), words.end(), '-', ' ');
  while (!words.empty() && (std::isdigit(static_cast<unsigned char>(words.back())) || words.back() == ' ')) words.pop_back();
  return words;
}

}  // namespace

void find_clipart(const SourceOptions& options, const Sink& sink, SourceReport& report) {
  constexpr int kMostOfOneTitle = 6;  // a title of more pictures than this names a collection
  Package package = fetch_package("openclipart-svg", options.cache);
  Package cldr = fetch_package("unicode-cldr-core", options.cache);
  report.packages = {package, cldr};
  report.license = "public domain (Open Clip Art Library)";
  auto korean = korean_names(cldr.tree);
  std::string root = package.tree + "/usr/share/openclipart/svg";
  std::vector<Art> arts;
  std::map<std::string, int> uses;
  for (auto& file : files_below(root, {".svg"})) {
    arts.push_back(read_art(root, file));
    uses[arts.back().title]++;
  }
  for (auto& art : arts) {
    report.found++;
    if (const char* why = unwanted(art)) {
      report.dropped[why]++;
      continue;
    }
    Candidate c;
    c.meta.caption = caption_of(art, uses[art.title] > kMostOfOneTitle);
    if (!speaks(c.meta.caption)) {
      report.dropped["no clear title"]++;
      continue;
    }
    c.key = art.file.substr(0, art.file.rfind('.'));
    for (auto& s : art.subjects) {
      for (auto& word : split_words(lower_ascii(s), ",;")) {
        std::string plain = words_of_file(word + ".");
        if (word.find("hash") == word.npos && speaks(plain) && plain != "unsorted") add_new(c.meta.tags, plain);
      }
    }
    auto k = korean.find(concept_of(c.meta.caption));
    c.meta.caption_ko = k != korean.end() ? k->second : korean_word(concept_of(c.meta.caption));
    auto folders = split_words(art.file, "/");
    c.meta.group = folders[0] + (folders.size() > 2 ? "/" + folders[1] : "");
    c.meta.style = "clipart";
    c.meta.source = package.name + " " + package.version;
    c.meta.license = report.license;
    c.meta.mirror_ok =
        folders[0] != "signs_and_symbols" && c.meta.group != "transportation/roadsigns" && folders[0] != "geography";
    std::string path = root + "/" + art.file;
    c.draw = [path](int size) { return draw_file(path, size); };
    sink(std::move(c));
  }
}

}  // namespace duet
