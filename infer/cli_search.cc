#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "fusion/fields.h"
#include "fusion/quantize.h"
#include "fusion/values.h"
#include "infer/cli.h"
#include "infer/reader.h"
#include "infer/search.h"
#include "kernels/error.h"
#include "kernels/safetensors.h"
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
      std::fprintf(stderr, "duet: %lld of %lld pictures read\n", (long long)done, (long long)of);
  });
  for (const auto& f : index.faults) std::fprintf(stderr, "duet: %s\n", f.c_str());
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

struct InfoArgs {
  std::string weights;
  bool json = false, tensors = false;
};

// "training" and the like are JSON that came with the file: taken apart only where it is sound.
Json provenance(const std::string& text) {
  try {
    read_json(text, "metadata");
    return Json::parse(text);
  } catch (const std::exception&) {
    return text;
  }
}

void info_verb(const InfoArgs& o) {
  const Loaded l = load_weights(find_weights(o.weights));
  const Safetensors file = Safetensors::open(l.path, Verify::no);
  Json tensors = Json::array();
  std::string types;
  for (const auto& [name, t] : file.tensors()) {
    tensors.push_back({{"name", name}, {"dtype", t.dtype}, {"shape", t.shape}});
    if (types.find(t.dtype) == std::string::npos) types += (types.empty() ? "" : " ") + t.dtype;
  }
  Json config = Json::parse(to_json(l.model->config)), meta;
  for (const auto& [key, value] : l.metadata)
    if (key != "config" && key != "format" && key != "tokenizer") meta[key] = provenance(value);
  const int64_t parameters = count_params(*l.model);
  const uint64_t bytes = fs::file_size(l.path);
  if (o.json) {
    print({{"file", l.path},
           {"bytes", bytes},
           {"xxh3", hex64(l.hash)},
           {"parameters", parameters},
           {"dtype", types},
           {"config", config},
           {"tokenizer", {{"tokens", l.tokenizer.size()}, {"xxh3", hex64(l.tokenizer.hash())}}},
           {"metadata", meta},
           {"checksums", file.has_checksums()},
           {"tensors", tensors}});
    return;
  }
  std::printf("file        %s\n", l.path.c_str());
  std::printf("weights     %lld parameters in %zu tensors, %s, %.1f MB, xxh3 %s%s\n", (long long)parameters, tensors.size(),
              types.c_str(), double(bytes) / 1e6, hex64(l.hash).c_str(), file.has_checksums() ? ", checksums hold" : "");
  std::printf("tokenizer   %d tokens, xxh3 %s\n", l.tokenizer.size(), hex64(l.tokenizer.hash()).c_str());
  std::printf("config     ");
  for (const auto& [key, value] : config.items()) std::printf(" %s=%s", key.c_str(), value.dump().c_str());
  std::printf("\n");
  for (const auto& [key, value] : meta.items()) {
    if (!value.is_object()) {
      std::printf("%-11s %s\n", key.c_str(), value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
      continue;
    }
    const char* name = key.c_str();
    for (const auto& [k, v] : value.items()) std::printf("%-11s %s = %s\n", name, k.c_str(), v.dump().c_str()), name = "";
  }
  if (o.tensors)
    for (const auto& t : tensors)
      std::printf("%-40s %-4s %s\n", t["name"].get<std::string>().c_str(), t["dtype"].get<std::string>().c_str(),
                  t["shape"].dump().c_str());
}

// Never over a file that is there: it may be the better one this is made from.
void quantize_verb(const std::string& weights, const std::string& out) {
  if (fs::exists(fs::path(out) / "model.safetensors"))
    refuse((fs::path(out) / "model.safetensors").string(), " is there already; name another folder with -o");
  const Loaded l = load_weights(find_weights(weights));
  save_int8(out, *l.model, l.tokenizer, l.metadata);
  const auto path = fs::path(out) / "model.safetensors";
  std::printf("%s\n", path.string().c_str());
  std::fprintf(stderr, "duet: %.1f MB, from %.1f MB\n", double(fs::file_size(path)) / 1e6, double(fs::file_size(l.path)) / 1e6);
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

  auto* info = app.add_subcommand("info", "what a weights file holds: config, size, tokenizer, how it was trained");
  auto i = std::make_shared<InfoArgs>();
  info->add_option("WEIGHTS", i->weights,
                   "model folder or .safetensors (default: $DUET_WEIGHTS, else assets/" + std::string(kUsualWeights) + ")");
  info->add_flag("--tensors", i->tensors, "list every tensor");
  info->add_flag("--json", i->json, "everything, tensors included");
  info->footer("  duet info assets/xs");
  info->callback([i] { info_verb(*i); });

  auto* quantize = app.add_subcommand("quantize", "write a model's weights smaller: int8 for the blocks, bf16 for the rest");
  auto q = std::make_shared<std::pair<std::string, std::string>>();
  quantize->add_option("WEIGHTS", q->first,
                       "model folder or .safetensors (default: $DUET_WEIGHTS, else assets/" + std::string(kUsualWeights) + ")");
  quantize->add_option("-o,--out", q->second, "folder for model.safetensors and tokenizer.json")->required();
  quantize->footer(
      "Every verb reads them. They save room; --quantize int8 is what makes products faster, with any weights.\n"
      "  duet quantize assets/xs -o xs-int8");
  quantize->callback([q] { quantize_verb(q->first, q->second); });
}

}  // namespace duet
