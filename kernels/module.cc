#include "kernels/module.h"

#include "kernels/device.h"
#include "kernels/gemm.h"

namespace duet {

Block::Block(int64_t C, int64_t heads, int64_t F, float theta, bool pictures, Init& i)
    : C(C),
      heads(heads),
      theta(theta),
      qkv(C, 3 * C, i),
      proj(C, C, i, 0),
      up(C, 2 * F, i),
      down(F, C, i, 0),
      gain_q(i.fill({C / heads}, 1)),
      gain_k(i.fill({C / heads}, 1)),
      own(i.fill({pictures ? 2 : 1, 6 * C}, 0)) {
  CHECK(C % heads == 0, "width ", C, " divides into ", heads, " heads");
  for (int64_t r = 0; r < own.dim(0); ++r)
    for (int64_t c = 0; c < C; ++c) own.data()[r * 6 * C + 2 * C + c] = own.data()[r * 6 * C + 5 * C + c] = 1;
}

// Where new tokens go in a cache and where its sequences start: the same for all blocks, and kept with the layout.
struct CachePlace {
  int64_t capacity;
  std::vector<int32_t> used;
  Tensor k_at, to;
};
static std::shared_ptr<const CachePlace> place_in_cache(const Layout& l, int64_t capacity,
                                                        const std::vector<int32_t>& used) {
  const auto make = [&] {
    const int32_t* at = l.at.data<int32_t>();
    std::vector<int32_t> k_at, to;
    for (int64_t b = 0; b < l.B(); ++b) {
      k_at.push_back(int32_t(b * capacity));
      CHECK(used[size_t(b)] + at[b + 1] - at[b] <= capacity, "KV cache of ", capacity, " tokens is full");
      for (int32_t n = at[b]; n < at[b + 1]; ++n) to.push_back(int32_t(b * capacity) + used[size_t(b)] + n - at[b]);
    }
    k_at.push_back(int32_t(l.B() * capacity));
    return std::make_shared<CachePlace>(CachePlace{capacity, used, Tensor::ints(k_at), Tensor::ints(to)});
  };
  const auto kept = l.limit.memo<CachePlace>("place in a cache", make);
  return kept->capacity == capacity && kept->used == used ? kept : make();
}

// Attention of new tokens over a cache that first takes in their keys and values. No gradient.
static Var cached_attention(const Var& qkv, const Layout& l, int64_t heads, KvCache& cache,
                            const std::vector<int32_t>& used) {
  const int64_t C = qkv.dim(1) / 3, B = l.B(), cap = cache.capacity;
  CHECK(!qkv.wants_grad(), "a KV cache works under NoGrad");
  CHECK(int64_t(used.size()) == B && cache.k.shape() == Shape({B, cap, C}), "cache ", cache.k.shape(), " for ", B);
  const auto place = place_in_cache(l, cap, used);
  const Kernels& k = kernels(qkv.value());
  k.cache_put(cache.k, cache.v, qkv.value(), place->to);
  Tensor o({l.N(), C}, qkv.value().dtype(), qkv.value().device()),
      lse({l.N(), heads}, DType::f32, qkv.value().device());
  k.attention(o, lse, qkv.value(), cache.k, cache.v, l.at, place->k_at, l.limit);
  return Var(o);
}

Var Block::operator()(const Var& x, const Layout& l, const Var& t, KvCache* cache,
                      const std::vector<int32_t>* used) const {
  const Var mod = mod_table(own, t);
  if (!cache) return block(x, mod, l, {qkv.w, proj.w, up.w, down.w, gain_q, gain_k}, heads, theta);
  const Var h = qk_rope(qkv(norm_mod(x, mod, l.row, 0, C)), gain_q, gain_k, l.pos, heads, theta);
  const Var a = cached_attention(h, l, heads, *cache, *used);
  const Var y = gate_add(x, proj(a), mod, l.row, 2 * C);
  return gate_add(y, down(swiglu(up(norm_mod(y, mod, l.row, 3 * C, 4 * C)))), mod, l.row, 5 * C);
}

DType activation_type(Device d) {
  return d == Device::cuda && precision() == Precision::bf16 ? DType::bf16 : DType::f32;
}

KvCache::KvCache(int64_t B, int64_t capacity, int64_t C, Device d)
    : k({B, capacity, C}, activation_type(d), d), v({B, capacity, C}, activation_type(d), d), capacity(capacity) {}

Flat flatten(const std::function<void(const Visit&)>& params, Device device) {
  Flat f;
  std::vector<Var> vars;
  params([&](const std::string& name, Var& v) {
    f.entries.push_back({name, v.shape(), f.n});
    f.n += (v.value().count() + 15) / 16 * 16;  // each starts on a cache line
    vars.push_back(v);
  });
  Tensor values = Tensor::zeros({f.n});
  for (size_t i = 0; i < vars.size(); ++i)
    copy_values(values.slice(f.entries[i].first, vars[i].shape()), vars[i].value());
  f.values = values.to(device), f.grads = Tensor::zeros({f.n}, DType::f32, device);
  if (device == Device::cuda) f.values.keep_rounded();
  f.changed();
  for (size_t i = 0; i < vars.size(); ++i) {
    auto& e = f.entries[i];
    vars[i].set_value(f.values.slice(e.first, e.shape));
    vars[i].set_grad(f.grads.slice(e.first, e.shape));
  }
  return f;
}

void Flat::changed() const {
  if (const Tensor twin = values.rounded()) kernels(values).convert(twin, values);
}

}  // namespace duet
