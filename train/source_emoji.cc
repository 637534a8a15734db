// Emoji: Noto's bitmaps, named by CLDR in English and Korean, grouped as Unicode's emoji-test.txt groups them.
#include <xxhash.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>

#include "text/unicode.h"
#include "train/cldr.h"
#include "train/emojifont.h"
#include "train/sources.h"
#include "train/words.h"

namespace duet {
namespace {

using Words = std::map<std::string, EmojiWords>;

std::string code_key(const std::string& utf8) {
  std::string key;
  for (size_t i = 0; i < utf8.size();) {
    size_t n = std::max<size_t>(1, utf8_sequence(utf8, i));
    uint32_t c = n == 1 ? uint8_t(utf8[i]) : uint8_t(utf8[i]) & (0x7f >> n);
    for (size_t k = 1; k < n; k++) c = c << 6 | (uint8_t(utf8[i + k]) & 63);
    char hex[12];
    snprintf(hex, sizeof hex, "%s%x", key.empty() ? "" : "-", c);
    key += hex;
    i += n;
  }
  return key;
}

std::string after(const std::string& s, const std::string& prefix) {
  return s.rfind(prefix, 0) == 0 ? s.substr(prefix.size()) : "";
}

}  // namespace

void plainer_words(Meta& m) {
  if (auto x = after(m.caption, "flag: "); !x.empty()) add_new(m.captions, "flag of " + x), add_new(m.captions, x + " flag");
  if (auto x = after(m.caption_ko, "깃발: "); !x.empty())
    add_new(m.captions_ko, x + " 국기"), add_new(m.captions_ko, x + " 깃발");
  if (auto x = after(m.caption, "keycap: "); !x.empty()) add_new(m.captions, "keycap " + x);
  for (const char* what : {"woman", "man", "person"}) {
    auto x = after(m.caption, std::string(what) + ": ");
    if (x.empty() || x.find("skin tone") != x.npos) continue;
    add_new(m.captions, x == "bald" || x == "beard"
                            ? (x == "bald" ? "bald " + std::string(what) : std::string(what) + " with a beard")
                            : std::string(what) + " with " + x);
  }
}

bool borrowed_flag(const std::string& name) {
  static const std::set<std::string> kNames = {"Bouvet Island",   "Svalbard & Jan Mayen",  "Clipperton Island",
                                               "St. Martin",      "U.S. Outlying Islands", "Heard & McDonald Islands",
                                               "Ceuta & Melilla", "Diego Garcia"};
  return kNames.count(after(name, "flag: ")) > 0;
}

namespace {

// Of the (up to 25) skin tone variants of one emoji a small model is shown one, picked by the emoji itself.
bool tone_chosen(const EmojiEntry& e) { return e.tones == 1 && uint64_t(e.tone) == XXH64(e.base.data(), e.base.size(), 0) % 5; }

// How an emoji is drawn, or nothing where the set lacks it; throws nothing.
using Look = std::function<std::function<Image(int)>(const EmojiEntry&)>;

void walk_emoji(const Package& cldr, const Package& unicode, const Package& pictures, const Meta& common, const Look& look,
                const Sink& sink, SourceReport& report) {
  Words en, ko;
  for (const char* folder : {"annotations", "annotationsDerived"}) {
    std::string at = cldr.tree + "/usr/share/unicode/cldr/common/" + folder;
    read_annotations(at + "/en.xml", en);
    read_annotations(at + "/ko.xml", ko);
  }
  for (auto& e : read_emoji_test(unicode.tree + "/usr/share/unicode/emoji/emoji-test.txt")) {
    report.found++;
    if (e.tones && !tone_chosen(e)) {
      report.dropped["further skin tones"]++;
      continue;
    }
    EmojiWords words{e.name, {}};  // younger emoji than CLDR's have a name in the list alone
    if (auto known = en.find(without_fe0f(e.utf8)); known != en.end()) words = known->second;
    if (borrowed_flag(words.name)) {
      report.dropped["flag of another country"]++;
      continue;
    }
    Candidate c;
    c.draw = look(e);
    if (!c.draw) {
      report.dropped["not in the set"]++;
      continue;
    }
    c.key = code_key(e.utf8);
    c.meta = common;
    c.meta.caption = words.name;
    c.meta.tags = words.keywords;
    if (auto k = ko.find(without_fe0f(e.utf8)); k != ko.end()) {
      c.meta.caption_ko = k->second.name;
      c.meta.tags_ko = k->second.keywords;
    }
    plainer_words(c.meta);
    // A skin tone falls where its base falls.
    if (e.tones) {
      if (auto base = en.find(e.base); base != en.end()) c.subject = concept_of(base->second.name);
    }
    c.meta.group = e.group + "/" + e.subgroup;
    c.meta.source = pictures.name + " " + pictures.version;
    c.meta.license = report.license;
    c.meta.mirror_ok = e.group != "Flags" && e.group != "Symbols" && e.subgroup != "time";
    sink(std::move(c));
  }
}

}  // namespace

void find_emoji(const SourceOptions& options, const Sink& sink, SourceReport& report) {
  Package noto = fetch_package("fonts-noto-color-emoji", options.cache);
  Package cldr = fetch_package("unicode-cldr-core", options.cache);
  Package unicode = fetch_package("unicode-data", options.cache);
  report.packages = {noto, cldr, unicode};
  report.license = "OFL-1.1 (pictures), Unicode-DFS-2016 (names)";
  auto font = std::make_shared<EmojiFont>(noto.tree + "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf");
  Meta common;
  common.style = "emoji";
  auto look = [&](const EmojiEntry& e) -> std::function<Image(int)> {
    unsigned glyph = font->glyph(e.utf8);
    if (!glyph) return {};
    return [font, glyph](int) { return font->draw(glyph); };
  };
  walk_emoji(cldr, unicode, noto, common, look, sink, report);
}

void find_emojione(const SourceOptions& options, const Sink& sink, SourceReport& report) {
  Package gem = fetch_package("ruby-gemojione", options.cache);
  Package cldr = fetch_package("unicode-cldr-core", options.cache);
  Package unicode = fetch_package("unicode-data", options.cache);
  report.packages = {gem, cldr, unicode};
  report.license = "CC-BY-SA-4.0 (EmojiOne), Unicode-DFS-2016 (names)";
  std::string root = gem.tree + "/usr/share/rubygems-integration/all/gems";
  std::map<std::string, std::string> files;  // code points without joiners and selectors, as both sides write them
  auto plain = [](std::string key) {
    for (const char* part : {"-fe0f", "-200d"})
      for (size_t at; (at = key.find(part)) != key.npos;) key.erase(at, 5);
    for (size_t at = 0; key.compare(at, 2, "00") == 0;) key.erase(0, 2);
    return key;
  };
  for (auto& file : files_below(root, {".png"})) {
    size_t name = file.find("/assets/png/");
    if (name != file.npos) files[plain(lower_ascii(file.substr(name + 12, file.rfind('.') - name - 12)))] = root + "/" + file;
  }
  Meta common;
  common.style = "sticker";
  auto look = [&](const EmojiEntry& e) -> std::function<Image(int)> {
    auto file = files.find(plain(code_key(e.utf8)));
    if (file == files.end()) return {};
    return [path = file->second](int size) { return draw_file(path, size); };
  };
  walk_emoji(cldr, unicode, gem, common, look, sink, report);
}

}  // namespace duet
