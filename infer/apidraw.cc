#include "infer/apidraw.h"

#include <random>

#include "fusion/shards.h"
#include "fusion/styles.h"
#include "infer/frame.h"
#include "infer/open.h"
#include "kernels/gemm.h"
#include "text/unicode.h"
#include "vision/codec.h"
#include "vision/patch.h"
#include "vision/transform.h"
#include "vision/webpwrite.h"

namespace duet {
namespace {

std::vector<int> ids_of(const Tokenizer& t, const std::string& words) {
  return words.empty() ? std::vector<int>{} : prompt_ids(t, words);
}

}  // namespace

DrawPlan plan_of(const ModelInfo& info, Sketch& s) {
  const ModelConfig& c = info.model.config;
  s.prompt = clean_caption(s.prompt), s.negative = clean_caption(s.negative), s.style = clean_caption(s.style);
  const auto style = learned_style(info.styles, s.style, prompt_is_korean(s.prompt, s.style));
  if (style) s.style = *style;
  if (!s.width) s.width = s.from.empty() ? int(c.size) : s.from.width;
  if (!s.height) s.height = s.from.empty() ? int(c.size) : s.from.height;
  if (!can_frame(s.width, s.height))
    throw HttpError(400,
                    join("size: ", s.width, "x", s.height, " cannot be drawn; sides from ", kLeastSide, " to ", kMostSide,
                         ", none over four times the other; this model learned at ", c.size, "x", c.size),
                    "size", "invalid_value");
  if (int64_t(s.count) * s.width * s.height > kMostPixels)
    throw HttpError(400,
                    join("n: ", s.count, " pictures of ", s.width, "x", s.height, " at a time; at most ",
                         kMostPixels / (int64_t(s.width) * s.height), " of that size"),
                    "n", "invalid_value");
  if (s.seed < 0) s.seed = int64_t(std::random_device{}());
  const int drawings = s.count * s.best_of;
  if (s.seed > kMostSeed - (drawings - 1))
    throw HttpError(400, "seed: too large; it leaves no room up to 2^53 for a seed of each drawing", "seed", "invalid_value");
  DrawPlan plan;
  if (!s.style.empty() && !style && !info.styles.empty()) {
    plan.strange_style = "GET /v1/models lists the styles of this model";
    const auto meant = learned_style(info.styles, likely_style(info.styles, s.style), false);  // in English: headers are ASCII
    if (meant && !meant->empty() && std::ranges::all_of(*meant, [](char c) { return c >= 0x20 && c < 0x7f; }))
      plan.strange_style = "did you mean " + *meant + "; " + plan.strange_style;
  }
  if (const std::string letter = unread_letter(info.tokenizer, s.prompt); !letter.empty())
    plan.unread = code_point(letter) + "; this model has not learned to read it: say it in words of English or Korean";
  DrawTask& t = plan.task;
  t.options.steps = s.steps, t.options.guidance = s.guidance, t.options.heun = s.heun;
  t.options.shift = info.sampling.shift, t.options.finish = s.finish;
  t.options.width = t.options.height = plan.drawn_size = int(c.size);
  t.previews = s.previews;
  t.best_of = s.best_of, t.words = with_style(s.prompt, s.style);
  DrawRequest request{ids_of(info.tokenizer, t.words), ids_of(info.tokenizer, s.negative), 0};
  if (request.prompt.empty()) {
    request.prompt = {info.tokenizer.bos()};
    if (request.negative.empty()) t.options.guidance = 1;  // nothing to steer by
  }
  for (int i = 0; i < drawings; ++i) t.pictures.push_back(request), t.pictures.back().seed = uint64_t(s.seed + i);
  if (!s.from.empty()) {
    auto given = std::make_shared<Given>();
    given->pixels.resize(size_t(c.size * c.size) * 4);
    if (s.from.width != s.width || s.from.height != s.height) {  // another size was asked for
      if (!s.change.empty()) s.change = stretched(s.change, s.from.width, s.from.height, s.width, s.height);
      s.from = resize(s.from, s.width, s.height);
    }
    to_pixels(squared(s.from, plan.drawn_size), given->pixels.data());
    if (!s.change.empty()) given->change = squared(s.change, s.width, s.height, plan.drawn_size);
    else if (s.width != s.height)  // what is beside it stays, or it would grow into the picture
      given->change = squared(std::vector<uint8_t>(s.from.rgba.size() / 4, 1), s.width, s.height, plan.drawn_size);
    given->strength = s.strength;
    t.given = given;
  }
  DrawnMeta& m = plan.meta;
  m.prompt = s.prompt, m.negative = s.negative, m.style = s.style;
  m.take(t.options);
  m.width = s.width, m.height = s.height;
  if (plan.drawn_size != s.width || plan.drawn_size != s.height) m.drawn_width = m.drawn_height = plan.drawn_size;
  m.precision = arithmetic();
  m.model = info.name, m.model_hash = info.hash, m.version = kVersion;
  return plan;
}

std::vector<uint8_t> file_of(const Sketch& s, const DrawPlan& plan, const Event& e) {
  Image image = finished(e.pixels.data(), e.width, e.height, s.finish);
  image = s.from.empty() ? framed(image, s.width, s.height) : unsquared(image, s.width, s.height);
  if (s.opaque) image = over(image, 255, 255, 255);
  // What was to stay comes back as it came.
  for (size_t i = 0; i < s.change.size(); ++i)
    if (!s.change[i]) std::copy_n(s.from.rgba.data() + 4 * i, 4, image.rgba.data() + 4 * i);
  if (s.format == Format::jpeg) return encode_jpeg(image, std::max(1, s.quality), kMadeByModel);
  if (s.format == Format::webp) return encode_webp(image, s.quality, kMadeByModel);
  DrawnMeta m = plan.meta;
  m.seed = int64_t(e.seed);
  return encode_png(image, drawn_texts(m));
}

const char* mime_of(Format f) { return f == Format::png ? "image/png" : f == Format::jpeg ? "image/jpeg" : "image/webp"; }
const char* name_of(Format f) { return f == Format::png ? "png" : f == Format::jpeg ? "jpeg" : "webp"; }

}  // namespace duet
