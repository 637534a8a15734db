#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "infer/calibration.h"
#include "infer/classify.h"
#include "infer/cli.h"
#include "infer/occlusion.h"
#include "infer/reader.h"
#include "kernels/error.h"
#include "kernels/files.h"
#include "text/korean.h"
#include "text/unicode.h"
#include "vision/codec.h"
#include "vision/dicom.h"

namespace duet {
namespace {

using Json = nlohmann::ordered_json;

void print(const Json& j) { std::printf("%s\n", j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str()); }
void add_bad(Json& list, const std::vector<BadPicture>& bad) {
  for (const auto& b : bad) list.push_back({{"file", b.path}, {"error", b.why}});
}

struct CaptionArgs {
  std::string window;
  std::vector<std::string> pictures;
  std::string lang = "en";
  int beam = 4;
  SampleOptions sample;
  bool json = false;
  OpenOptions open;
};

void caption_verb(const CaptionArgs& o) {
  const Opened opened = open_model(o.open);
  Json list = Json::array();
  const auto bad = for_pictures(
      o.pictures, opened.size(),
      [&](const auto& paths, const auto& images) {
        std::vector<std::vector<Caption>> said;
        std::vector<std::string> langs;
        for (const char* lang : {"en", "ko"}) {
          if (o.lang != "both" && o.lang != lang) continue;
          CaptionOptions c;
          c.korean = std::string_view(lang) == "ko", c.beam = o.beam, c.sample = o.sample;
          langs.push_back(lang), said.push_back(caption_pictures(opened.model(), opened.tokenizer(), images, c));
        }
        for (size_t i = 0; i < paths.size(); ++i) {
          Json captions = Json::array();
          for (size_t l = 0; l < langs.size(); ++l) {
            const Caption& c = said[l][i];
            captions.push_back({{"lang", langs[l]}, {"text", c.text}, {"log_prob", c.log_prob}, {"tokens", c.ids.size()}});
            if (!o.json) std::printf("%s: %s\n", paths[i].c_str(), c.text.c_str());
          }
          list.push_back({{"file", paths[i]}, {"captions", captions}});
        }
        std::fflush(stdout);
      },
      {.window = window_of(o.window)});
  add_bad(list, bad);
  if (o.json) print(list);
  refuse_if_any(bad);
}

struct ClassifyArgs {
  std::string window;
  std::vector<std::string> pictures;
  std::string labels, sentence, by = "embedding", calibration, overlays;
  int top = 5;
  bool json = false;
  OpenOptions open;
};

std::vector<std::string> split_labels(const std::string& text) {
  std::vector<std::string> out;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    if (std::string label = clean_caption(text.substr(at, end - at)); !label.empty()) out.push_back(std::move(label));
    at = end + 1;
  }
  return out;
}

// FOLDER/PATH.png, PATH-2.png ...: below the folder as the picture was named, for scans of different patients often have the
// same file name. None takes another's place, not even one of another call.
std::string overlay_file(const std::string& folder, const std::string& picture, std::set<std::string>& taken) {
  std::filesystem::path below;
  for (const auto& part : without_ending(picture).lexically_normal().relative_path())
    if (part != "." && part != "..") below /= part;
  const std::string name = below.string();
  std::string file = name;
  for (int n = 2; !taken.insert(file).second; ++n) file = name + "-" + std::to_string(n);
  return folder + "/" + file + ".png";
}

// Overlays are named as the pictures are: in a folder that holds these they would take their place.
void check_overlay_folder(const std::string& folder, const std::vector<std::string>& pictures) {
  check_folder_target("--overlay", folder);
  std::error_code none;
  const std::filesystem::path at = std::filesystem::weakly_canonical(folder, none);
  for (const auto& p : pictures) {
    const std::filesystem::path picture = std::filesystem::weakly_canonical(p, none);
    if (std::mismatch(at.begin(), at.end(), picture.begin(), picture.end()).first == at.end())
      refuse("--overlay ", folder, ": holds ", p, ", which could be painted over; name a folder of its own");
  }
}

std::string set_words(const Calibrated& c, const std::vector<std::string>& labels) {
  std::string out;
  for (const size_t l : c.set) out += (out.empty() ? "" : ", ") + labels[l];
  return out.empty() ? "none" : out;
}

void classify_verb(ClassifyArgs o) {
  if (o.labels.empty() && o.calibration.empty()) refuse("--labels is needed: two or more, with commas between");
  auto labels = split_labels(utf8_or_refuse("--labels", o.labels));
  utf8_or_refuse("--template", o.sentence);
  if (!o.overlays.empty()) check_overlay_folder(o.overlays, o.pictures);
  const Opened opened = open_model(o.open);
  std::optional<Calibration> calibration;
  if (!o.calibration.empty()) {
    calibration = calibration_for(o.calibration, opened);
    if (calibration->window) o.window = fmt::format("{}/{}", calibration->window->center, calibration->window->width);
    labels = calibration->labels, o.sentence = calibration->sentence, o.by = calibration->by;
  }
  const Classifier classify(opened.model(), opened.tokenizer(), labels, o.sentence,
                            o.by == "caption" ? ClassifyBy::caption : ClassifyBy::embedding);
  const auto head = [&] {
    std::printf("by %s, templates:", o.by.c_str());
    for (const auto& t : classify.templates()) std::printf(" \"%s\"", t.c_str());
    std::printf("%s\n", calibration ? ", calibrated" : "");
  };
  if (!o.overlays.empty()) make_folder(o.overlays);
  std::set<std::string> taken;
  Json list = Json::array();
  const auto bad = for_pictures(
      o.pictures, opened.size(),
      [&](const auto& paths, const auto& images) {
        const auto all = classify(images);
        if (!o.json && list.empty()) head();
        for (size_t i = 0; i < paths.size(); ++i) {
          Calibrated c;
          if (calibration) c = calibrated(*calibration, all[i]);
          const std::vector<double>& p = calibration ? c.p : all[i];
          const auto interval = [&](size_t l) { return calibration ? c.interval_95[l] : kNoInterval; };
          std::vector<size_t> order(labels.size());
          for (size_t l = 0; l < order.size(); ++l) order[l] = l;
          std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] > p[b]; });
          Json one = {{"file", paths[i]}, {"label", labels[order[0]]}};
          for (size_t l : order) one["probabilities"][labels[l]] = p[l];
          if (calibration) {
            for (size_t l : order)
              if (const auto in = interval(l); in.known()) one["intervals_95"][labels[l]] = {in.low, in.high};
            one["set_90"] = Json::array();
            for (size_t l : c.set) one["set_90"].push_back(labels[l]);
          }
          if (!o.overlays.empty()) {
            const std::string file = overlay_file(o.overlays, paths[i], taken);
            const auto read = calibrated(calibration ? &*calibration : nullptr,
                                         [&](std::span<const Image> views) { return classify(views); });
            const Heat heat = occlusion(read, images[i], order[0], int(opened.model().config.patch));
            const std::string words = fmt::format("{} {:.3f}", labels[order[0]], p[order[0]]);
            make_folder(std::filesystem::path(file).parent_path().string());
            write_file_atomic(file, encode_png(overlay(images[i], heat, words, korean_terminal())));
            one["overlay"] = file;
            if (!o.json) std::fprintf(stderr, "%s: overlay %s\n", paths[i].c_str(), file.c_str());
          }
          list.push_back(std::move(one));
          if (o.json) continue;
          std::printf("%s:", paths[i].c_str());
          for (size_t k = 0; k < std::min(order.size(), size_t(o.top)); ++k) {
            std::printf("%s %s %.3f", k ? "," : "", labels[order[k]].c_str(), p[order[k]]);
            if (const auto in = interval(order[k]); in.known()) std::printf(" (95 %% %.3f .. %.3f)", in.low, in.high);
          }
          if (calibration) std::printf("; the set that holds the truth in 90 %%: %s", set_words(c, labels).c_str());
          std::printf("\n");
        }
      },
      {.window = window_of(o.window)}, o.overlays);
  add_bad(list, bad);
  if (o.json) {
    Json j = {{"by", o.by}, {"templates", classify.templates()}};
    if (calibration)
      j["calibration"] = {{"file", o.calibration},
                          {"temperature", calibration->temperature},
                          {"pictures", calibration->pictures},
                          {"units", calibration->units}};
    j["results"] = list;
    print(j);
  }
  refuse_if_any(bad);
}

struct EmbedArgs {
  std::string window;
  std::vector<std::string> items;
  bool text = false, json = false;
  OpenOptions open;
};

void embed_verb(const EmbedArgs& o) {
  std::vector<std::string> pictures, texts, names;
  for (const auto& item : o.items) {
    if (!o.text && names_picture(item)) pictures.push_back(item);
    else texts.push_back(clean_caption(utf8_or_refuse("text", item)));
  }
  const Opened opened = open_model(o.open);
  const int64_t E = opened.model().config.embed;
  std::vector<std::vector<float>> rows;
  const auto take = [&](const std::string& name, const float* row) { names.push_back(name), rows.emplace_back(row, row + E); };
  Json list = Json::array();
  const auto bad = for_pictures(pictures, opened.size(),
                                [&](const auto& paths, const auto& images) {
                                  const Tensor t = embed_pictures(opened.model(), images);
                                  for (size_t i = 0; i < paths.size(); ++i) {
                                    take(paths[i], t.data() + int64_t(i) * E);
                                    list.push_back({{"file", paths[i]}, {"embedding", rows.back()}});
                                  }
                                },
                                {.window = window_of(o.window)});
  const Tensor t = embed_texts(opened.model(), opened.tokenizer(), texts);
  for (size_t i = 0; i < texts.size(); ++i) {
    take(texts[i], t.data() + int64_t(i) * E);
    list.push_back({{"text", texts[i]}, {"embedding", rows.back()}});
  }
  add_bad(list, bad);
  if (o.json) {
    print({{"model", opened.name}, {"dimensions", E}, {"items", list}});
  } else {
    for (size_t i = 0; i < rows.size(); ++i) {
      for (const auto& other : rows) {
        double dot = 0;
        for (int64_t e = 0; e < E; ++e) dot += double(rows[i][size_t(e)]) * other[size_t(e)];
        std::printf("%6.3f ", dot);
      }
      std::printf(" %s\n", names[i].c_str());
    }
  }
  refuse_if_any(bad);
}

}  // namespace

void add_read_verbs(CLI::App& app) {
  auto* caption = app.add_subcommand("caption", "say what is on pictures");
  auto c = std::make_shared<CaptionArgs>();
  caption->add_option("IMAGE", c->pictures, "JPEG, PNG, WebP or DICOM (its first frame) of any size, or folders of them")
      ->required();
  caption->add_option("--lang", c->lang, "en, ko or both")->check(CLI::IsMember({"en", "ko", "both"}))->capture_default_str();
  caption->add_option("--beam", c->beam, "wordings followed at a time; 1: the likeliest next word")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  caption->add_option("--temperature", c->sample.temperature, "above 0: words are drawn by chance instead of searched for")
      ->check(within(0, 10))
      ->capture_default_str();
  caption->add_option("--top-k", c->sample.top_k, "drawn from the k likeliest words alone; 0: all")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  caption->add_option("--top-p", c->sample.top_p, "drawn from the likeliest words that together reach p")
      ->check(within(0.0001, 1))
      ->capture_default_str();
  caption->add_option("--seed", c->sample.seed, "of what is drawn")->capture_default_str();
  caption->add_flag("--json", c->json, "captions with their log-probabilities");
  add_window_option(caption, c->window);
  add_open_options(caption, c->open);
  caption->footer("  duet caption cat.png photos/ --lang both");
  caption->callback([c] { caption_verb(*c); });

  auto* classify = app.add_subcommand("classify", "which of some labels fits a picture, without training for them");
  auto l = std::make_shared<ClassifyArgs>();
  classify->add_option("IMAGE", l->pictures, "JPEG, PNG, WebP or DICOM (its first frame) of any size, or folders of them")
      ->required();
  auto* labels = classify->add_option("--labels", l->labels, "two or more, with commas between; English or Korean");
  auto* sentence = classify->add_option("--template", l->sentence,
                                        "sentence with {} for the label (default: a few built in for each language)");
  auto* by = classify->add_option("--by", l->by, "embedding: the contrastive head; caption: how likely the model would say it")
                 ->check(CLI::IsMember({"embedding", "caption"}))
                 ->capture_default_str();
  classify->add_option("--top", l->top, "labels printed for each picture")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  auto* calibration =
      classify
          ->add_option(
              "--calibration", l->calibration,
              "file of 'duet eval classify --calibrate': its labels, template and window, probabilities that mean what "
              "they say with intervals, "
              "and the labels that hold the truth in 90 %")
          ->excludes(labels)
          ->excludes(sentence)
          ->excludes(by);
  classify->add_option("--overlay", l->overlays,
                       "folder for pictures of where the model finds the first label (infer/occlusion.h)");
  classify->add_flag("--json", l->json, "all probabilities, and the templates used");
  add_window_option(classify, l->window)->excludes(calibration);
  add_open_options(classify, l->open);
  classify->footer(
      "  duet classify photos/ --labels \"cat,dog,airplane\"\n  duet classify a.png --labels \"고양이,개\" --by caption");
  classify->callback([l] { classify_verb(*l); });

  auto* embed = app.add_subcommand("embed", "unit vectors of pictures and texts; close where they mean the same");
  auto e = std::make_shared<EmbedArgs>();
  embed->add_option("ITEM", e->items, "pictures or folders (by their names), and texts")->required();
  embed->add_flag("--text", e->text, "take every ITEM as a text");
  embed->add_flag("--json", e->json, "print the vectors; without it, the table of cosines between all items");
  add_window_option(embed, e->window);
  add_open_options(embed, e->open);
  embed->footer("  duet embed cat.png \"a cat\" \"자동차\"\n  duet embed photos/ --json > vectors.json");
  embed->callback([e] { embed_verb(*e); });
}

}  // namespace duet
