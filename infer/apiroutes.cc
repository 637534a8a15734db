// The table of routes, and what is made of it: who is routed where, /openapi.json.
#include <nlohmann/json.hpp>

#include "fusion/styles.h"
#include "infer/apidraw.h"
#include "infer/apihandlers.h"
#include "infer/open.h"
#include "infer/webfiles.h"

namespace duet {
namespace {

using Json = nlohmann::ordered_json;
using F = Field;

void health(Call& c) { c.send({{"status", "ok"}}); }

void ready(Call& c) {
  const EngineStats s = c.api.engine.stats();
  c.send({{"status", "ok"}, {"model", c.api.model.name}, {"waiting", s.waiting}, {"drawing", s.drawing}});
}

void metrics(Call& c) { c.out.send(200, "text/plain; version=0.0.4; charset=utf-8", c.api.metrics.text(c.api.engine.stats())); }

Json model_json(const Api& api) {
  const ModelInfo& m = api.model;
  const ModelConfig& c = m.model.config;
  Json styles = Json::array();
  for (const auto& s : m.styles) styles.push_back({{"name", s}, {"name_ko", korean_style(s)}});
  Json j = {{"id", m.name},
            {"object", "model"},
            {"created", m.created},
            {"owned_by", "duet"},
            {"architecture", {{"input_modalities", {"text", "image"}}, {"output_modalities", {"text", "image", "embedding"}}}},
            {"hash", m.hash},
            {"size", c.size},
            {"sampling", {{"steps", m.sampling.steps}, {"guidance", m.sampling.guidance}}},
            {"styles", std::move(styles)},
            {"patch", c.patch},
            {"embedding_dimensions", c.embed}};
  if (api.options.calibration) j["classes"] = api.options.calibration->labels;
  return j;
}

void models(Call& c) { c.send({{"object", "list"}, {"data", Json::array({model_json(c.api)})}}); }

void model(Call& c) {
  if (c.tail != c.api.model.name)
    throw HttpError(404, "there is no such model here; GET /v1/models names the one there is", "model", "model_not_found");
  c.send(model_json(c.api));
}

void describe(Call& c) { c.send(openapi(c.api.model)); }

constexpr int kMostPrompt = 4096;  // bytes

std::vector<Field> drawing_fields(std::vector<Field> more) {
  const std::vector<Field> shared = {
      {"n", F::integer, "how many pictures, with seeds one up each (with best_of N: of N seeds each)", 1, kMostPictures},
      {"size", F::text, "auto or WIDTHxHEIGHT in pixels", 0, 16},
      {"quality", F::choice,
       "medium: as the model is meant to be drawn with (GET /v1/models, sampling); low: half the steps; high: best_of 8, or as "
       "many as the queue holds",
       0, 0, "auto|standard|hd|low|medium|high"},
      {"response_format", F::choice, "url gives a data URL", 0, 0, "url|b64_json"},
      {"output_format", F::choice, "format of the file; PNG carries its settings", 0, 0, "png|jpeg|webp"},
      {"output_compression", F::integer, "quality of JPEG and WebP", 0, 100},
      {"background", F::choice, "auto: as it was drawn", 0, 0, "transparent|opaque|auto"},
      {"moderation", F::choice, "without effect", 0, 0, "low|auto"},
      {"stream", F::flag, "server-sent events"},
      {"partial_images", F::integer, "with stream: pictures on their way, of each picture", 0, kMostPreviews},
      {"seed", F::integer, "of the first drawing; -1: by chance. The same seed and settings give the same file", -1,
       double(kMostSeed)},
      {"negative_prompt", F::text, "words to steer away from", 0, kMostPrompt},
      {"best_of", F::integer,
       "drawings begun for each picture, with seeds one up; the model reads them on the way: half go on after a quarter of the "
       "steps, half of those after half of the steps (below 8 steps all do). The one that it reads best in the end is given, "
       "with its own seed. Partial images show the likeliest",
       1, kMostBestOf},
      {"steps", F::integer, "steps from noise to picture", 1, kMostSteps},
      {"guidance", F::number, "how strictly to follow the words; 1: as it comes", 0, 30},
      {"finish", F::choice, "clean: flat colour without mottle, clear background, clean edges; raw: as the model drew it", 0, 0,
       "clean|raw"},
      {"style", F::text, "look, said after the prompt: emoji, photo ...; GET /v1/models lists what the model knows", 0, 64},
      {"model", F::text, "the model's name", 0, 256},
      {"user", F::text, "without effect", 0, 256}};
  more.insert(more.end(), shared.begin(), shared.end());
  return more;
}

std::vector<Field> sd_fields(std::vector<Field> more) {
  const std::vector<Field> shared = {{"prompt", F::text, "what to draw", 0, kMostPrompt},
                                     {"negative_prompt", F::text, "words to steer away from", 0, kMostPrompt},
                                     {"seed", F::integer, "-1: by chance", -1, double(kMostSeed)},
                                     {"steps", F::integer, "steps from noise to picture", 1, kMostSteps},
                                     {"cfg_scale", F::number, "how strictly to follow the words", 0, 30},
                                     {"width", F::integer, "pixels", 8, kMostSide},
                                     {"height", F::integer, "pixels", 8, kMostSide},
                                     {"batch_size", F::integer, "pictures", 1, kMostPictures},
                                     {"n_iter", F::integer, "times batch_size pictures", 1, kMostPictures},
                                     {"sampler_name", F::text, "Euler or Heun; any other is Euler", 0, 64},
                                     {"styles", F::any, "list of looks; the first is taken"}};
  more.insert(more.end(), shared.begin(), shared.end());
  return more;
}

}  // namespace

const std::vector<Route>& routes() {
  static const std::vector<Route> table = {
      {.method = "GET",
       .path = "/health",
       .summary = "Whether the server is there",
       .handler = health,
       .fields = {},
       .quick = true,
       .open = true},
      {.method = "GET",
       .path = "/ready",
       .summary = "Whether it can work, and how much waits",
       .handler = ready,
       .fields = {},
       .quick = true},
      {.method = "GET", .path = "/metrics", .summary = "Prometheus metrics", .handler = metrics, .fields = {}, .quick = true},
      {.method = "GET", .path = "/openapi.json", .summary = "This description", .handler = describe, .fields = {}},
      {.method = "GET", .path = "/v1/models", .summary = "The model", .handler = models, .fields = {}, .quick = true},
      {.method = "GET", .path = "/v1/models/{id}", .summary = "The model", .handler = model, .fields = {}, .quick = true},
      {.method = "POST",
       .path = "/v1/images/generations",
       .summary = "Draw pictures from words",
       .handler = generations,
       .fields = drawing_fields({{"prompt", F::text, "what to draw, in English or Korean", 0, kMostPrompt, "", true}}),
       .body = true},
      {.method = "POST",
       .path = "/v1/images/edits",
       .summary = "Draw a picture anew, or where a mask is transparent",
       .handler = edits,
       .fields = drawing_fields({{"prompt", F::text, "what to draw", 0, kMostPrompt, "", true},
                                 {"image", F::file, "the picture"},
                                 {"images", F::any, "of a JSON request: [{\"image_url\": data URL}]"},
                                 {"mask", F::file, "a picture as large, transparent where it may change"},
                                 {"strength", F::number, "0: as given, 1: from noise alone", 0.01, 1},
                                 {"input_fidelity", F::choice, "without effect", 0, 0, "high|low"}}),
       .forms = true,
       .body = true},
      {.method = "POST",
       .path = "/v1/images/variations",
       .summary = "Draw a picture like one",
       .handler = variations,
       .fields =
           drawing_fields({{"image", F::file, "the picture", 0, 0, "", true},
                           {"prompt", F::text, "words to draw under; none: what the model sees on the picture", 0, kMostPrompt},
                           {"strength", F::number, "0: as given, 1: from noise alone", 0.01, 1}}),
       .forms = true,
       .body = true},
      {.method = "POST",
       .path = "/v1/chat/completions",
       .summary = "Say what is on a picture, or which of some choices fits it",
       .handler = chat,
       .fields = {{"messages", F::any, "of the user's, the last with a picture and the last with words", 0, 0, "", true},
                  {"model", F::text, "the model's name", 0, 256},
                  {"choices", F::any, "list of words: which fits the picture"},
                  {"lang", F::choice, "language of the answer, where the words do not tell", 0, 0, "en|ko"},
                  {"stream", F::flag, "server-sent events"},
                  {"stream_options", F::any, "{\"include_usage\": true}"},
                  {"max_tokens", F::integer, "of the answer", 1, 1 << 20},
                  {"max_completion_tokens", F::integer, "of the answer", 1, 1 << 20},
                  {"n", F::integer, "answers", 1, 1},
                  {"temperature", F::number, "0, the default: the likeliest wording; above: words by chance", 0, 2},
                  {"top_p", F::number, "words by chance among the likeliest of this probability", 0, 1},
                  {"seed", F::integer, "of words by chance: the same seed, the same words", -9e15, 9e15},
                  {"stop", F::any, "words, or a list of them, before which the answer ends"}},
       .body = true},
      {.method = "POST",
       .path = "/v1/embeddings",
       .summary = "Unit vectors of words and pictures that are close where they mean the same",
       .handler = embeddings,
       .fields = {{"input", F::any, "words, token ids or {\"image\": data URL}, one or a list", 0, 0, "", true},
                  {"model", F::text, "the model's name", 0, 256},
                  {"encoding_format", F::choice, "base64: little-endian 32-bit floats", 0, 0, "float|base64"},
                  {"dimensions", F::integer, "those of the model", 1, 1 << 20},
                  {"user", F::text, "without effect", 0, 256}},
       .body = true},
      {.method = "POST",
       .path = "/v1/classify",
       .summary = "Which of some labels fits a picture",
       .handler = classify_route,
       .fields =
           {{"image", F::file, "data URL, a list of them, or files of a form", 0, 0, "", true},
            {"labels", F::any,
             "list of words, or words with commas between; left out where the server has a calibration: its classes, with "
             "calibrated probabilities, their intervals, and the set that holds the truth in 90 %"},
            {"template", F::text, "sentence with {} for the label", 0, 512},
            {"by", F::choice, "what is compared", 0, 0, "embedding|caption"},
            {"overlay", F::flag, "also a PNG of where the model finds the first label: a data URL"},
            {"model", F::text, "the model's name", 0, 256}},
       .forms = true,
       .body = true},
      {.method = "POST",
       .path = "/sdapi/v1/txt2img",
       .summary = "Draw pictures (AUTOMATIC1111)",
       .handler = sd_txt2img,
       .fields = sd_fields({}),
       .body = true},
      {.method = "POST",
       .path = "/sdapi/v1/img2img",
       .summary = "Draw a picture anew (AUTOMATIC1111)",
       .handler = sd_img2img,
       .fields = sd_fields({{"init_images", F::any, "list of one picture, base64", 0, 0, "", true},
                            {"mask", F::text, "a picture as large, base64: white is drawn anew"},
                            {"inpainting_mask_invert", F::integer, "1: black is drawn anew", 0, 1},
                            {"denoising_strength", F::number, "0: as given, 1: from noise alone", 0, 1}}),
       .body = true},
      {.method = "GET",
       .path = "/sdapi/v1/progress",
       .summary = "How far your drawing is",
       .handler = sd_progress,
       .fields = {}},
      {.method = "POST",
       .path = "/sdapi/v1/interrupt",
       .summary = "Stop your drawing",
       .handler = sd_interrupt,
       .fields = {},
       .quick = true},
      {.method = "POST",
       .path = "/sdapi/v1/png-info",
       .summary = "The settings inside a PNG",
       .handler = sd_png_info,
       .fields = {{"image", F::text, "the PNG, base64", 0, 0, "", true}},
       .body = true},
      {.method = "POST",
       .path = "/sdapi/v1/interrogate",
       .summary = "Say what is on a picture",
       .handler = sd_interrogate,
       .fields = {{"image", F::text, "the picture, base64", 0, 0, "", true}, {"model", F::text, "without effect", 0, 256}},
       .body = true},
      {.method = "GET", .path = "/sdapi/v1/options", .summary = "Settings", .handler = sd_options, .fields = {}, .quick = true},
      {.method = "POST",
       .path = "/sdapi/v1/options",
       .summary = "Settings; there is one model",
       .handler = sd_set_options,
       .fields = {{"sd_model_checkpoint", F::text, "the model's name", 0, 256}},
       .body = true},
      {.method = "GET",
       .path = "/sdapi/v1/sd-models",
       .summary = "The model",
       .handler = sd_models,
       .fields = {},
       .quick = true},
      {.method = "GET",
       .path = "/sdapi/v1/samplers",
       .summary = "Ways to take steps",
       .handler = sd_samplers,
       .fields = {},
       .quick = true},
  };
  return table;
}

// 30 and not 30.0
static Json plain(double x) { return x == double(int64_t(x)) ? Json(int64_t(x)) : Json(x); }

static Json schema_of(const Field& f) {
  Json s{{"description", f.doc}};
  switch (f.kind) {
    case F::text:
      s["type"] = "string";
      break;
    case F::flag:
      s["type"] = "boolean";
      break;
    case F::integer:
      s["type"] = "integer", s["minimum"] = int64_t(f.least), s["maximum"] = int64_t(f.most);
      break;
    case F::number:
      s["type"] = "number", s["minimum"] = plain(f.least), s["maximum"] = plain(f.most);
      break;
    case F::file:
      s["type"] = "string", s["format"] = "binary";
      break;
    case F::any:
      break;
    case F::choice: {
      s["type"] = "string", s["enum"] = Json::array();
      const std::string_view all = f.choices;
      for (size_t at = 0; at <= all.size();) {
        const size_t end = std::min(all.find('|', at), all.size());
        s["enum"].push_back(std::string(all.substr(at, end - at)));
        at = end + 1;
      }
    }
  }
  return s;
}

Json openapi(const ModelInfo& m) {
  Json paths = Json::object();
  for (const Route& r : routes()) {
    Json op{{"summary", r.summary}};
    if (r.open) op["security"] = Json::array();
    if (std::string_view(r.path).ends_with("{id}"))
      op["parameters"] = Json::array({{{"name", "id"}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}}});
    if (!r.fields.empty()) {
      Json properties = Json::object(), required = Json::array();
      for (const Field& f : r.fields) {
        properties[f.name] = schema_of(f);
        if (f.required) required.push_back(f.name);
      }
      Json schema{{"type", "object"}, {"properties", std::move(properties)}};
      if (!required.empty()) schema["required"] = std::move(required);
      op["requestBody"]["required"] = r.body;
      op["requestBody"]["content"]["application/json"]["schema"] = schema;
      if (r.forms) op["requestBody"]["content"]["multipart/form-data"]["schema"] = std::move(schema);
    }
    op["responses"] = {{"200", {{"description", "done"}}},
                       {"default",
                        {{"description", "refused or failed"},
                         {"content", {{"application/json", {{"schema", {{"$ref", "#/components/schemas/Error"}}}}}}}}}};
    std::string method = r.method;
    for (char& ch : method) ch = char(ch + 32);
    paths[r.path][method] = std::move(op);
  }
  const Json text_or_null{{"type", {"string", "null"}}};
  return {{"openapi", "3.1.0"},
          {"info", {{"title", "duet: " + m.name}, {"version", kVersion}}},
          {"paths", std::move(paths)},
          {"security", Json::array({{{"key", Json::array()}}})},
          {"components",
           {{"securitySchemes", {{"key", {{"type", "http"}, {"scheme", "bearer"}}}}},
            {"schemas",
             {{"Error",
               {{"type", "object"},
                {"required", {"error"}},
                {"properties",
                 {{"error",
                   {{"type", "object"},
                    {"required", {"message", "type", "param", "code"}},
                    {"properties",
                     {{"message", {{"type", "string"}}},
                      {"type", {{"type", "string"}}},
                      {"param", text_or_null},
                      {"code", text_or_null}}}}}}}}}}}}}};
}

}  // namespace duet
