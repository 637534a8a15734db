#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "fusion/fields.h"
#include "fusion/merge.h"
#include "fusion/quantize.h"
#include "fusion/styles.h"
#include "fusion/values.h"
#include "infer/cli.h"
#include "kernels/error.h"
#include "kernels/quote.h"
#include "kernels/safetensors.h"

namespace duet {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

void print(const Json& j) { std::printf("%s\n", j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str()); }

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
    if (key == "styles") {
      std::printf("styles      %s\n", both_names(l.styles).c_str());
      continue;
    }
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
void check_new(const std::string& out) {
  if (fs::exists(fs::path(out) / "model.safetensors"))
    refuse((fs::path(out) / "model.safetensors").string(), " is there already; name another folder with -o");
}

void quantize_verb(const std::string& weights, const std::string& out) {
  check_new(out);
  const Loaded l = load_weights(find_weights(weights));
  save_int8(out, *l.model, l.tokenizer, l.metadata);
  const auto path = fs::path(out) / "model.safetensors";
  std::printf("%s\n", path.string().c_str());
  std::fprintf(stderr, "duet: %.1f MB, from %.1f MB\n", double(fs::file_size(path)) / 1e6, double(fs::file_size(l.path)) / 1e6);
}

struct MergeArgs {
  std::vector<std::string> weights;
  std::vector<double> shares;
  std::string out, draw_as;
};

void merge_verb(const MergeArgs& o) {
  check_new(o.out);
  const auto as = std::find(o.weights.begin(), o.weights.end(), o.draw_as);
  if (!o.draw_as.empty() && as == o.weights.end())
    refuse("--draw-as ", shown(o.draw_as), ": none of the weights is called so; name one of them as it stands there");
  std::vector<Loaded> parts;
  for (const auto& w : o.weights) parts.push_back(load_weights(find_weights(w), Device::cpu));
  const Loaded mean = merged(std::move(parts), o.shares, o.draw_as.empty() ? -1 : int(as - o.weights.begin()));
  save_weights(o.out, *mean.model, mean.tokenizer, DType::bf16, mean.metadata);
  std::printf("%s\n", (fs::path(o.out) / "model.safetensors").string().c_str());
}

}  // namespace

void add_weights_verbs(CLI::App& app) {
  auto* info = app.add_subcommand("info", "what a weights file holds: config, size, tokenizer, how it was trained");
  auto i = std::make_shared<InfoArgs>();
  info->add_option("WEIGHTS", i->weights,
                   "model folder, .safetensors, or " + std::string(kShippedWeights) + " (default: $DUET_WEIGHTS, else " +
                       kUsualWeights + ")");
  info->add_flag("--tensors", i->tensors, "list every tensor");
  info->add_flag("--json", i->json, "everything, tensors included");
  info->footer("  duet info assets/xs");
  info->callback([i] { info_verb(*i); });

  auto* quantize = app.add_subcommand("quantize", "write a model's weights smaller: int8 for the blocks, bf16 for the rest");
  auto q = std::make_shared<std::pair<std::string, std::string>>();
  quantize->add_option("WEIGHTS", q->first,
                       "model folder, .safetensors, or " + std::string(kShippedWeights) + " (default: $DUET_WEIGHTS, else " +
                           kUsualWeights + ")");
  quantize->add_option("-o,--out", q->second, "folder for model.safetensors and tokenizer.json")->required();
  quantize->footer(
      "Every verb reads them. They save room; --quantize int8 is what makes products faster, with any weights.\n"
      "  duet quantize assets/xs -o xs-int8");
  quantize->callback([q] { quantize_verb(q->first, q->second); });

  auto* merge = app.add_subcommand(
      "merge", "one model of several: the weighted mean of their weights; smaller ones are grown to the largest");
  auto m = std::make_shared<MergeArgs>();
  merge->add_option("WEIGHTS", m->weights, "two models or more: folder, .safetensors, or the name of weights that ship")
      ->required();
  merge->add_option("--share", m->shares,
                    "how much of each, in their order, any scale; below 0 takes away (default: as much of each)");
  merge->add_option("--draw-as", m->draw_as, "which of them says in how many steps and with what guidance to draw");
  merge->add_option("-o,--out", m->out, "folder for model.safetensors (bf16) and tokenizer.json")->required();
  merge->footer(
      "Helps where the models were trained on from one ancestor; of strangers it makes nothing of use. What it made is a "
      "start\n"
      "for training like any other ('duet train CONFIG --set start=DIR').\n"
      "  duet merge xs-128 xs --share 0.7 --share 0.3 -o both\n"
      "What tuning taught one model, given to another (here: to draw in 4 steps, to one trained on from xs-128):\n"
      "  duet merge runs/mine/model xs-fast xs-128 --share 1 --share 1 --share=-1 --draw-as xs-fast -o fast");
  merge->callback([m] { merge_verb(*m); });
}

}  // namespace duet
