// Stamps of Tux Paint: cut-out photographs and drawings in folders by kind. Beside NAME.png lies NAME.txt: line 1 an
// English sentence, then LANG.utf8=TRANSLATION; and NAME.dat with "nomirror" where a mirrored stamp would be wrong.
#include <filesystem>
#include <fstream>

#include "train/sources.h"
#include "train/words.h"

namespace duet {
namespace {

struct StampText {
  std::string en, ko;
};

StampText read_stamp_text(const std::string& file) {
  StampText t;
  std::ifstream in(file);
  std::string line;
  for (int i = 0; i < 500 && std::getline(in, line); i++) {
    if (i == 0) t.en = line;
    if (line.rfind("ko.utf8=", 0) == 0) t.ko = line.substr(8);
  }
  return t;
}

bool says(const std::string& file, const std::string& word) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(word, 0) == 0) return true;
  }
  return false;
}

// Text in an SVG looks as the fonts of this machine do; the PNG beside it looks the same everywhere.
bool has_letters(const std::string& svg) {
  std::ifstream in(svg);
  for (std::string line; std::getline(in, line);) {
    if (line.find("<text") != line.npos) return true;
  }
  return false;
}

// Short first, then all that was said, then the bare noun.
void put_words(const std::string& sentence, std::string& caption, std::vector<std::string>& others) {
  caption = phrase(sentence);
  for (auto& s : {phrase(sentence, true), without_article(caption)}) {
    if (s != caption) add_new(others, s);
  }
}

std::string style_of(const std::string& file, const std::vector<std::string>& folders) {
  for (auto& f : folders) {
    if (f == "cartoon") return "cartoon";
  }
  return folders[0] == "symbols" || file.ends_with(".svg") ? "drawing" : "photo";
}

}  // namespace

void find_stamps(const SourceOptions& options, const Sink& sink, SourceReport& report) {
  Package package = fetch_package("tuxpaint-stamps-default", options.cache);
  report.packages = {package};
  report.license = "GPL-2.0-only";
  std::string root = package.tree + "/usr/share/tuxpaint/stamps";
  for (auto& file : files_below(root, {".png", ".svg"})) {
    report.found++;
    std::string stem = file.substr(0, file.rfind('.')), path = root + "/" + file;
    if (stem.ends_with("_mirror") || stem.ends_with("_flip") || stem.ends_with("_mirror_flip")) {
      report.dropped["mirrored copies"]++;
      continue;
    }
    std::string twin = root + "/" + stem + (file.ends_with(".png") ? ".svg" : ".png");
    if (std::filesystem::exists(twin) && file.ends_with(".png") == !has_letters(root + "/" + stem + ".svg")) {
      report.dropped["PNG and SVG of one stamp"]++;
      continue;
    }
    StampText text = read_stamp_text(root + "/" + stem + ".txt");
    if (phrase(text.en).empty()) {
      report.dropped["no text"]++;
      continue;
    }
    Candidate c;
    c.key = stem;
    put_words(text.en, c.meta.caption, c.meta.captions);
    put_words(text.ko, c.meta.caption_ko, c.meta.captions_ko);
    auto folders = split_words(file.substr(0, file.rfind('/') + 1), "/");
    if (folders.empty()) folders.push_back("other");
    c.meta.group = folders[0] + (folders.size() > 1 ? "/" + folders[1] : "");
    std::string name = words_of_file(stem);
    if (name != concept_of(c.meta.caption)) add_new(c.meta.tags, name);
    for (auto f = folders.rbegin(); f != folders.rend(); ++f) {
      if (*f != "cartoon") add_new(c.meta.tags, words_of_file(*f));
    }
    c.meta.style = style_of(file, folders);
    c.meta.source = package.name + " " + package.version;
    c.meta.license = report.license;
    c.meta.mirror_ok =
        !says(root + "/" + stem + ".dat", "nomirror") && folders[0] != "symbols" && c.meta.group != "town/roadsigns";
    c.draw = [path](int size) { return draw_file(path, size); };
    sink(std::move(c));
  }
}

}  // namespace duet
