#include "infer/reader.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "fusion/patchify.h"
#include "infer/sampler.h"
#include "kernels/device.h"
#include "kernels/parallel.h"
#include "text/unicode.h"
#include "vision/patch.h"
#include "vision/transform.h"

namespace duet {
namespace {

constexpr int64_t kPictures = CaptionRun::kMost, kTexts = 64;  // in one pass

bool opaque(const Image& image) {
  for (size_t i = 3; i < image.rgba.size(); i += 4)
    if (image.rgba[i] != 255) return false;
  return true;
}

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

// Pictures in the fusion blocks' caches, each in `copies` sequences with room for `room` tokens of text.
std::vector<KvCache> remember(const Model& m, std::span<const Image> images, int64_t copies, int64_t room) {
  const int64_t B = int64_t(images.size());
  const Pictures p = look(m, images);
  auto once = m.fusion_caches(B, p.patches);
  const std::vector<int32_t> none(size_t(B), 0);
  m.fuse(p.rows, make_layout(p.sequences), p.times, &once, &none);
  auto caches = m.fusion_caches(B * copies, p.patches + room);
  std::vector<int32_t> pairs;
  for (int32_t i = 0; i < int32_t(B * copies); ++i)
    for (int32_t n = 0; n < p.patches; ++n)
      pairs.push_back(i * int32_t(caches[0].capacity) + n), pairs.push_back(i / int32_t(copies) * p.patches + n);
  const Tensor from = Tensor::ints(pairs);
  for (size_t i = 0; i < caches.size(); ++i)
    kernels(m.device()).copy_rows(caches[i].k, once[i].k, from), kernels(m.device()).copy_rows(caches[i].v, once[i].v, from);
  return caches;
}

Tensor rows_of(const std::vector<int32_t>& v) { return Tensor::ints(v); }

// Logits for the token after each text. The stem is causal and small, so it reads each text anew; the fusion blocks take
// only the last token and find the rest in their caches. A sequence without a text is passed over.
Tensor next_logits(const Model& m, const std::vector<std::vector<int>>& texts, int32_t patches, std::vector<KvCache>& caches) {
  std::vector<int32_t> ids, last, used;
  std::vector<Sequence> whole, tail;
  for (const auto& t : texts) {
    used.push_back(patches + std::max(int32_t(t.size()) - 1, 0));
    tail.emplace_back();
    if (t.empty()) continue;
    ids.insert(ids.end(), t.begin(), t.end());
    last.push_back(int32_t(ids.size()) - 1);
    whole.push_back({Segment::text(int(t.size()))});
    tail.back() = {Segment::text(1, int(t.size()) - 1)};
  }
  const Var said = gather(m.text_stem(rows_of(ids), make_layout(whole)), {}, rows_of(last));
  return host_floats(m.token_logits(m.fuse(said, make_layout(tail, used), {}, &caches, &used)).value());
}

// After a step the beams of a picture (sequences first ..) continue others: the text's keys and values move with them.
void reorder(std::vector<KvCache>& caches, int64_t first, const std::vector<int>& from, int64_t at, int64_t n, int64_t C) {
  std::vector<int32_t> out, in;  // rows to a spare, and from there
  for (size_t j = 0; j < from.size(); ++j)
    for (int64_t i = 0; i < n; ++i) {
      const int32_t row = int32_t(j) * int32_t(n) + int32_t(i);
      out.push_back(row), out.push_back(int32_t((first + from[j]) * caches[0].capacity + at + i));
      in.push_back(int32_t((first + int64_t(j)) * caches[0].capacity + at + i)), in.push_back(row);
    }
  if (out.empty()) return;
  const Tensor there = Tensor::ints(out), back = Tensor::ints(in);
  for (auto& c : caches)
    for (Tensor* t : {&c.k, &c.v}) {
      const Tensor keep({int64_t(from.size()) * n, C}, t->dtype(), t->device());
      kernels(keep).copy_rows(keep, *t, there), kernels(keep).copy_rows(*t, keep, back);
    }
}

// Specials other than the end, and ids that the tokenizer does not have, are never said.
void forbid(const Tokenizer& t, float* logits, int64_t V) {
  for (int64_t v = 0; v < V; ++v)
    if (v >= t.size() || (t.is_special(int(v)) && v != t.eos())) logits[v] = -std::numeric_limits<float>::infinity();
}

// Log-probability of a token, without temperature or cuts
double log_prob_of(const float* logits, int64_t V, int token) {
  const double most = *std::max_element(logits, logits + V);
  double z = 0;
  for (int64_t v = 0; v < V; ++v) z += std::exp(logits[v] - most);
  return logits[token] - most - std::log(z);
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

Image model_view(const Image& image, int size) {
  if (image.width == image.height || !opaque(image)) return fit_square(image, size);
  const int side = std::min(image.width, image.height);
  return resize(crop(image, (image.width - side) / 2, (image.height - side) / 2, side, side), size, size);
}

CaptionRun::CaptionRun(const Model& m, const Tokenizer& tokenizer, std::span<const Image> images, const CaptionOptions& o)
    : model_(m), tokenizer_(tokenizer), options_(o) {
  const NoGrad off;
  if (o.beam < 1 || o.beam > 64) refuse("a beam of ", o.beam, " is not within 1 to 64");
  if (drawn()) options_.beam = 1;
  if (tokenizer.eos() < 0) refuse("the tokenizer has no end token, so captions would not end; use one that duet trained");
  CHECK(!images.empty() && images.size() <= kMost, "1 to ", kMost, " pictures in a run");
  caches_ = remember(m, images, options_.beam, o.most + 1);
  searches_.assign(images.size(), Beams({options_.beam, o.most, tokenizer.eos(), o.length_power}));
}

bool CaptionRun::done() const {
  return std::all_of(searches_.begin(), searches_.end(), [](const Beams& b) { return b.live().empty(); });
}

void CaptionRun::step() {
  const NoGrad off;
  if (done()) return;
  const int64_t B = int64_t(searches_.size()), W = options_.beam, V = model_.config.vocab, C = model_.config.width;
  const int32_t patches = int32_t(caches_[0].capacity) - options_.most - 1;
  const int mark = tokenizer_.special(options_.korean ? "<|ko|>" : "<|en|>");
  std::vector<std::vector<int>> texts(size_t(B * W));
  std::vector<int64_t> row{0};  // of the logits, where each picture's begin
  for (int64_t b = 0; b < B; ++b) {
    const auto& live = searches_[size_t(b)].live();
    for (size_t j = 0; j < live.size(); ++j) {
      auto& t = texts[size_t(b * W) + j];
      t.push_back(mark), t.insert(t.end(), live[j].tokens.begin(), live[j].tokens.end());
    }
    row.push_back(row.back() + int64_t(live.size()));
  }
  const Tensor logits = next_logits(model_, texts, patches, caches_);
  parallel_for(B, [&](int64_t b) {
    if (searches_[size_t(b)].live().empty()) return;
    float* own = logits.data() + row[size_t(b)] * V;
    for (int64_t r = row[size_t(b)]; r < row[size_t(b) + 1]; ++r) forbid(tokenizer_, logits.data() + r * V, V);
    if (drawn()) {  // by the seed and the place in the text alone, not the place among others
      const int token = sample_token({own, size_t(V)}, options_.sample, uint64_t(known_ - 1));
      return searches_[size_t(b)].take(token, log_prob_of(own, V, token));
    }
    const auto from = searches_[size_t(b)].advance(own, V);
    reorder(caches_, b * W, from, patches, known_, C);
  });
  ++known_;
}

std::string CaptionRun::certain(size_t i) const {
  std::string text = tokenizer_.decode(searches_[i].certain());
  for (size_t at = 0; at < text.size();) {  // tokens may end inside a character
    const size_t n = utf8_sequence(text, at);
    if (n == 0) text.resize(at);
    at += n;
  }
  return clean_caption(text);
}

static Caption worded(const Tokenizer& tokenizer, const Beam& b) {
  return {clean_caption(tokenizer.decode(b.tokens)), b.log_prob, b.tokens};
}

Caption CaptionRun::caption(size_t i) const { return worded(tokenizer_, searches_[i].best()); }

std::vector<Caption> CaptionRun::captions(size_t i) const {
  std::vector<Caption> out;
  for (const Beam& b : searches_[i].ranked()) out.push_back(worded(tokenizer_, b));
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

std::vector<double> caption_log_probs(const Model& m, const Tokenizer& tokenizer, const Image& image,
                                      std::span<const std::string> texts) {
  const NoGrad off;
  const int64_t V = m.config.vocab;
  std::vector<double> out;
  for (size_t first = 0; first < texts.size(); first += kTexts) {
    const auto some = texts.subspan(first, std::min<size_t>(kTexts, texts.size() - first));
    std::vector<int32_t> ids;
    std::vector<Sequence> said;
    std::vector<std::vector<int>> tokens;
    size_t longest = 0;
    for (const auto& text : some) {
      tokens.push_back(prompt_ids(tokenizer, text));
      ids.insert(ids.end(), tokens.back().begin(), tokens.back().end());
      said.push_back({Segment::text(int(tokens.back().size()))});
      longest = std::max(longest, tokens.back().size());
    }
    auto caches = remember(m, {&image, 1}, int64_t(some.size()), int64_t(longest));
    const std::vector<int32_t> used(some.size(), int32_t(caches[0].capacity - int64_t(longest)));
    const Var stem = m.text_stem(rows_of(ids), make_layout(said));
    const Tensor logits = host_floats(m.token_logits(m.fuse(stem, make_layout(said, used), {}, &caches, &used)).value());
    const float* row = logits.data();
    for (const auto& t : tokens) {
      double sum = 0;
      for (size_t i = 0; i < t.size(); ++i, row += V) sum += log_prob_of(row, V, i + 1 < t.size() ? t[i + 1] : tokenizer.eos());
      out.push_back(sum);
    }
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
