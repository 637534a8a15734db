#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "infer/cli.h"
#include "infer/reader.h"
#include "infer/search.h"
#include "kernels/error.h"
#include "text/korean.h"
#include "text/unicode.h"
#include "vision/codec.h"
#include "vision/draw.h"

namespace duet {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

void print(const Json& j) { std::printf("%s\n", j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str()); }

struct SearchArgs {
  std::string dir, query, out = "search.png", split;
  int count = 16;
  bool json = false, no_cache = false, no_sheet = false;
  OpenOptions open;
};

void search_verb(const SearchArgs& o) {
  if (!o.no_sheet) check_png_target("-o", o.out);
  const bool by_picture = names_picture(o.query);
  const std::string words = by_picture ? "" : clean_caption(utf8_or_refuse("query", o.query));
  if (!by_picture && words.empty()) refuse("the query is empty; give words to look for, or a picture");
  const Gallery gallery = open_gallery(o.dir, o.split);
  const Opened opened = open_model(o.open);
  const Model& m = opened.model();
  const Tensor query = by_picture ? embed_pictures(m, std::vector<Image>{load_image(o.query)})
                                  : embed_texts(m, opened.tokenizer(), std::vector<std::string>{words});
  const std::string maker = hex64(opened.loaded.hash) + " " + arithmetic();
  const std::string cache = o.no_cache ? "" : (fs::path(o.dir) / ".duet-index.safetensors").string();
  const PictureIndex index = index_gallery(m, maker, gallery, cache, [](int64_t done, int64_t of) {
    if (done == of || done % 1024 == 0)
      std::fprintf(stderr, "duet: %lld of %lld pictures looked at\n", (long long)done, (long long)of);
  });
  for (const auto& f : index.faults) say(f);
  const auto hits = nearest(index, query.data(), o.count);

  Json list = Json::array();
  std::vector<std::pair<Image, std::string>> cells;
  for (const Hit& h : hits) {
    const auto& item = gallery.items[size_t(h.item)];
    list.push_back({{"file", item.name}, {"label", item.label}, {"cosine", h.cosine}});
    if (!o.json) std::printf("%.3f %s %s\n", h.cosine, item.name.c_str(), item.label.c_str());
    if (!o.no_sheet) {
      char cosine[16];
      std::snprintf(cosine, sizeof cosine, "%.2f ", h.cosine);
      cells.emplace_back(model_view(gallery.load(h.item), 128), cosine + item.label);
    }
  }
  if (!o.no_sheet && !cells.empty())
    write_file_atomic(o.out, encode_png(contact_sheet(cells, std::min(8, int(cells.size())), 128)));
  if (o.json) {
    Json j{{"query", o.query}, {"pictures", index.item.size()}, {"results", list}};
    if (!o.no_sheet) j["sheet"] = o.out;
    print(j);
  } else if (!o.no_sheet && !cells.empty()) {
    std::printf("%s\n", o.out.c_str());
  }
  if (!index.faults.empty())
    refuse(index.faults.size(), " of ", gallery.items.size(),
           " pictures could not be read (named above); all others were searched");
}

}  // namespace

void add_search_verbs(CLI::App& app) {
  auto* search = app.add_subcommand("search", "find pictures by words or by a picture");
  auto s = std::make_shared<SearchArgs>();
  search->add_option("DIR", s->dir, "a folder of pictures, or a data set that duet built")->required();
  search->add_option("QUERY", s->query, "words, English or Korean, or the name of a picture")->required();
  search->add_option("-n,--count", s->count, "how many of the best")->check(CLI::Range(1, 1000))->capture_default_str();
  search->add_option("-o,--out", s->out, "contact sheet to write")->capture_default_str();
  search->add_flag("--no-sheet", s->no_sheet, "write no contact sheet");
  search->add_option("--split", s->split, "of a data set: train, val, heldout or pairs (default: all)")
      ->check(CLI::IsMember({"train", "val", "heldout", "pairs"}));
  search->add_flag("--no-cache", s->no_cache, "do not keep the vectors in DIR/.duet-index.safetensors");
  search->add_flag("--json", s->json, "results with their cosines");
  add_open_options(search, s->open);
  search->footer("  duet search photos \"a red car\"\n  duet search data/emoji cat.png -n 32 -o like-cat.png");
  search->callback([s] { search_verb(*s); });
}

}  // namespace duet
