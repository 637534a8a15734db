// Cartoons: the art4apps pictures of pysiogame, JPEG on white, named by their files and sorted into folders.
#include "train/cldr.h"
#include "train/cutout.h"
#include "train/koreanwords.h"
#include "train/sources.h"
#include "train/words.h"

namespace duet {

void find_cartoons(const SourceOptions& options, const Sink& sink, SourceReport& report) {
  Package package = fetch_package("pysiogame", options.cache);
  Package cldr = fetch_package("unicode-cldr-core", options.cache);
  report.packages = {package, cldr};
  report.license = "CC-BY-SA-3.0 (Art4Apps by Smart4Kids)";
  auto korean = korean_names(cldr.tree);
  std::string root = package.tree + "/usr/share/games/pysiogame/res/images/art4apps";
  for (auto& file : files_below(root, {".jpg", ".png"})) {
    report.found++;
    auto folders = split_words(file, "/");
    std::string kind = words_of_file(folders[0]), name = words_of_file(file);
    if (folders.size() != 2 || name.empty()) {
      report.dropped["no name"]++;
      continue;
    }
    Candidate c;
    c.key = file.substr(0, file.rfind('.'));
    c.meta.caption = name;
    c.meta.tags = {kind == "fruit n veg" ? "fruit and vegetables" : kind == "clothes n accessories" ? "clothes" : kind};
    // A verb ("fly", "duck") is not the thing of that name.
    auto k = korean.find(concept_of(name));
    if (kind != "actions" && kind != "sport") c.meta.caption_ko = k != korean.end() ? k->second : korean_word(concept_of(name));
    c.meta.group = "cartoons/" + c.meta.tags[0];
    c.meta.style = "cartoon";
    c.meta.source = package.name + " " + package.version;
    c.meta.license = report.license;
    std::string path = root + "/" + file;
    c.draw = [path](int size) { return cut_out(draw_file(path, size)); };
    sink(std::move(c));
  }
}

}  // namespace duet
