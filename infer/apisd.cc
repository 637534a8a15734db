// The part of AUTOMATIC1111's API (/sdapi/v1) that its clients need: draw, redraw, watch, stop, and settings in a PNG.
#include <cmath>
#include <nlohmann/json.hpp>

#include "infer/apidraw.h"
#include "infer/apihandlers.h"
#include "infer/base64.h"
#include "vision/codec.h"

namespace duet {
namespace {

using Json = nlohmann::ordered_json;

void let_be(Call& c, const char* what) { c.ignored += (c.ignored.empty() ? "" : ", ") + std::string(what); }

// AUTOMATIC1111's marks in prompts: "(red heart:1.3)" weighs words, "<lora:foo:1>" adds weights. Here they would be drawn.
std::string without_marks(const std::string& prompt) {
  std::string out;
  for (size_t i = 0; i < prompt.size();) {
    const size_t end = prompt[i] == '(' ? prompt.find(')', i) : prompt[i] == '<' ? prompt.find('>', i) : prompt.npos;
    const size_t colon = end == prompt.npos ? end : prompt.rfind(':', end);
    const bool mark = colon != prompt.npos && colon > i && colon + 1 < end &&
                      prompt.find_first_not_of("0123456789. ", colon + 1) == end;  // a number before the end
    if (!mark) {
      out += prompt[i++];
      continue;
    }
    if (prompt[i] == '(') out += prompt.substr(i + 1, colon - i - 1);
    i = end + 1;
  }
  return out;
}

Sketch read_sketch(Call& c) {
  const Params& p = c.params;
  Sketch s(c.api.model.sampling);
  s.prompt = without_marks(p.text("prompt")), s.negative = without_marks(p.text("negative_prompt"));
  if (s.prompt != p.text("prompt") || s.negative != p.text("negative_prompt")) let_be(c, "weights in prompts");
  s.seed = p.integer("seed", -1);
  s.count = int(p.integer("batch_size", 1) * p.integer("n_iter", 1));
  if (s.count > kMostPictures)
    throw HttpError(400, join("batch_size: ", s.count, " pictures at a time; at most ", kMostPictures), "batch_size",
                    "invalid_value");
  s.width = int(p.integer("width", 0)), s.height = int(p.integer("height", 0));
  s.steps = int(p.integer("steps", s.steps)), s.guidance = p.number("cfg_scale", s.guidance);
  s.heun = p.text("sampler_name", "Euler") == "Heun";
  if (!s.heun && p.text("sampler_name", "Euler") != "Euler") let_be(c, "sampler_name");
  s.previews = kMostPreviews;  // for /sdapi/v1/progress
  if (const Value* v = p.json("styles"))
    if (const auto* list = std::get_if<Value::List>(&v->is); list && !list->empty() && as_string(&list->front())) {
      s.style = *as_string(&list->front());
      if (list->size() > 1) let_be(c, "styles after the first");
    }
  return s;
}

// Draws, telling /progress on the way. Interrupted: with what is done until then.
void draw_it(Call& c, Sketch& s) {
  const DrawPlan plan = plan_of(c.api.model, s);
  c.strange_style = plan.strange_style, c.unread = plan.unread;
  std::vector<std::string> images(size_t(s.count));
  std::vector<double> done(size_t(s.count), 0);
  try {
    c.api.run(c, plan.task, [&](Event& e) {
      if (e.kind != Event::preview && e.kind != Event::picture) return true;
      if (e.kind == Event::picture) images[e.index] = to_base64(file_of(s, plan, e));
      done[e.index] = double(e.step) / e.steps;
      double sum = 0;
      for (const double d : done) sum += d;
      std::lock_guard l(c.api.progress_mutex);
      Api::Progress& mine = c.api.progress[c.request.client];
      mine.done = sum / s.count;
      if (e.kind == Event::preview) mine.shown = std::move(e);
      return true;
    });
  } catch (const HttpError& e) {
    if (e.status != 499) throw;
  }
  Json seeds = Json::array(), texts = Json::array(), drawn = Json::array();
  for (int i = 0; i < s.count; ++i) {
    if (images[size_t(i)].empty()) continue;
    DrawnMeta m = plan.meta;
    m.seed = s.seed + i;
    seeds.push_back(m.seed), texts.push_back(infotext(m)), drawn.push_back(std::move(images[size_t(i)]));
  }
  const Json parameters{{"prompt", s.prompt},
                        {"negative_prompt", s.negative},
                        {"seed", s.seed},
                        {"steps", s.steps},
                        {"cfg_scale", s.guidance},
                        {"width", s.width},
                        {"height", s.height},
                        {"batch_size", s.count},
                        {"sampler_name", s.heun ? "Heun" : "Euler"},
                        {"denoising_strength", s.strength}};
  Json info = parameters;
  info["all_seeds"] = seeds, info["infotexts"] = texts, info["sd_model_name"] = c.api.model.name;
  info["sd_model_hash"] = c.api.model.hash;
  c.send({{"images", std::move(drawn)},
          {"parameters", parameters},
          {"info", info.dump(-1, ' ', false, Json::error_handler_t::replace)}});
}

}  // namespace

void sd_txt2img(Call& c) {
  Sketch s = read_sketch(c);
  draw_it(c, s);
}

void sd_img2img(Call& c) {
  Sketch s = read_sketch(c);
  const Value* v = c.params.json("init_images");
  const auto* list = std::get_if<Value::List>(&v->is);
  if (!list || list->size() != 1 || !as_string(&list->front()))
    throw HttpError(400, "init_images: expected a list of one picture as base64", "init_images", "invalid_value");
  s.from = c.api.picture(c.api.inline_bytes(*as_string(&list->front()), "init_images"), "init_images");
  s.strength = std::max(0.01, c.params.number("denoising_strength", 0.75));
  if (c.params.has("mask")) {  // white: to be drawn anew
    const Image mask = c.api.picture(c.api.inline_bytes(c.params.text("mask"), "mask"), "mask");
    if (mask.width != s.from.width || mask.height != s.from.height)
      throw HttpError(400,
                      join("mask: ", mask.width, "x", mask.height, " pixels, but the picture has ", s.from.width, "x",
                           s.from.height, "; they must be equal"),
                      "mask", "invalid_value");
    const bool invert = c.params.integer("inpainting_mask_invert", 0) != 0;
    for (size_t i = 0; i < mask.rgba.size(); i += 4)
      s.change.push_back((mask.rgba[i + 3] >= 128 && mask.rgba[i] + mask.rgba[i + 1] + mask.rgba[i + 2] >= 3 * 128) != invert);
    s.width = s.height = 0;
  }
  draw_it(c, s);
}

void sd_progress(Call& c) {
  Event shown{.kind = Event::preview};
  double done = 0, eta = 0;
  bool busy = false;
  {
    std::lock_guard l(c.api.progress_mutex);
    const auto it = c.api.progress.find(c.request.client);
    if (it != c.api.progress.end() && !it->second.job.expired()) {
      busy = true, done = it->second.done, shown = it->second.shown;
      const double spent = std::chrono::duration<double>(Clock::now() - it->second.start).count();
      if (done > 0) eta = spent / done - spent;
    }
  }
  Json image = nullptr;
  if (!shown.pixels.empty())
    image = to_base64(encode_png(finished(shown.pixels.data(), shown.width, shown.height, Finish::clean)));
  c.send({{"progress", done},
          {"eta_relative", eta},
          {"state",
           {{"skipped", false},
            {"interrupted", false},
            {"job", busy ? "draw" : ""},
            {"job_count", busy ? 1 : 0},
            {"job_no", 0},
            {"sampling_step", shown.step},
            {"sampling_steps", shown.steps}}},
          {"current_image", std::move(image)},
          {"textinfo", nullptr}});
}

void sd_interrupt(Call& c) {
  std::lock_guard l(c.api.progress_mutex);
  if (const auto it = c.api.progress.find(c.request.client); it != c.api.progress.end())
    if (const auto job = it->second.job.lock()) job->cancel();
  c.send(Json::object());
}

void sd_png_info(Call& c) {
  const auto bytes = c.api.inline_bytes(c.params.text("image"), "image");
  std::vector<PngText> texts;
  try {
    texts = read_png_text(bytes, "image");
  } catch (const Error& e) {
    throw HttpError(400, e.what(), "image", "invalid_image");
  }
  Json items = Json::object(), parameters = Json::object();
  std::string info;
  for (const PngText& t : texts) {
    items[t.key] = t.value;
    if (t.key == "parameters") info = t.value;
  }
  try {
    if (const auto m = read_drawn(bytes, "image"))
      parameters = {{"prompt", m->prompt},
                    {"negative_prompt", m->negative},
                    {"style", m->style},
                    {"seed", m->seed},
                    {"steps", m->steps},
                    {"cfg_scale", m->guidance},
                    {"width", m->width},
                    {"height", m->height},
                    {"sampler_name", m->heun ? "Heun" : "Euler"},
                    {"model", m->model}};
  } catch (const Error&) {  // its text 'duet' is not ours: the items tell all there is
  }
  c.send({{"info", info}, {"items", std::move(items)}, {"parameters", std::move(parameters)}});
}

void sd_interrogate(Call& c) {
  const Image image = c.api.picture(c.api.inline_bytes(c.params.text("image"), "image"), "image");
  c.send({{"caption", c.api.run(c, CaptionTask{{image}, {}}).captions.at(0).text}});
}

void sd_options(Call& c) {
  c.send({{"sd_model_checkpoint", c.api.model.name}, {"sd_checkpoint_hash", c.api.model.hash}, {"samples_format", "png"}});
}
void sd_set_options(Call& c) {
  const std::string name = c.params.text("sd_model_checkpoint", c.api.model.name);
  if (!name.empty() && name != c.api.model.name)
    throw HttpError(400, "sd_model_checkpoint: this server has one model, " + c.api.model.name, "sd_model_checkpoint",
                    "invalid_value");
  c.send(Json::object());
}
void sd_models(Call& c) {
  const ModelInfo& m = c.api.model;
  c.send(Json::array({{{"title", m.name},
                       {"model_name", m.name},
                       {"hash", m.hash},
                       {"sha256", nullptr},
                       {"filename", m.name},
                       {"config", nullptr}}}));
}
void sd_samplers(Call& c) {
  Json list = Json::array();
  for (const char* name : {"Euler", "Heun"})
    list.push_back({{"name", name}, {"aliases", Json::array()}, {"options", Json::object()}});
  c.send(list);
}

}  // namespace duet
