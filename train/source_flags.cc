// Flags of countries: iso-flags' pictures, named by CLDR in English and Korean.
#include <map>
#include <pugixml.hpp>

#include "kernels/error.h"
#include "train/sources.h"
#include "train/words.h"

namespace duet {
namespace {

// Two-letter code -> name, from CLDR's main/LANG.xml.
std::map<std::string, std::string> territories(const Package& cldr, const char* lang) {
  std::string file = cldr.tree + "/usr/share/unicode/cldr/common/main/" + lang + ".xml";
  pugi::xml_document document;
  auto parsed = document.load_file(file.c_str());
  if (!parsed) refuse(file, ": not XML: ", parsed.description(), " at byte ", parsed.offset);
  std::map<std::string, std::string> names;
  for (auto t : document.child("ldml").child("localeDisplayNames").child("territories").children("territory"))
    if (!t.attribute("alt")) names[lower_ascii(t.attribute("type").value())] = t.text().get();
  if (names.empty()) refuse(file, ": no names of territories in it");
  return names;
}

}  // namespace

void find_flags(const SourceOptions& options, const Sink& sink, SourceReport& report) {
  Package flags = fetch_package("iso-flags-png-320x240", options.cache);
  Package cldr = fetch_package("unicode-cldr-core", options.cache);
  report.packages = {flags, cldr};
  report.license = "public domain";
  auto en = territories(cldr, "en"), ko = territories(cldr, "ko");
  std::string root = flags.tree + "/usr/share/iso-flags-png-320x240";
  for (auto& file : files_below(root, {".png"})) {
    report.found++;
    std::string code = file.substr(0, file.rfind('.'));
    if (!en.contains(code) || !ko.contains(code)) {
      report.dropped["not a country's"]++;
      continue;
    }
    if (borrowed_flag("flag: " + en[code])) {
      report.dropped["flag of another country"]++;
      continue;
    }
    Candidate c;
    c.key = code;
    c.meta.caption = "flag: " + en[code], c.meta.caption_ko = "깃발: " + ko[code];
    plainer_words(c.meta);
    c.subject = concept_of(c.meta.caption);  // as the emoji of the same flag
    std::swap(c.meta.caption, c.meta.captions[0]), std::swap(c.meta.caption_ko, c.meta.captions_ko[0]);
    c.meta.tags = {"flag", "country"}, c.meta.tags_ko = {"국기", "나라"};
    c.meta.group = "flags";
    c.meta.style = "glossy icon";
    c.meta.source = flags.name + " " + flags.version;
    c.meta.license = report.license;
    c.meta.mirror_ok = false;
    c.draw = [path = root + "/" + file](int size) { return draw_file(path, size); };
    sink(std::move(c));
  }
}

}  // namespace duet
