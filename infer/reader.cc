#include "infer/reader.h"

#include <algorithm>
#include <cmath>

#include "fusion/patchify.h"
#include "fusion/styles.h"
#include "infer/sampler.h"
#include "kernels/device.h"
#include "kernels/parallel.h"
#include "kernels/table.h"
#include "text/unicode.h"
#include "vision/patch.h"
#include "vision/transform.h"

namespace duet {
namespace {

constexpr int64_t kPictures = CaptionRun::kMost, kTexts = 64;  // in one pass

// Clean pictures (t = 1) on their way through the model.
struct Pictures {
  Var rows;  // (B P, C): the vision stem's
  Model::Times times;
  std::vector<Sequence> sequences;  // one picture each
  int32_t patches;                  // P
};

Pictures look(const Model& m, std::span<const Image> images) {
  const int S = int(m.config.size), side = S / int(m.config.patch);
  const int64_t B = int64_t(images.size());
  std::vector<float> pixels(size_t(B) * S * S * 4);
  parallel_for(B, [&](int64_t b) { to_pixels(model_view(images[size_t(b)], S), &pixels[size_t(b) * S * S * 4]); });
  Pictures p{{}, m.times(std::vector<float>(size_t(B), 1.0f)), {}, int32_t(side * side)};
  for (int b = 0; b < B; ++b) p.sequences.push_back({Segment::image(side, side, b + 1)});
  p.rows = m.vision_stem(patchify(pixels.data(), B, S, S, m.config.patch), make_layout(p.sequences), p.times);
  return p;
}

Tensor rows_of(const std::vector<int32_t>& v) { return Tensor::ints(v); }

// Specials other than the end, and ids that the tokenizer does not have, are never said.
Tensor sayable(const Tokenizer& t, int64_t V) {
  Tensor may({V}, DType::u8);
  for (int64_t v = 0; v < V; ++v) may.data<uint8_t>()[v] = v < t.size() && (!t.is_special(int(v)) || v == t.eos());
  return may;
}

// f(first, count) for pieces of at most `most`, their rows (count, E) one after the other
template <class F>
Tensor in_pieces(int64_t n, int64_t most, int64_t E, F f) {
  Tensor out({n, E});
  for (int64_t i = 0; i < n; i += most) {
    const int64_t count = std::min(most, n - i);
    std::copy_n(host_floats(f(i, count)).data(), count * E, out.data() + i * E);
  }
  return out;
}

}  // namespace

Image model_view(const Image& image, int size) { return fit_square(image, size); }

CaptionRun::CaptionRun(const Model& m, const Tokenizer& tokenizer, std::span<const Image> images, const CaptionOptions& o)
    : tokenizer_(tokenizer), korean_(o.korean) {
  const NoGrad off;
  if (o.beam < 1 || o.beam > 64) refuse("a beam of ", o.beam, " is not within 1 to 64");
  if (tokenizer.eos() < 0) refuse("the tokenizer has no end token, so captions would not end; use one that duet trained");
  CHECK(!images.empty() && images.size() <= kMost, "1 to ", kMost, " pictures in a run");
  check_options(o.sample);
  const Pictures p = look(m, images);
  const TextSearch::Options options{{o.beam, o.most, tokenizer.eos(), o.length_power},
                                    o.sample,
                                    tokenizer.special(o.korean ? "<|ko|>" : "<|en|>"),
                                    sayable(tokenizer, m.config.vocab)};
  search_ = std::make_unique<TextSearch>(m, p.rows, make_layout(p.sequences), p.times, options);
}

void CaptionRun::step() {
  const NoGrad off;
  search_->step();
}

std::string CaptionRun::certain(size_t i) const {
  std::string text = tokenizer_.decode(search_->of(i).certain());
  for (size_t at = 0; at < text.size();) {  // tokens may end inside a character
    const size_t n = utf8_sequence(text, at);
    if (n == 0) text.resize(at);
    at += n;
  }
  text = clean_caption(text);
  return text.substr(0, settled_bytes(text, korean_));
}

static Caption worded(const Tokenizer& tokenizer, const Beam& b, bool korean) {
  return {style_in_language(clean_caption(tokenizer.decode(b.tokens)), korean), b.log_prob, b.tokens};
}

Caption CaptionRun::caption(size_t i) const { return worded(tokenizer_, search_->of(i).best(), korean_); }

std::vector<Caption> CaptionRun::captions(size_t i) const {
  std::vector<Caption> out;
  for (const Beam& b : search_->of(i).ranked()) out.push_back(worded(tokenizer_, b, korean_));
  return out;
}

std::vector<std::vector<Caption>> caption_beams(const Model& m, const Tokenizer& tokenizer, std::span<const Image> images,
                                                const CaptionOptions& o) {
  std::vector<std::vector<Caption>> out;
  for (size_t first = 0; first < images.size(); first += CaptionRun::kMost) {
    const auto some = images.subspan(first, std::min(CaptionRun::kMost, images.size() - first));
    CaptionRun run(m, tokenizer, some, o);
    while (!run.done()) run.step();
    for (size_t i = 0; i < some.size(); ++i) out.push_back(run.captions(i));
  }
  return out;
}

std::vector<Caption> caption_pictures(const Model& m, const Tokenizer& tokenizer, std::span<const Image> images,
                                      const CaptionOptions& o) {
  std::vector<Caption> out;
  for (auto& beams : caption_beams(m, tokenizer, images, o)) out.push_back(std::move(beams[0]));
  return out;
}

// log p(text and its end | picture), a sequence each; the pictures are in equally many of them, one after another.
static std::vector<double> log_probs(const Model& m, const Tokenizer& tokenizer, std::span<const Image> images,
                                     const std::vector<std::vector<int>>& texts) {
  const int64_t V = m.config.vocab;
  std::vector<int32_t> ids;
  std::vector<Sequence> said;
  size_t longest = 0;
  for (const auto& t : texts) {
    ids.insert(ids.end(), t.begin(), t.end());
    said.push_back({Segment::text(int(t.size()))});
    longest = std::max(longest, t.size());
  }
  const Pictures p = look(m, images);
  auto caches = m.fusion_caches(int64_t(texts.size()), p.patches + int64_t(longest));
  remember(m, p.rows, make_layout(p.sequences), p.times, caches);
  const std::vector<int32_t> used(texts.size(), p.patches);
  const Var stem = m.text_stem(rows_of(ids), make_layout(said));
  const Tensor logits = host_floats(m.token_logits(m.fuse(stem, make_layout(said, used), {}, &caches, &used)).value());
  const float* row = logits.data();
  std::vector<double> out;
  for (const auto& t : texts) {
    double sum = 0;
    for (size_t i = 0; i < t.size(); ++i, row += V)
      sum += row[i + 1 < t.size() ? t[i + 1] : tokenizer.eos()] - cpu::log_sum(row, nullptr, V);
    out.push_back(sum);
  }
  return out;
}

std::vector<double> caption_log_probs(const Model& m, const Tokenizer& tokenizer, const Image& image,
                                      std::span<const std::string> texts) {
  const NoGrad off;
  std::vector<double> out;
  for (size_t first = 0; first < texts.size(); first += kTexts) {
    std::vector<std::vector<int>> some;
    for (const auto& text : texts.subspan(first, std::min<size_t>(kTexts, texts.size() - first)))
      some.push_back(prompt_ids(tokenizer, text));
    const auto got = log_probs(m, tokenizer, {&image, 1}, some);
    out.insert(out.end(), got.begin(), got.end());
  }
  return out;
}

std::vector<double> caption_log_probs(const Model& m, const Tokenizer& tokenizer, std::span<const Image> images,
                                      const std::string& text) {
  const NoGrad off;
  std::vector<double> out;
  for (size_t first = 0; first < images.size(); first += kPictures) {
    const auto some = images.subspan(first, std::min<size_t>(kPictures, images.size() - first));
    const auto got = log_probs(m, tokenizer, some, std::vector(some.size(), prompt_ids(tokenizer, text)));
    out.insert(out.end(), got.begin(), got.end());
  }
  return out;
}

Tensor embed_pictures(const Model& m, std::span<const Image> images) {
  const NoGrad off;
  return in_pieces(int64_t(images.size()), kPictures, m.config.embed, [&](int64_t i, int64_t n) {
    const Pictures p = look(m, images.subspan(size_t(i), size_t(n)));
    const Layout l = make_layout(p.sequences);
    return m.picture_embedding(m.fuse(p.rows, l, p.times), l.at).value();
  });
}

Tensor embed_texts(const Model& m, const Tokenizer& tokenizer, std::span<const std::string> texts) {
  const NoGrad off;
  return in_pieces(int64_t(texts.size()), kTexts, m.config.embed, [&](int64_t i, int64_t n) {
    std::vector<int32_t> ids;
    std::vector<Sequence> said, prompts;
    for (const auto& text : texts.subspan(size_t(i), size_t(n))) {
      const auto t = prompt_ids(tokenizer, text);
      ids.insert(ids.end(), t.begin(), t.end());
      said.push_back({Segment::text(int(t.size()))}), prompts.push_back({m.prompt(int(t.size()))});
    }
    const Layout l = make_layout(prompts);
    return m.text_embedding(m.fuse(m.text_stem(rows_of(ids), make_layout(said)), l, {}), l.at).value();
  });
}

}  // namespace duet
