#include "fusion/model.h"

#include "fusion/flow.h"

namespace duet {

static constexpr int64_t kTimeFeatures = 128, kPlaceFeatures = 64, kMasks = 4, kChannels = 4;

// Where a patch lies in its picture, for a stem that otherwise sees relative positions alone: with u, v in (0,1) down
// and across, cos and sin of pi f u and pi f v for f = 1 .. 16. (N, 64)
static Tensor place_features(const Layout& l) {
  constexpr int64_t F = kPlaceFeatures / 4;
  Tensor out({l.N(), kPlaceFeatures});
  const int32_t *at = l.at.data<int32_t>(), *pos = l.pos.data<int32_t>();
  for (int64_t b = 0; b < l.B(); ++b) {
    int32_t side[2] = {1, 1};  // rows, columns
    for (int32_t n = at[b]; n < at[b + 1]; ++n)
      for (int axis = 0; axis < 2; ++axis) side[axis] = std::max(side[axis], pos[2 * n + axis] + 1);
    for (int axis = 0; axis < 2; ++axis) {
      std::vector<float> table(size_t(side[axis] * 2 * F));
      for (int32_t i = 0; i < side[axis]; ++i)
        for (int64_t f = 0; f < F; ++f) {
          const double a = 3.14159265358979 * double(f + 1) * (double(i) + 0.5) / double(side[axis]);
          table[size_t(i * 2 * F + f)] = float(std::cos(a)), table[size_t(i * 2 * F + F + f)] = float(std::sin(a));
        }
      for (int32_t n = at[b]; n < at[b + 1]; ++n)
        std::copy_n(table.data() + pos[2 * n + axis] * 2 * F, 2 * F, out.data() + n * kPlaceFeatures + axis * 2 * F);
    }
  }
  return out;
}

static Tensor zeros_i32(int64_t n) { return Tensor::zeros({n}, DType::i32); }

Model::Model(const ModelConfig& c, uint64_t seed) : config(c) {
  if (c.head < 1 || c.width % c.head != 0) refuse("model.width ", c.width, " must be a multiple of model.head ", c.head);
  if (c.patch < 1 || c.size % c.patch != 0) refuse("model.size ", c.size, " must be a multiple of model.patch ", c.patch);
  Init i{seed};
  const int64_t C = c.width, P = patch_values();
  table_ = i.normal({c.vocab, C}, 0.02f);
  patch_in_ = Linear(P, C, i, 1, true), place_in_ = Linear(kPlaceFeatures, C, i, 0);
  time1_ = Linear(kTimeFeatures, C, i, 1, true), time2_ = Linear(C, C, i, 1, true);
  time_vision_ = Linear(C, 6 * C, i, 0), time_fusion_ = Linear(C, 6 * C, i, 0), time_head_ = Linear(C, 2 * C, i, 0);
  flow_out_ = Linear(C, P, i, 0, true);
  embed_picture_ = Linear(C, c.embed, i), embed_text_ = Linear(C, c.embed, i);
  own_flow_ = i.fill({2, 2 * C}, 0), own_text_ = i.fill({1, 2 * C}, 0), own_pool_ = i.fill({1, 4 * C}, 0);
  log_scale = i.fill({1}, std::log(10.0f)), bias = i.fill({1}, -10);  // as arXiv 2303.15343 starts them
  time_skip_ = Linear(C, P, i, 0), own_skip_ = i.fill({2, P}, 0);
  const int64_t area = c.patch * c.patch;
  Init masks{mix(seed, 1)};  // colours start at 0, so that the product does
  outer_out_ = Linear(C, kMasks * (area + kChannels), masks);
  for (int64_t k = 0; k < kMasks; ++k)
    std::fill_n(outer_out_.w.data() + (k * (area + kChannels) + area) * C, kChannels * C, 0.0f);
  Init refiner{mix(seed, 2)};
  if (c.refine > 0) refine_ = Refiner(C, c.refine, c.patch, refiner);
  const int64_t heads = C / c.head;
  for (int64_t d = 0; d < c.vision_depth; ++d) vision_.emplace_back(C, heads, c.hidden, c.theta, true, i);
  for (int64_t d = 0; d < c.text_depth; ++d) text_.emplace_back(C, heads, c.hidden, c.theta, false, i);
  for (int64_t d = 0; d < c.fusion_depth; ++d) fusion_.emplace_back(C, heads, c.hidden, c.theta, true, i);
}

Model::Times Model::times(const std::vector<float>& t) const {
  Tensor f({int64_t(t.size()), kTimeFeatures});
  for (size_t i = 0; i < t.size(); ++i) time_features(f.data() + int64_t(i) * kTimeFeatures, t[i], kTimeFeatures);
  const Var e = silu(time2_(silu(time1_(Var(f)))));
  return {time_vision_(e), time_fusion_(e), time_head_(e), time_skip_(e), refine_ ? refine_.time(e) : Var()};
}

Var Model::text_stem(const Tensor& ids, const Layout& l, std::vector<KvCache>* caches) const {
  Var x = gather(table_, {}, ids);
  // The tied table is small for a good output head; rows enter the stem at unit scale.
  x = norm_mod(x, Var(Tensor::zeros({1, 2 * config.width})), zeros_i32(ids.count()), 0, config.width);
  x = activation(x);
  for (size_t i = 0; i < text_.size(); ++i) x = text_[i](x, l, {}, caches ? &(*caches)[i] : nullptr);
  return x;
}

Var Model::vision_stem(const Tensor& patches, const Layout& l, const Times& t) const {
  Var x = add(patch_in_(Var(patches)), place_in_(Var(place_features(l))));
  x = activation(x);
  for (auto& b : vision_) x = b(x, l, t.vision);
  return x;
}

Var Model::fuse(const Var& in, const Layout& l, const Times& t, std::vector<KvCache>* caches,
                const std::vector<int32_t>* used) const {
  Var x = in;
  const Var time = t.fusion ? t.fusion : Var(Tensor::zeros({1, 6 * config.width}, DType::f32, device()));
  for (size_t i = 0; i < fusion_.size(); ++i) x = fusion_[i](x, l, time, caches ? &(*caches)[i] : nullptr, used);
  return x;
}

Device Model::device() const { return table_.value().device(); }

std::vector<KvCache> Model::fusion_caches(int64_t B, int64_t capacity) const {
  std::vector<KvCache> c;
  for (size_t i = 0; i < fusion_.size(); ++i) c.emplace_back(B, capacity, config.width, device());
  return c;
}

Var Model::flow_head(const Var& h, const Tensor& noisy, const Tensor& place, const Tensor& row, const Times& t) const {
  const Var n = norm_mod(h, mod_table(own_flow_, t.head), row, 0, config.width);
  const Var x = add(flow_out_(n), outer_sum(outer_out_(n), kMasks, config.patch * config.patch, kChannels));
  const Var y = gate_add(x, activation(Var(noisy)), mod_table(own_skip_, t.skip), row, 0);
  return refine_ ? refine_(y, noisy, place, row, t.refine) : y;
}

Var Model::token_logits(const Var& h) const {
  return linear(norm_mod(h, own_text_, zeros_i32(h.dim(0)), 0, config.width), table_);
}

Var Model::pooled(const Var& h, const Tensor& at, const Linear& to, int64_t column) const {
  const Var n = norm_mod(h, own_pool_, zeros_i32(h.dim(0)), column, column + config.width);
  return unit_rows(to(segment_mean(n, at)));
}
Var Model::picture_embedding(const Var& h, const Tensor& at) const { return pooled(h, at, embed_picture_, 0); }
Var Model::text_embedding(const Var& h, const Tensor& at) const { return pooled(h, at, embed_text_, 2 * config.width); }

void Model::params(const Visit& v) {
  v("table", table_);
  patch_in_.params("vision.patch_in", v), place_in_.params("vision.place_in", v);
  time1_.params("time.in", v), time2_.params("time.out", v);
  time_vision_.params("time.vision", v), time_fusion_.params("time.fusion", v), time_head_.params("time.head", v);
  for (size_t i = 0; i < vision_.size(); ++i) vision_[i].params("vision." + std::to_string(i), v);
  for (size_t i = 0; i < text_.size(); ++i) text_[i].params("text." + std::to_string(i), v);
  for (size_t i = 0; i < fusion_.size(); ++i) fusion_[i].params("fusion." + std::to_string(i), v);
  flow_out_.params("head.flow", v), v("head.flow.own", own_flow_), v("head.text.own", own_text_);
  embed_picture_.params("head.picture", v), embed_text_.params("head.text", v), v("head.pool.own", own_pool_);
  v("head.log_scale", log_scale), v("head.bias", bias);
  time_skip_.params("time.skip", v), v("head.skip.own", own_skip_);
  outer_out_.params("head.masks", v);
  refine_.params(v);
}

int64_t count_params(Model& m) {
  int64_t n = 0;
  m.params([&](const std::string&, Var& v) { n += v.value().count(); });
  return n;
}

}  // namespace duet
