// Attention and transformer blocks, with and without a cache of keys and values.
#include "kernels/gemm.h"
#include "kernels/parallel.h"
#include "kernels/record.h"
#include "kernels/table.h"

namespace duet {

Var attention(const Var& qkv, const Layout& l, int64_t heads) {
  const int64_t N = qkv.shape().rows(), C = qkv.shape().last() / 3, D = C / heads;
  CHECK(l.N() == N && qkv.shape().last() == 3 * heads * D, "attention over ", qkv.shape(), " with ", l.N(), " tokens");
  const Tensor o = like(qkv, {N, C}), lse = f32(qkv, {N, heads});
  on(qkv).attention(o, lse, qkv.value(), {}, {}, l.at, {}, l.limit);
  return record(o, {qkv}, [=, at = l.at, limit = l.limit](Node& n) {
    overwrite(qkv, [&](const Tensor& d) { on(qkv).attention_bwd(d, n.grad, o, lse, qkv.value(), at, limit); });
  });
}

DType activation_type(Device d) { return d == Device::cuda && precision() == Precision::bf16 ? DType::bf16 : DType::f32; }

KvCache::KvCache(int64_t B, int64_t capacity, int64_t C, Device d)
    : k({B, capacity, C}, activation_type(d), d), v({B, capacity, C}, activation_type(d), d), capacity(capacity) {}

static void check_cache(const KvCache& cache, const Layout& l, int64_t C, const std::vector<int32_t>& used) {
  const int64_t B = l.B(), cap = cache.capacity;
  CHECK((l.to || int64_t(used.size()) == B) && cache.k.shape() == Shape({B, cap, C}), "cache ", cache.k.shape(), " for ", B);
  if (l.to) {
    CHECK(l.to.count() == l.N(), "a row of the cache for each of ", l.N(), " tokens, not ", l.to.count());
    for (int64_t b = 0; b < B && on_host(l.to); ++b)
      for (int64_t n = ints(l.at)[b]; n < ints(l.at)[b + 1]; ++n)
        CHECK(ints(l.to)[n] / cap == b, "row ", ints(l.to)[n], " of a cache of ", cap, " tokens for sequence ", b);
    return;
  }
  for (int64_t b = 0; b < B; ++b)
    CHECK(used[size_t(b)] + ints(l.at)[b + 1] - ints(l.at)[b] <= cap, "KV cache of ", cap, " tokens is full");
}

// Where new tokens go in a cache and where its sequences start: the same for all blocks, and kept with the layout.
struct CachePlace {
  int64_t capacity;
  std::vector<int32_t> used;
  Tensor k_at, to;
};
static std::shared_ptr<const CachePlace> place_in_cache(const Layout& l, int64_t capacity, const std::vector<int32_t>& used) {
  const auto make = [&] {
    const int32_t* at = ints(l.at);
    std::vector<int32_t> k_at, to;
    for (int64_t b = 0; b < l.B(); ++b) {
      k_at.push_back(int32_t(b * capacity));
      for (int32_t n = at[b]; n < at[b + 1] && !l.to; ++n) to.push_back(int32_t(b * capacity) + used[size_t(b)] + n - at[b]);
    }
    k_at.push_back(int32_t(l.B() * capacity));
    return std::make_shared<CachePlace>(CachePlace{capacity, used, Tensor::ints(k_at), Tensor::ints(to)});
  };
  const auto kept = l.limit.memo<CachePlace>("place in a cache", make);
  return kept->capacity == capacity && kept->used == used ? kept : make();
}
static const Tensor& rows_for(const Layout& l, const CachePlace& place) { return l.to ? l.to : place.to; }

// Attention of new tokens over a cache that first takes in their keys and values.
static Var cached_attention(const Var& qkv, const Layout& l, int64_t heads, const KvCache& cache,
                            const std::vector<int32_t>& used) {
  const auto place = place_in_cache(l, cache.capacity, used);
  on(qkv).cache_put(cache.k, cache.v, qkv.value(), rows_for(l, *place));
  const Tensor o = like(qkv, {l.N(), qkv.dim(1) / 3}), lse = f32(qkv, {l.N(), heads});
  on(qkv).attention(o, lse, qkv.value(), cache.k, cache.v, l.at, place->k_at, l.limit);
  return Var(o);
}

// What block() is, and how a card runs it: its products fill the card one at a time.
static Var block_step_by_step(const Var& x, const Var& mod, const Layout& l, const BlockParams& p, int64_t heads, float theta,
                              const KvCache* cache = nullptr, const std::vector<int32_t>* used = nullptr) {
  const int64_t C = x.shape().last();
  const Var h = qk_rope(linear(norm_mod(x, mod, l.row, 0, C), p.qkv), p.gain_q, p.gain_k, l.pos, heads, theta);
  const Var a = cache ? cached_attention(h, l, heads, *cache, *used) : attention(h, l, heads);
  const auto [y, normed] = gate_norm(x, linear(a, p.proj), mod, l.row, 2 * C, 3 * C, 4 * C);
  return gate_add(y, linear(swiglu(linear(normed, p.up)), p.down), mod, l.row, 5 * C);
}

static bool recompute = false;
void set_recompute(bool r) { recompute = r; }

static Var block_made_twice(const Var& x, const Var& mod, const Layout& l, const BlockParams& p, int64_t heads, float theta) {
  Tensor y;
  {
    const NoGrad off;
    y = block_step_by_step(x, mod, l, p, heads, theta).value();
  }
  return record(y, {x, mod, p.qkv, p.proj, p.up, p.down, p.gain_q, p.gain_k}, [=](Node& n) {
    const int64_t before = gemm_flops();
    const Var x2(x.value(), x.wants_grad()), mod2(mod.value(), mod.wants_grad()),
        y2 = block_step_by_step(x2, mod2, l, p, heads, theta);
    count_flops(before - gemm_flops());
    record(Tensor::zeros({1}, DType::f32, y.device()), {y2}, [&](Node&) { y2.set_grad(n.grad); }).backward();
    if (x.wants_grad()) pass(x, x2.grad());
    if (mod.wants_grad()) pass(mod, mod2.grad());
  });
}

static cpu::BlockSizes check_block(const Var& x, const Var& mod, const Layout& l, const BlockParams& p, int64_t heads,
                                   float theta) {
  const int64_t N = x.shape().rows(), C = x.shape().last(), F = p.down.dim(1), D = C / heads;
  CHECK(l.N() == N && l.row.count() == N && l.pos.count() == 2 * N, "a layout of ", l.N(), " tokens for ", x.shape());
  CHECK(C == heads * D && mod.dim(1) == 6 * C, "modulation ", mod.shape(), " for ", x.shape());
  CHECK(p.qkv.shape() == Shape({3 * C, C}) && p.proj.shape() == Shape({C, C}) && p.up.shape() == Shape({2 * F, C}) &&
            p.down.shape() == Shape({C, F}) && p.gain_q.shape() == Shape({D}) && p.gain_k.shape() == Shape({D}),
        "weights of a block ", C, " wide with ", F, " hidden");
  return {C, heads, F, theta};
}
static cpu::BlockTokens tokens(const Layout& l) { return {ints(l.at), ints(l.limit), ints(l.row), ints(l.pos), l.B()}; }
static cpu::BlockWeights weights(const BlockParams& p) {
  return {p.qkv.data(), p.proj.data(), p.up.data(), p.down.data(), p.gain_q.data(), p.gain_k.data()};
}

Var block(const Var& x, const Var& mod, const Layout& l, const BlockParams& p, int64_t heads, float theta, KvCache& cache,
          const std::vector<int32_t>& used) {
  const auto sizes = check_block(x, mod, l, p, heads, theta);
  check_cache(cache, l, sizes.C, used);
  CHECK(!records({x, mod, p.qkv}), "a KV cache works under NoGrad");
  // Few long sequences do not fill many threads, but their products do.
  const bool few = l.B() < threads() && l.N() > 32;
  if (few || x.value().device() == Device::cuda) return block_step_by_step(x, mod, l, p, heads, theta, &cache, &used);
  const Tensor y(x.shape());
  const auto place = place_in_cache(l, cache.capacity, used);
  const cpu::BlockCache c{cache.k.data(), cache.v.data(), cache.capacity, ints(rows_for(l, *place))};
  cpu::block(y.data(), {}, x.data(), mod.data(), tokens(l), weights(p), sizes, &c);
  return Var(y);
}

Var block(const Var& x, const Var& mod, const Layout& l, const BlockParams& p, int64_t heads, float theta) {
  const cpu::BlockSizes sizes = check_block(x, mod, l, p, heads, theta);
  const int64_t N = x.shape().rows(), C = sizes.C, F = sizes.F;
  if (x.value().device() == Device::cuda)
    return recompute ? block_made_twice(x, mod, l, p, heads, theta) : block_step_by_step(x, mod, l, p, heads, theta);
  const std::vector<Var> inputs{x, mod, p.qkv, p.proj, p.up, p.down, p.gain_q, p.gain_k};
  Tensor y(x.shape());
  if (!records(inputs)) {
    cpu::block(y.data(), {}, x.data(), mod.data(), tokens(l), weights(p), sizes);
    return Var(y);
  }
  const Tensor o({N, C}), lse({N, heads});
  Tensor qkv, h1, up, h2;
  // AMX multiplies faster than memory brings the results back: there the backward pass makes them again.
  const bool again = precision() == Precision::bf16 && bf16_unit() == Bf16Unit::amx;
  if (!again) qkv = Tensor({N, 3 * C}), h1 = Tensor({N, C}), up = Tensor({N, 2 * F}), h2 = Tensor({N, C});
  const auto saved = [=] {
    const auto p = [](const Tensor& t) { return t ? t.data() : nullptr; };
    return cpu::BlockSaved{o.data(), lse.data(), p(qkv), p(h1), p(up), p(h2)};
  };
  cpu::block(y.data(), saved(), x.data(), mod.data(), tokens(l), weights(p), sizes);
  return record(y, inputs, [=](Node& n) {
    Into dx(x);
    const cpu::BlockGrads grads{p.qkv.d(), p.proj.d(), p.up.d(), p.down.d(), p.gain_q.d(), p.gain_k.d(), mod.d()};
    cpu::block_bwd(dx.t ? dx.t.data() : nullptr, dx.add, grads, n.grad.data(), x.data(), saved(), mod.data(), mod.dim(0),
                   tokens(l), weights(p), sizes);
  });
}

}  // namespace duet
