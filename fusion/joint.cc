#include "fusion/joint.h"

#include "fusion/flow.h"
#include "fusion/patchify.h"
#include "kernels/device.h"

namespace duet {
namespace {

// Row numbers of the fusion pass, by what the heads read.
struct Rows {
  std::vector<int32_t> from;  // gather into the fusion pass: >= 0 text stem row, < 0 picture row
  std::vector<int32_t> noisy, caption, clean,
      words;  // of flow pictures, of caption tokens, of clean pictures, of flow texts
  std::vector<int32_t> clean_at{0}, words_at{0};
};

void append(std::vector<int32_t>& v, int64_t first, int64_t n) {
  for (int64_t i = 0; i < n; ++i) v.push_back(int32_t(first + i));
}

}  // namespace

bool without_words(const JointBatch& batch, const JointConfig& c, int64_t b) {
  return uniform(mix(batch.seed, 3), uint64_t(b)) < c.drop;
}

PackedWords pack_words(const JointBatch& batch) {
  PackedWords w;
  std::vector<int32_t> ids;
  for (int64_t b = 0; b <= batch.B; ++b) {
    const std::vector<int> none{batch.null_token, 0};
    const auto& text = b < batch.B ? batch.text[size_t(b)] : none;
    CHECK(text.size() >= 2, "a caption has a language mark and an end");
    ids.insert(ids.end(), text.begin(), text.end() - 1);
    w.sequences.push_back({Segment::text(int(text.size()) - 1)});
    w.at.push_back(int32_t(ids.size()));
  }
  w.ids = Tensor::ints(ids);
  return w;
}

void make_noisy(const JointBatch& batch, const Tensor& noisy, const Tensor& clean, const std::vector<float>& t) {
  const int64_t rows = noisy.shape().rows(), P = rows / batch.B;
  Tensor level({rows});
  for (int64_t p = 0; p < rows; ++p) level.data()[p] = t[size_t(p / P)];
  kernels(noisy).add_noise(noisy, clean, level, mix(batch.seed, 2));
}

JointLoss joint_loss(const Model& m, const JointBatch& batch, const JointConfig& c) {
  const int64_t B = batch.B, side = batch.size / m.config.patch, P = side * side, V = m.patch_values();
  CHECK(int64_t(batch.text.size()) == B && int64_t(batch.same.size()) == B, "a caption for each of ", B, " pictures");

  // Pictures: B noisy ones, then the first R of them clean (t = 1).
  const int64_t R = std::clamp<int64_t>(std::llround(double(B) * c.read), 1, B);
  std::vector<float> t(size_t(B + R), 1.0f);
  for (int64_t b = 0; b < B; ++b)
    t[size_t(b)] =
        batch.goal ? batch.goal->t.at(size_t(b)) : sample_t(mix(batch.seed, 1), uint64_t(b), float(c.t_mean), float(c.t_std));
  const auto patches_of = [&](const float* pixels) { return patchify(pixels, B, batch.size, batch.size, m.config.patch); };
  const Tensor own = patches_of(batch.pixels), clean = own.to(m.device());
  const Tensor patches({(B + R) * P, V}, DType::f32, m.device()), noisy = patches.slice(0, {B * P, V});
  Tensor under = clean;
  std::vector<float> gain(size_t(B * P), 1.0f);
  if (batch.perturbed && !batch.goal) {
    const Tensor other = patches_of(batch.perturbed);
    for (int64_t b = 0; b < B; ++b)
      if (double(t[size_t(b)]) > c.perturb_to) std::copy_n(own.data() + b * P * V, P * V, other.data() + b * P * V);
    for (int64_t p = 0; p < B * P; ++p)
      if (!std::equal(own.data() + p * V, own.data() + (p + 1) * V, other.data() + p * V))
        gain[size_t(p)] += float(c.perturb_gain);
    under = other.to(m.device());
  }
  make_noisy(batch, noisy, under, t);
  copy_values(patches.slice(B * P * V, {R * P, V}), clean.slice(0, {R * P, V}));

  const PackedWords packed = pack_words(batch);
  const std::vector<int32_t>& text_at = packed.at;
  std::vector<Sequence> pictures, joint;
  std::vector<int32_t> target;
  for (int64_t b = 0; b < R; ++b) target.insert(target.end(), batch.text[size_t(b)].begin() + 1, batch.text[size_t(b)].end());
  for (int64_t b = 0; b < B + R; ++b) pictures.push_back({Segment::image(int(side), int(side), int(b + 1))});

  Rows r;
  std::vector<uint64_t> same;
  std::vector<int32_t> kept;
  for (int64_t b = 0; b < B + R; ++b) {
    const bool flow = b < B;
    const int64_t own = b % B;
    const bool dropped = flow && without_words(batch, c, b);
    const int64_t text = dropped ? B : own, words = text_at[size_t(text) + 1] - text_at[size_t(text)];
    const int64_t at = int64_t(r.from.size());
    const Segment image = Segment::image(int(side), int(side), int(b + 1));
    if (flow) {
      append(r.from, text_at[size_t(text)], words);
      for (int64_t p = 0; p < P; ++p) r.from.push_back(int32_t(-(b * P + p) - 1));
      append(r.noisy, at + words, P);
      if (!dropped && own < R) {
        append(r.words, at, words), r.words_at.push_back(int32_t(r.words.size()));
        kept.push_back(int32_t(own)), same.push_back(batch.same[size_t(own)]);
      }
      joint.push_back({m.prompt(int(words)), image});
    } else {
      for (int64_t p = 0; p < P; ++p) r.from.push_back(int32_t(-(b * P + p) - 1));
      append(r.from, text_at[size_t(text)], words);
      append(r.clean, at, P), r.clean_at.push_back(int32_t(r.clean.size()));
      append(r.caption, at + P, words);
      joint.push_back({image, Segment::text(int(words))});
    }
  }

  const Model::Times times = m.times(t);
  const Var words = m.text_stem(packed.ids, make_layout(packed.sequences));
  const Layout alone = make_layout(pictures);
  const Tensor place = alone.pos.slice(0, {B * P, 2});
  const Var seen = m.vision_stem(patches, alone, times);
  const Var h = m.fuse(gather(words, seen, Tensor::ints(r.from)), make_layout(joint), times);

  JointLoss loss;
  std::vector<std::pair<Var, float>> parts;
  {
    std::vector<int32_t> row;
    for (int64_t b = 0; b < B; ++b) row.insert(row.end(), size_t(P), int32_t(b + 1));
    Tensor weight({B * P});
    for (int64_t p = 0; p < B * P; ++p) weight.data()[p] = gain[size_t(p)] * flow_weight(t[size_t(p / P)]) / float(B * P * V);
    const Var x =
        m.flow_head(gather(h, {}, Tensor::ints(r.noisy)), patches.slice(0, {B * P, V}), place, Tensor::ints(row), times);
    parts.emplace_back(square_error(x, batch.goal ? batch.goal->target : clean, weight), float(c.flow));
    loss.flow.t = parts.back().first.value();
  }
  if (c.caption > 0) {
    Tensor weight({int64_t(target.size())});
    for (auto& w : weight.floats()) w = 1 / float(target.size());
    parts.emplace_back(cross_entropy(m.token_logits(gather(h, {}, Tensor::ints(r.caption))), Tensor::ints(target), weight),
                       float(c.caption));
    loss.caption.t = parts.back().first.value();
  }
  if (c.contrast > 0 && !kept.empty()) {
    const Var u = m.picture_embedding(gather(h, {}, Tensor::ints(r.clean)), Tensor::ints(r.clean_at));
    const Var v = m.text_embedding(gather(h, {}, Tensor::ints(r.words)), Tensor::ints(r.words_at));
    parts.emplace_back(sigmoid_contrastive(gather(u, {}, Tensor::ints(kept)), v, m.log_scale, m.bias, same), float(c.contrast));
    loss.contrast.t = parts.back().first.value();
  }
  loss.total = weighted_sum(parts);
  return loss;
}

}  // namespace duet
