#include "infer/flowbatch.h"

#include <atomic>

#include "fusion/patchify.h"
#include "kernels/device.h"
#include "kernels/parallel.h"

namespace duet {

Drawing::Drawing(const Model& m, const Tokenizer& tokenizer, const DrawRequest& request, const DrawOptions& options,
                 const Given* given)
    : request_(request), options_(options), patch_(m.config.patch), V_(m.patch_values()) {
  static std::atomic<uint64_t> next{1};
  id_ = next++;
  DrawOptions& o = options_;
  if (!o.width) o.width = int(m.config.size);
  if (!o.height) o.height = int(m.config.size);
  CHECK(o.steps >= 1 && o.shift > 0, "steps ", o.steps, ", shift ", o.shift);
  CHECK(!request.prompt.empty(), "a prompt has at least its language mark");
  if (o.width % patch_ || o.height % patch_ || o.width < patch_ || o.height < patch_)
    refuse("size ", o.width, "x", o.height, " must be a multiple of ", patch_);
  if (request_.negative.empty()) request_.negative = {tokenizer.bos()};
  P_ = o.height / patch_ * (o.width / patch_);
  z_ = Tensor({P_, V_}), guess_ = Tensor({P_, V_});
  for (int64_t i = 0; i < P_ * V_; ++i) z_.data()[i] = normal(request_.seed, uint64_t(i));
  if (o.heun) end_ = Tensor({P_, V_}), velocity_ = Tensor({P_, V_});
  if (!given) return;

  const size_t area = size_t(o.width) * size_t(o.height);
  CHECK(given->pixels.size() == area * 4, "a picture of ", o.width, "x", o.height, " to start from");
  CHECK(given->change.empty() || given->change.size() == area, "a mask of ", o.width, "x", o.height);
  CHECK(given->strength > 0 && given->strength <= 1, "strength ", given->strength);
  const Tensor x = patchify(given->pixels.data(), 1, o.height, o.width, patch_);
  step_ = first_ = std::clamp(int(std::lround(o.steps * (1 - given->strength))), 0, o.steps - 1);
  const float t = time();
  for (int64_t i = 0; step_ > 0 && i < P_ * V_; ++i) z_.data()[i] = t * x.data()[i] + (1 - t) * z_.data()[i];
  if (given->change.empty()) return;
  std::vector<float> keep(area * 4);
  for (size_t i = 0; i < keep.size(); ++i) keep[i] = given->change[i / 4] ? 0 : 1;
  const Tensor stays = patchify(keep.data(), 1, o.height, o.width, patch_);
  for (float s : stays.floats()) stays_.push_back(s > 0);
  given_ = x;
}

// After an evaluation: the guided guess, then half or all of a step.
void Drawing::take(const float* with, const float* without) {
  const int64_t n = P_ * V_;
  const float t = step_time(options_, step_), next = step_time(options_, step_ + 1), k = (next - t) / (1 - t);
  const float g = float(options_.guidance);
  const bool guide = guided();
  float *x = guess_.data(), *z = z_.data();
  for (int64_t i = 0; i < n; ++i) x[i] = guide ? without[i] + g * (with[i] - without[i]) : with[i];
  // What stays is known: taking it for the guess moves it along the straight way from its noise to itself.
  for (int64_t i = 0; i < int64_t(stays_.size()); ++i)
    if (stays_[size_t(i)]) x[i] = given_.data()[i];
  if (second_) {
    // v = (x - z) / (1 - t) here and at the end of an Euler step; the mean of both is taken
    for (int64_t i = 0; i < n; ++i) z[i] += (next - t) * 0.5f * (velocity_.data()[i] + (x[i] - end_.data()[i]) / (1 - next));
  } else if (options_.heun && step_ + 1 < options_.steps) {
    for (int64_t i = 0; i < n; ++i) {
      velocity_.data()[i] = (x[i] - z[i]) / (1 - t);
      end_.data()[i] = z[i] + (next - t) * velocity_.data()[i];
    }
    second_ = true;
    return;
  } else {
    for (int64_t i = 0; i < n; ++i) z[i] += k * (x[i] - z[i]);
  }
  second_ = false;
  ++step_;
}

std::vector<float> Drawing::guess() const {
  std::vector<float> out(size_t(P_ * V_));
  unpatchify(out.data(), guess_.data(), 1, options_.height, options_.width, patch_);
  return out;
}
std::vector<float> Drawing::pixels() const {
  std::vector<float> out(size_t(P_ * V_));
  unpatchify(out.data(), z_.data(), 1, options_.height, options_.width, patch_);
  return out;
}

FlowBatch::FlowBatch(const Model& m, const Tokenizer& t) : model_(m), tokenizer_(t) {}

// The words once: stem, then keys and values of every fusion block.
void FlowBatch::read_words(std::span<Drawing* const> fresh) {
  std::vector<int32_t> ids, used;
  std::vector<Sequence> said, prompts;
  std::vector<Drawing::Words*> to;
  int32_t longest = 0;
  for (Drawing* d : fresh)
    for (int w = 0; w < (d->options_.guidance != 1 ? 2 : 1); ++w) {
      const auto& text = w == 0 ? d->request_.prompt : d->request_.negative;
      ids.insert(ids.end(), text.begin(), text.end());
      said.push_back({Segment::text(int(text.size()))}), prompts.push_back({model_.prompt(int(text.size()))});
      to.push_back(&d->words_[w]);
      to.back()->used = int32_t(text.size());
      longest = std::max(longest, to.back()->used);
    }
  auto caches = model_.fusion_caches(int64_t(to.size()), longest);
  const std::vector<int32_t> none(to.size(), 0);
  model_.fuse(model_.text_stem(Tensor::ints(ids), make_layout(said)), make_layout(prompts), {}, &caches, &none);
  const int64_t C = model_.config.width;
  for (size_t s = 0; s < to.size(); ++s)
    for (const KvCache& c : caches) {
      const Shape words{to[s]->used, C};
      const int64_t first = int64_t(s) * c.capacity * C;
      to[s]->k.push_back(c.k.slice(first, words).clone()), to[s]->v.push_back(c.v.slice(first, words).clone());
    }
}

void FlowBatch::arrange(std::span<Drawing* const> some) {
  members_.clear();
  std::vector<Drawing*> fresh;
  for (Drawing* d : some)
    if (d->words_[0].used == 0) fresh.push_back(d);
  if (!fresh.empty()) read_words(fresh);

  std::vector<Sequence> alone, joint;
  std::vector<const Drawing::Words*> words;
  std::vector<int32_t> twins, heads;
  int64_t capacity = 0;
  rows_ = 0, used_.clear();
  for (size_t b = 0; b < some.size(); ++b) {
    const Drawing& d = *some[b];
    const Segment picture = Segment::image(d.height() / int(d.patch_), d.width() / int(d.patch_), int(b) + 1);
    alone.push_back({picture});
    for (int w = 0; w < (d.guided() ? 2 : 1); ++w) {
      joint.push_back({picture});
      words.push_back(&d.words_[w]), used_.push_back(d.words_[w].used);
      capacity = std::max(capacity, used_.back() + d.P_);
      for (int64_t i = 0; i < d.P_; ++i) twins.push_back(int32_t(rows_ + i)), heads.push_back(int32_t(b) + 1);
    }
    rows_ += d.P_;
  }
  pass_.reset(), caches_.clear();  // freed first: the new ones may take its memory
  caches_ = model_.fusion_caches(int64_t(joint.size()), capacity);
  const int64_t C = model_.config.width;
  for (size_t l = 0; l < caches_.size(); ++l)
    for (size_t s = 0; s < words.size(); ++s) {
      copy_values(caches_[l].k.slice(int64_t(s) * capacity * C, {used_[s], C}), words[s]->k[l]);
      copy_values(caches_[l].v.slice(int64_t(s) * capacity * C, {used_[s], C}), words[s]->v[l]);
    }
  pass_ = std::make_unique<FlowPass>(model_, make_layout(alone), make_layout(joint, used_), Tensor::ints(twins),
                                     Tensor::ints(heads), caches_, used_);
  for (const Drawing* d : some) members_.emplace_back(d->id_, d->guided());
}

void FlowBatch::advance(std::span<Drawing* const> some) {
  const NoGrad off;
  if (some.empty()) return;
  if (!std::equal(some.begin(), some.end(), members_.begin(), members_.end(),
                  [](const Drawing* d, const auto& m) { return d->id_ == m.first && d->guided() == m.second; }))
    arrange(some);
  const int64_t V = model_.patch_values();
  const Tensor host({rows_, V});
  std::vector<float> t;
  std::vector<int64_t> with;  // first row of each drawing in the pass
  int64_t stem_row = 0, row = 0;
  for (const Drawing* d : some) {
    CHECK(!d->done(), "a drawing that is done goes no further");
    std::copy_n(d->second_ ? d->end_.data() : d->z_.data(), d->P_ * V, host.data() + stem_row * V);
    t.push_back(d->time());
    with.push_back(row);
    stem_row += d->P_, row += d->next_rows();
  }
  const Tensor x = host_floats((*pass_)(host.to(model_.device()), t));
  parallel_for(int64_t(some.size()), [&](int64_t b) {
    Drawing& d = *some[size_t(b)];
    const float* own = x.data() + with[size_t(b)] * V;
    d.take(own, own + d.P_ * V);
  });
}

}  // namespace duet
