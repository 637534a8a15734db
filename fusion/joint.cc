#include "fusion/joint.h"

#include "fusion/flow.h"
#include "fusion/patchify.h"
#include "kernels/device.h"
#include "kernels/patchlines.h"

namespace duet {
namespace {

void append(std::vector<int32_t>& v, int64_t first, int64_t n) {
  for (int64_t i = 0; i < n; ++i) v.push_back(int32_t(first + i));
}

// The pictures as patches: B noisy ones, then the first R of them clean (t = 1).
struct Pictures {
  std::vector<float> t;     // (B + R) noise levels
  Tensor patches, clean;    // ((B + R) P, V) all; (B P, V) the batch's own, on the model's device
  std::vector<float> gain;  // (B P) how much a noisy patch weighs
};

Pictures make_pictures(const Model& m, const JointBatch& batch, const JointConfig& c, int64_t R, int64_t P) {
  const int64_t B = batch.B, V = m.patch_values();
  Pictures p{std::vector<float>(size_t(B + R), 1.0f), {}, {}, std::vector<float>(size_t(B * P), 1.0f)};
  for (int64_t b = 0; b < B; ++b)
    p.t[size_t(b)] =
        batch.goal ? batch.goal->t.at(size_t(b)) : sample_t(mix(batch.seed, 1), uint64_t(b), float(c.t_mean), float(c.t_std));
  const int64_t side = batch.size, patch = m.config.patch, each = P * V;
  const auto patches_of = [&](const float* pixels) { return patchify(pixels, B, side, side, patch, m.device()); };
  p.clean = patches_of(batch.pixels);
  Tensor under = p.clean;
  if (batch.perturbed && !batch.goal) {
    std::vector<float> other(batch.perturbed, batch.perturbed + B * each);
    for (int64_t b = 0; b < B; ++b)
      if (double(p.t[size_t(b)]) > c.perturb_to) std::copy_n(batch.pixels + b * each, each, other.data() + b * each);
    for_patch_lines(B, side, side, patch, [&](int64_t at, int64_t picture) {
      if (!std::equal(&other[size_t(picture)], &other[size_t(picture)] + patch * 4, batch.pixels + picture))
        p.gain[size_t(at / V)] = 1 + float(c.perturb_gain);
    });
    under = patches_of(other.data());
  }
  p.patches = Tensor({(B + R) * P, V}, DType::f32, m.device());
  make_noisy(batch, p.patches.slice(0, {B * P, V}), under, p.t);
  copy_values(p.patches.slice(B * P * V, {R * P, V}), p.clean.slice(0, {R * P, V}));
  return p;
}

// The fusion pass: [text][noisy picture] for all, then [clean picture][text] for the first R. Row numbers are of the pass.
struct Pass {
  std::vector<Sequence> joint;
  std::vector<int32_t> from;                // gather into the pass: >= 0 text stem row, < 0 picture row
  std::vector<int32_t> noisy;               // of the pictures to guess
  std::vector<int32_t> caption, target;     // of caption tokens, and the tokens that follow them
  std::vector<int32_t> clean, clean_at{0};  // of the clean pictures, and where each begins
  std::vector<int32_t> words, words_at{0};  // of the texts whose pictures are read too and that were not dropped
  std::vector<int32_t> kept;                // which pictures of the batch those are
  std::vector<uint64_t> same;               // and their JointBatch::same
};

Pass pack_pass(const Model& m, const JointBatch& batch, const JointConfig& c, const PackedWords& packed, int64_t R,
               int64_t side) {
  const int64_t B = batch.B, P = side * side;
  Pass r;
  for (int64_t b = 0; b < R; ++b)
    r.target.insert(r.target.end(), batch.text[size_t(b)].begin() + 1, batch.text[size_t(b)].end());
  for (int64_t b = 0; b < B + R; ++b) {
    const bool flow = b < B;
    const int64_t own = b % B;
    const bool dropped = flow && without_words(batch, c, b);
    const size_t text = size_t(dropped ? B : own);
    const int64_t words = packed.at[text + 1] - packed.at[text], at = int64_t(r.from.size());
    const Segment image = Segment::image(int(side), int(side), int(b + 1));
    const auto add_picture = [&] {
      for (int64_t p = 0; p < P; ++p) r.from.push_back(int32_t(-(b * P + p) - 1));
    };
    if (flow) {
      append(r.from, packed.at[text], words), add_picture();
      append(r.noisy, at + words, P);
      if (!dropped && own < R) {
        append(r.words, at, words), r.words_at.push_back(int32_t(r.words.size()));
        r.kept.push_back(int32_t(own)), r.same.push_back(batch.same[size_t(own)]);
      }
      r.joint.push_back({m.prompt(int(words)), image});
    } else {
      add_picture(), append(r.from, packed.at[text], words);
      append(r.clean, at, P), r.clean_at.push_back(int32_t(r.clean.size()));
      append(r.caption, at + P, words);
      r.joint.push_back({image, Segment::text(int(words))});
    }
  }
  return r;
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
  const int64_t R = std::clamp<int64_t>(std::llround(double(B) * c.read), 1, B);
  const Pictures p = make_pictures(m, batch, c, R, P);
  const PackedWords packed = pack_words(batch);
  const Pass r = pack_pass(m, batch, c, packed, R, side);
  std::vector<Sequence> pictures;
  for (int64_t b = 0; b < B + R; ++b) pictures.push_back({Segment::image(int(side), int(side), int(b + 1))});

  const Model::Times times = m.times(p.t);
  const Var words = m.text_stem(packed.ids, make_layout(packed.sequences));
  const Layout alone = make_layout(pictures);
  const Var seen = m.vision_stem(p.patches, alone, times);
  const Var h = m.fuse(gather(words, seen, Tensor::ints(r.from)), make_layout(r.joint), times);

  JointLoss loss;
  std::vector<std::pair<Var, float>> parts;
  const auto add_part = [&](const Var& value, double weight, Later& shown) {
    parts.emplace_back(value, float(weight));
    shown.t = value.value();
  };
  {
    std::vector<int32_t> row;
    for (int64_t b = 0; b < B; ++b) row.insert(row.end(), size_t(P), int32_t(b + 1));
    Tensor weight({B * P});
    for (int64_t n = 0; n < B * P; ++n)
      weight.data()[n] = p.gain[size_t(n)] * flow_weight(p.t[size_t(n / P)]) / float(B * P * V);
    const Var x = m.flow_head(gather(h, {}, Tensor::ints(r.noisy)), p.patches.slice(0, {B * P, V}),
                              alone.pos.slice(0, {B * P, 2}), Tensor::ints(row), times);
    add_part(square_error(x, batch.goal ? batch.goal->target : p.clean, weight), c.flow, loss.flow);
  }
  if (c.caption > 0) {
    Tensor weight({int64_t(r.target.size())});
    for (auto& w : weight.floats()) w = 1 / float(r.target.size());
    const Var logits = m.token_logits(gather(h, {}, Tensor::ints(r.caption)));
    add_part(cross_entropy(logits, Tensor::ints(r.target), weight), c.caption, loss.caption);
  }
  if (c.contrast > 0 && !r.kept.empty()) {
    const Var u = m.picture_embedding(gather(h, {}, Tensor::ints(r.clean)), Tensor::ints(r.clean_at));
    const Var v = m.text_embedding(gather(h, {}, Tensor::ints(r.words)), Tensor::ints(r.words_at));
    add_part(sigmoid_contrastive(gather(u, {}, Tensor::ints(r.kept)), v, m.log_scale, m.bias, r.same), c.contrast,
             loss.contrast);
  }
  loss.total = weighted_sum(parts);
  return loss;
}

}  // namespace duet
