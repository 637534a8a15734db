// OpenAI's image routes: generations, edits and variations, whole or as a stream with pictures on their way.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>

#include "infer/apidraw.h"
#include "infer/apihandlers.h"
#include "infer/base64.h"
#include "infer/pngmeta.h"
#include "text/unicode.h"

namespace duet {
namespace {

using Json = nlohmann::ordered_json;

int64_t now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

void read_size(const std::string& size, Sketch& s) {
  if (size.empty() || size == "auto") return;
  int64_t w = 0, h = 0;
  const char* const last = size.data() + size.size();
  auto read = std::from_chars(size.data(), last, w);
  if (read.ec == std::errc() && read.ptr != last && *read.ptr == 'x') read = std::from_chars(read.ptr + 1, last, h);
  if (read.ec != std::errc() || read.ptr != last || w < 1 || h < 1)
    throw HttpError(400, "size: expected auto or WIDTHxHEIGHT in pixels, for example 512x512", "size", "invalid_value");
  if (w > kMostSide || h > kMostSide)
    throw HttpError(400, join("size: ", size, " is too large; sides go up to ", kMostSide), "size", "invalid_value");
  s.width = int(w), s.height = int(h);
}

Sketch read_sketch(const Call& c) {
  const Params& p = c.params;
  const Sampling& usual = c.api.model.sampling;
  Sketch s(usual);
  s.prompt = p.text("prompt"), s.negative = p.text("negative_prompt"), s.style = p.text("style");
  if (s.style == "vivid" || s.style == "natural") s.style.clear();  // OpenAI's own two say nothing about looks
  s.count = int(p.integer("n", 1));
  s.seed = p.integer("seed", -1);
  const std::string quality = p.text("quality", "auto");
  const bool low = quality == "low", high = quality == "high" || quality == "hd";
  s.steps = int(p.integer("steps", low ? (usual.steps + 1) / 2 : usual.steps));
  // Of its own accord no more than the queue holds.
  const int most = std::clamp(c.api.engine.most_waiting() / std::max(1, s.count), 1, kMostBestOf);
  s.best_of = int(p.integer("best_of", high ? most : 1));
  s.guidance = p.number("guidance", s.guidance);
  s.finish = finish_of(p.text("finish", name_of(s.finish)));
  read_size(p.text("size"), s);
  const std::string format = p.text("output_format", "png");
  s.format = format == "jpeg" ? Format::jpeg : format == "webp" ? Format::webp : Format::png;
  s.quality = int(p.integer("output_compression", 90));
  const std::string background = p.text("background", "auto");
  s.opaque = background == "opaque";
  if (background == "transparent" && s.format == Format::jpeg)
    throw HttpError(400, "background: JPEG has no transparency; choose output_format png or webp", "background",
                    "invalid_value");
  if (p.flag("stream", false)) s.previews = int(p.integer("partial_images", 0));
  return s;
}

Json common(const ModelInfo& m, const Sketch& s, const DrawPlan& plan) {
  return {{"size", join(s.width, 'x', s.height)},
          {"quality", s.best_of > 1                           ? "high"
                      : s.steps <= (m.sampling.steps + 1) / 2 ? "low"
                                                              : "medium"},
          {"background", s.opaque || s.format == Format::jpeg ? "opaque" : "transparent"},
          {"output_format", name_of(s.format)},
          {"drawn_size", join(plan.drawn_size, 'x', plan.drawn_size)}};
}

// Tokens that were read, and patches that were drawn.
Json usage(const ModelInfo& m, const Sketch& s, const DrawPlan& plan) {
  const int64_t p = m.model.config.patch, each = plan.drawn_size / p * (plan.drawn_size / p);
  const int64_t text = int64_t(plan.task.pictures[0].prompt.size()), image = s.from.empty() ? 0 : each,
                out = each * s.count * s.best_of;
  return {{"input_tokens", text + image},
          {"output_tokens", out},
          {"total_tokens", text + image + out},
          {"input_tokens_details", {{"text_tokens", text}, {"image_tokens", image}}}};
}

std::string url_of(const Sketch& s, const std::string& base64) { return join("data:", mime_of(s.format), ";base64,", base64); }

void whole(Call& c, Sketch& s) {
  const DrawPlan plan = plan_of(c.api.model, s);
  c.strange_style = plan.strange_style, c.unread = plan.unread;
  std::vector<std::string> files(size_t(s.count));
  std::vector<int64_t> seeds(files.size());
  c.api.run(c, plan.task, [&](Event& e) {
    if (e.kind == Event::picture) files[e.index] = to_base64(file_of(s, plan, e)), seeds[e.index] = int64_t(e.seed);
    return true;
  });
  const bool url = c.params.text("response_format", "b64_json") == "url";
  Json data = Json::array();
  for (int i = 0; i < s.count; ++i) {
    std::string& file = files[size_t(i)];
    data.push_back({{url ? "url" : "b64_json", url ? url_of(s, file) : std::move(file)}, {"seed", seeds[size_t(i)]}});
  }
  Json j{{"created", now()}, {"data", std::move(data)}};
  j.update(common(c.api.model, s, plan));
  j["usage"] = usage(c.api.model, s, plan);
  c.send(j);
}

void streamed(Call& c, Sketch& s, const std::string& name) {
  const DrawPlan plan = plan_of(c.api.model, s);
  c.strange_style = plan.strange_style, c.unread = plan.unread;
  std::vector<int> previews(size_t(s.count), 0);
  bool begun = false;
  c.api.run(c, plan.task, [&](Event& e) {
    if (e.kind != Event::preview && e.kind != Event::picture) return true;
    if (!std::exchange(begun, true)) c.begin_events();
    const bool done = e.kind == Event::picture;
    const std::string type = name + (done ? ".completed" : ".partial_image");
    Json j{{"type", type}, {"b64_json", to_base64(file_of(s, plan, e))}, {"created_at", now()}};
    j.update(common(c.api.model, s, plan));
    j["index"] = e.index, j["seed"] = e.seed;
    if (done) j["usage"] = usage(c.api.model, s, plan);
    else j["partial_image_index"] = previews[e.index]++, j["step"] = e.step, j["steps"] = e.steps;
    return c.event(type, j);
  });
  c.out.end();
}

void draw_it(Call& c, Sketch& s, const std::string& name) {
  if (s.best_of > 1 && clean_caption(s.prompt).empty()) {
    if (c.params.has("best_of"))
      throw HttpError(400, "best_of: needs words to judge by, but the prompt has none", "best_of", "invalid_value");
    s.best_of = 1;
  }
  c.params.flag("stream", false) ? streamed(c, s, name) : whole(c, s);
}

// The one picture of a request: a file of the form, a data URL, or OpenAI's list of {image_url}.
Image picture_in(Call& c, const char* name) {
  const auto files = c.params.files(name);
  if (files.size() > 1)
    throw HttpError(400, join(name, ": ", files.size(), " were sent; this model takes one picture at a time"), name,
                    "too_many_images");
  if (files.size() == 1)
    return c.api.picture({reinterpret_cast<const uint8_t*>(files[0]->body.data()), files[0]->body.size()}, name);
  const Value* v = c.params.json(name);
  if (!v && std::string_view(name) == "image") v = c.params.json("images");
  if (!v) throw HttpError(400, join(name, ": missing; send a file or a data URL"), name, "missing_required_parameter");
  if (const auto* list = std::get_if<Value::List>(&v->is)) {
    if (list->size() != 1)
      throw HttpError(400, join(name, ": ", list->size(), " were sent; this model takes one picture at a time"), name,
                      "too_many_images");
    v = &list->front();
  }
  const std::string* url = as_string(v) ? as_string(v) : as_string(member(*v, "image_url"));
  if (!url)
    throw HttpError(400, join(name, ": expected a data URL, or {\"image_url\": \"data:image/png;base64,...\"}"), name,
                    "invalid_value");
  return c.api.picture(c.api.inline_bytes(*url, name), name);
}

}  // namespace

void generations(Call& c) {
  Sketch s = read_sketch(c);
  draw_it(c, s, "image_generation");
}

void edits(Call& c) {
  Sketch s = read_sketch(c);
  s.from = picture_in(c, "image");
  if (!c.params.files("mask").empty() || c.params.has("mask")) {
    const Image mask = picture_in(c, "mask");
    if (mask.width != s.from.width || mask.height != s.from.height)
      throw HttpError(400,
                      join("mask: ", mask.width, "x", mask.height, " pixels, but the picture has ", s.from.width, "x",
                           s.from.height, "; they must be equal"),
                      "mask", "invalid_value");
    for (size_t i = 3; i < mask.rgba.size(); i += 4) s.change.push_back(mask.rgba[i] == 0);
    if (std::find(s.change.begin(), s.change.end(), 1) == s.change.end())
      throw HttpError(400, "mask: no pixel is transparent, so nothing may change; make alpha 0 what is to be drawn anew",
                      "mask", "invalid_value");
    // A size of its own would move what is to stay.
    if (!c.params.has("size") || c.params.text("size") == "auto") s.width = s.from.width, s.height = s.from.height;
  }
  s.strength = c.params.number("strength", s.change.empty() ? 0.7 : 1);
  draw_it(c, s, "image_edit");
}

void variations(Call& c) {
  Sketch s = read_sketch(c);
  s.from = picture_in(c, "image");
  s.strength = c.params.number("strength", 0.6);
  // The words to draw under: as given, else what the model sees on the picture.
  if (s.prompt.empty()) s.prompt = c.api.run(c, CaptionTask{{s.from}, {}}).captions.at(0).text;
  draw_it(c, s, "image_variation");
}

}  // namespace duet
