// Embeddings in OpenAI's shape, of texts and of pictures, and classes in words.
#include <fmt/format.h>

#include <bit>
#include <nlohmann/json.hpp>

#include "infer/apihandlers.h"
#include "infer/base64.h"
#include "infer/occlusion.h"
#include "infer/reader.h"
#include "text/unicode.h"
#include "vision/codec.h"

namespace duet {
namespace {

using Json = nlohmann::ordered_json;
constexpr size_t kMostInputs = 256, kMostImages = 16, kMostLabels = 200;

[[noreturn]] void bad(const std::string& param, const std::string& why) {
  throw HttpError(400, param + ": " + why, param, "invalid_value");
}

struct Inputs {
  EmbedTask task;
  std::vector<bool> picture;  // of each input: a picture, or a text
  int64_t tokens = 0;
};

bool whole_numbers(const Value::List& list) {
  return !list.empty() &&
         std::all_of(list.begin(), list.end(), [](const Value& v) { return std::holds_alternative<int64_t>(v.is); });
}

std::string decoded(const Call& c, const Value::List& ids) {
  std::vector<int> tokens;
  for (const Value& v : ids) {
    const int64_t id = std::get<int64_t>(v.is);
    if (id < 0 || id >= c.api.model.tokenizer.size())
      bad("input", join("token ", id, " is not one of the ", c.api.model.tokenizer.size()));
    tokens.push_back(int(id));
  }
  return c.api.model.tokenizer.decode(tokens);
}

void take(const Call& c, const Value& v, Inputs& in) {
  const std::string* words = as_string(&v) ? as_string(&v) : as_string(member(v, "text"));
  const auto* ids = std::get_if<Value::List>(&v.is);
  if (const std::string* url = as_string(member(v, "image"))) {
    if (in.task.pictures.size() >= kMostImages) bad("input", join("more than ", kMostImages, " pictures"));
    in.task.pictures.push_back(c.api.picture(c.api.inline_bytes(*url, "input"), "input"));
    in.picture.push_back(true);
    return;
  }
  std::string text;
  if (words) text = *words;
  else if (ids && whole_numbers(*ids)) text = decoded(c, *ids);
  else bad("input", "expected words, token ids or {\"image\": data URL}, one or a list of them");
  if (!valid_utf8(text)) bad("input", "not UTF-8");
  if (clean_caption(text).empty()) bad("input", "a text without any words");
  in.tokens += int64_t(prompt_ids(c.api.model.tokenizer, text).size());
  in.task.texts.push_back(text), in.picture.push_back(false);
}

std::string little_endian(const std::vector<float>& row) {
  static_assert(std::endian::native == std::endian::little);
  return to_base64({reinterpret_cast<const uint8_t*>(row.data()), row.size() * 4});
}

std::vector<std::string> read_labels(const Call& c) {
  std::vector<std::string> out;
  const Value* v = c.params.json("labels");
  if (!v)
    throw HttpError(400, "labels: missing; two or more words; or start the server with --calibration FILE", "labels",
                    "missing_required_parameter");
  if (const std::string* one = as_string(v)) {
    for (size_t at = 0; at <= one->size();) {
      const size_t end = std::min(one->find(',', at), one->size());
      if (std::string label = clean_caption(one->substr(at, end - at)); !label.empty()) out.push_back(std::move(label));
      at = end + 1;
    }
  } else if (const auto* list = std::get_if<Value::List>(&v->is)) {
    for (const Value& item : *list) {
      const std::string* words = as_string(&item);
      if (!words || !valid_utf8(*words) || clean_caption(*words).empty()) bad("labels", "expected words");
      out.push_back(clean_caption(*words));
    }
  } else {
    bad("labels", "expected a list of words, or words with commas between");
  }
  if (out.size() < 2 || out.size() > kMostLabels) bad("labels", join("expected 2 to ", kMostLabels, ", not ", out.size()));
  return out;
}

void take_pictures(const Call& c, ClassifyTask& task) {
  const auto files = c.params.files("image");
  if (files.size() > kMostImages) bad("image", join("more than ", kMostImages, " pictures"));
  for (const FormPart* f : files)
    task.pictures.push_back(c.api.picture({reinterpret_cast<const uint8_t*>(f->body.data()), f->body.size()}, "image"));
  if (const Value* v = c.params.json("image")) {
    const auto* list = std::get_if<Value::List>(&v->is);
    if (list && list->size() > kMostImages) bad("image", join("more than ", kMostImages, " pictures"));
    for (const Value& one : list ? *list : Value::List{*v}) {
      if (!as_string(&one)) bad("image", "expected a data URL, or a list of them");
      task.pictures.push_back(c.api.picture(c.api.inline_bytes(*as_string(&one), "image"), "image"));
    }
  }
  if (task.pictures.empty()) bad("image", "no picture; send a data URL or a file");
}

// Where the model finds label l, of the i-th picture; its views wait their turn in the engine as any pictures do.
std::string overlay_url(const Call& c, const ClassifyTask& asked, const Calibration* known, size_t i, size_t l, double p) {
  const ModelConfig& m = c.api.model.model.config;
  const Image view = model_view(asked.pictures[i], int(m.size));
  const auto read = [&](std::span<const Image> views) {
    return c.api.run(c, ClassifyTask{{views.begin(), views.end()}, asked.labels, asked.sentence, asked.by}).probabilities;
  };
  const Heat heat = occlusion(calibrated(known, read), view, l, int(m.patch));
  const bool korean = language_of(c.request.header("accept-language")) == Language::korean;
  const std::string words = fmt::format("{} {:.3f}", asked.labels[l], p);
  return "data:image/png;base64," + to_base64(encode_png(overlay(view, heat, words, korean)));
}

}  // namespace

void embeddings(Call& c) {
  const Value* v = c.params.json("input");
  Inputs in;
  const auto* list = std::get_if<Value::List>(&v->is);
  if (!list || whole_numbers(*list)) {
    take(c, *v, in);
  } else {
    if (list->empty() || list->size() > kMostInputs) bad("input", join("expected 1 to ", kMostInputs, " of them"));
    for (const Value& item : *list) take(c, item, in);
  }
  const ModelConfig& m = c.api.model.model.config;
  if (c.params.integer("dimensions", m.embed) != m.embed) bad("dimensions", join("this model's embeddings have ", m.embed));
  in.tokens += int64_t(in.task.pictures.size()) * (m.size / m.patch) * (m.size / m.patch);
  const Event e = c.api.run(c, std::move(in.task));
  const bool base64 = c.params.text("encoding_format", "float") == "base64";
  Json data = Json::array();
  size_t picture = 0, text = 0;
  for (size_t i = 0; i < in.picture.size(); ++i) {
    const auto& row = in.picture[i] ? e.pictures[picture++] : e.texts[text++];
    data.push_back({{"object", "embedding"}, {"index", i}, {"embedding", base64 ? Json(little_endian(row)) : Json(row)}});
  }
  c.send({{"object", "list"},
          {"data", std::move(data)},
          {"model", c.api.model.name},
          {"usage", {{"prompt_tokens", in.tokens}, {"total_tokens", in.tokens}}}});
}

void classify_route(Call& c) {
  const Calibration* known = c.params.has("labels") || !c.api.options.calibration ? nullptr : &*c.api.options.calibration;
  ClassifyTask task;
  if (known) {
    for (const char* said : {"template", "by"})
      if (c.params.has(said)) bad(said, "the calibration says it; leave it out, or name labels");
    task.labels = known->labels, task.sentence = known->sentence;
    task.by = known->by == "caption" ? ClassifyBy::caption : ClassifyBy::embedding;
  } else {
    task.labels = read_labels(c);
    task.sentence = c.params.text("template");
    task.by = c.params.text("by", "embedding") == "caption" ? ClassifyBy::caption : ClassifyBy::embedding;
  }
  take_pictures(c, task);
  const bool overlaid = c.params.flag("overlay", false);
  const ClassifyTask asked{overlaid ? task.pictures : std::vector<Image>{}, task.labels, task.sentence, task.by};
  const auto& labels = asked.labels;
  const Event e = c.api.run(c, std::move(task));
  Json data = Json::array();
  for (size_t i = 0; i < e.probabilities.size(); ++i) {
    Calibrated worth;
    if (known) worth = calibrated(*known, e.probabilities[i]);
    const auto& p = known ? worth.p : e.probabilities[i];
    std::vector<size_t> order(labels.size());
    for (size_t l = 0; l < order.size(); ++l) order[l] = l;
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] > p[b]; });
    Json probabilities = Json::array();
    for (const size_t l : order) {
      probabilities.push_back({{"label", labels[l]}, {"probability", p[l]}});
      if (known && worth.interval_95[l].known())
        probabilities.back()["interval_95"] = {worth.interval_95[l].low, worth.interval_95[l].high};
    }
    Json one = {
        {"object", "classification"}, {"index", i}, {"label", labels[order[0]]}, {"probabilities", std::move(probabilities)}};
    if (known) {
      one["set_90"] = Json::array();
      for (const size_t l : worth.set) one["set_90"].push_back(labels[l]);
    }
    if (overlaid) one["overlay"] = overlay_url(c, asked, known, i, order[0], p[order[0]]);
    data.push_back(std::move(one));
  }
  Json j = {{"object", "list"}, {"data", std::move(data)}, {"model", c.api.model.name}};
  if (known) j["calibration"] = {{"temperature", known->temperature}, {"pictures", known->pictures}, {"units", known->units}};
  c.send(j);
}

}  // namespace duet
