#include "infer/decodepass.h"

#include <algorithm>

#include "kernels/rope.h"

namespace duet {

void remember(const Model& m, const Var& rows, const Layout& pictures, const Model::Times& t, std::vector<KvCache>& caches) {
  const int64_t B = pictures.B(), P = pictures.N() / B, copies = caches[0].k.dim(0) / B, capacity = caches[0].capacity;
  auto once = m.fusion_caches(B, P);
  const std::vector<int32_t> none(size_t(B), 0);
  m.fuse(rows, pictures, t, &once, &none);
  std::vector<int32_t> pairs;
  for (int64_t s = 0; s < B * copies; ++s)
    for (int64_t n = 0; n < P; ++n) pairs.push_back(int32_t(s * capacity + n)), pairs.push_back(int32_t(s / copies * P + n));
  const Tensor from = Tensor::ints(pairs);
  for (size_t i = 0; i < caches.size(); ++i)
    kernels(m.device()).copy_rows(caches[i].k, once[i].k, from), kernels(m.device()).copy_rows(caches[i].v, once[i].v, from);
}

DecodePass::Memory::Memory(const Model& m, int64_t n, int64_t S, int64_t capacity)
    : all({2 * n, S, capacity, m.config.width}, activation_type(m.device()), m.device()) {
  const Shape one{S, capacity, m.config.width};
  for (int64_t i = 0; i < n; ++i)
    blocks.emplace_back(all.slice(2 * i * one.count(), one), all.slice((2 * i + 1) * one.count(), one));
}

// Nine rows for the N tokens, then where the S sequences come from.
DecodePass::Numbers::Numbers(Tensor given, const Tensor& at, int64_t N) : all(std::move(given)) {
  const auto row = [&](int64_t i) { return all.slice(i * N, {N}); };
  said = row(0), ids = row(1), from = all.slice(9 * N, {all.count() - 9 * N});
  stem = {at, row(3), row(2), all.slice(7 * N, {N, 2}), row(4)};
  joint = {at, row(5), row(2), stem.pos, row(6)};
}

Tensor DecodePass::numbers(std::span<const int32_t> ids, std::span<const int32_t> from,
                           const std::vector<int32_t>& which) const {
  const int64_t N = int64_t(which.size()), capacity = patches_ + room_;
  Tensor all({9 * N + S_}, DType::i32);
  int32_t* p = all.data<int32_t>();
  const auto row = [&](auto value) { p = std::transform(which.begin(), which.end(), p, value); };
  row([&](int32_t) { return step_; }), row([&](int32_t s) { return std::max(ids[size_t(s)], 0); });
  row([&](int32_t) { return 0; });  // of the modulation
  row([&](int32_t) { return step_ + 1; }), row([&](int32_t s) { return int32_t(s * room_) + step_; });
  row([&](int32_t) { return int32_t(patches_) + step_ + 1; });
  row([&](int32_t s) { return int32_t(s * capacity + patches_) + step_; });
  std::copy(from.begin(), from.end(), std::fill_n(p, 2 * N, step_));
  return all;
}

DecodePass::Chosen::Chosen(int64_t N, int64_t n, Device d)
    : all({3 * N * n}, DType::i32, d), token(all.slice(2 * N * n, {N, n})), log_prob(all.slice(0, {N, n, 2})) {}

DecodePass::DecodePass(const Model& m, const Var& rows, const Layout& pictures, const Model::Times& t, int64_t copies,
                       int64_t most, Choice choice)
    : model_(m),
      choice_(std::move(choice)),
      S_(pictures.B() * copies),
      patches_(pictures.N() / pictures.B()),
      room_(most),
      text_(m, m.config.text_depth, S_, most),
      joint_(m, m.config.fusion_depth, S_, patches_ + most) {
  CHECK(choice_.allowed.count() == m.config.vocab && choice_.best >= 1, "which of ", m.config.vocab, " tokens are allowed");
  remember(m, rows, pictures, t, joint_.blocks);
}

void DecodePass::pass(const Numbers& now, const Chosen& next) {
  const Kernels& k = kernels(model_.device());
  const Tensor count = now.said.slice(0, {1});
  k.cache_follow(text_.all, now.from, count, 0), k.cache_follow(joint_.all, now.from, count, patches_);
  const Var said = model_.text_stem(now.ids, now.stem, &text_.blocks);
  const Tensor logits = model_.token_logits(model_.fuse(said, now.joint, {}, &joint_.blocks)).value();
  if (drawn()) k.draw_tokens(next.token, next.log_prob, logits, choice_.allowed, choice_.sample, now.said);
  else k.best_tokens(next.token, next.log_prob, logits, choice_.allowed);
}

DecodePass::Said DecodePass::operator()(std::span<const int32_t> ids, std::span<const int32_t> from) {
  CHECK(int64_t(ids.size()) == S_ && int64_t(from.size()) == S_ && step_ < room_, "step ", step_, " of ", room_, " of ", S_,
        " texts");
  const int64_t n = drawn() ? 1 : choice_.best;
  // A card takes all sequences each time, for the sake of one recording.
  const bool card = model_.device() == Device::cuda;
  std::vector<int32_t> which, at{0};
  for (int32_t s = 0; s < S_; ++s) {
    if (card || ids[size_t(s)] >= 0) which.push_back(s);
    at.push_back(int32_t(which.size()));
  }
  const int64_t N = int64_t(which.size());
  CHECK(N > 0, "a sequence that goes on");
  const Tensor host = numbers(ids, from, which);
  Tensor got;
  if (!card) {
    const Chosen next(N, n, Device::cpu);
    pass(Numbers(host, Tensor::ints(at), N), next);
    got = next.all;
  } else {
    if (now_.empty()) {
      next_.emplace_back(N, n, Device::cuda);
      Numbers there(Tensor(host.shape(), DType::i32, Device::cuda), Tensor::ints(at), N);
      positions_below(there.stem.pos, room_);
      if (drawn()) there.ids = next_[0].token.reshape({N}), copy_values(there.ids, host.slice(N, {N}));
      now_.push_back(std::move(there));
    }
    copy_values(now_[0].all, host);
    replay_([&] { pass(now_[0], next_[0]); });
    got = next_[0].all.to(Device::cpu);
  }
  ++step_;
  Said said{std::vector<int32_t>(size_t(S_ * n)), std::vector<double>(size_t(S_ * n))};
  for (int64_t i = 0; i < N; ++i) {
    std::copy_n(got.data<int32_t>() + (2 * N + i) * n, n, said.tokens.begin() + which[size_t(i)] * n);
    std::copy_n(got.data<double>() + i * n, n, said.log_probs.begin() + which[size_t(i)] * n);
  }
  return said;
}

}  // namespace duet
