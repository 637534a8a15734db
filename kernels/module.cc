#include "kernels/module.h"

#include "kernels/table.h"

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

Var Block::operator()(const Var& x, const Layout& l, const Var& t, KvCache* cache) const {
  const Var mod = mod_table(own, t);
  Var h = qk_rope(qkv(norm_mod(x, mod, l.row, 0, C)), gain_q, gain_k, l.pos, heads, theta);
  Var a;
  if (cache) {
    const int64_t B = x.shape().rows(), cap = cache->capacity, at = cache->used;
    CHECK(at < cap, "KV cache of ", cap, " tokens is full");
    Tensor o({B, C}), lse({B, heads});
    std::vector<int32_t> q_at, k_at, limit(size_t(B), int32_t(at + 1));
    for (int64_t b = 0; b <= B; ++b) q_at.push_back(int32_t(b)), k_at.push_back(int32_t(b * cap));
    for (int64_t b = 0; b < B; ++b) {
      std::copy_n(h.data() + b * 3 * C + C, C, cache->k.data() + (b * cap + at) * C);
      std::copy_n(h.data() + b * 3 * C + 2 * C, C, cache->v.data() + (b * cap + at) * C);
    }
    cpu::attention(o.data(), lse.data(), h.data(), 3 * C, cache->k.data(), cache->v.data(), C,
                   {q_at.data(), k_at.data(), limit.data(), B}, heads, C / heads);
    a = Var(o);
  } else {
    a = attention(h, l, heads);
  }
  Var y = gate_add(x, proj(a), mod, l.row, 2 * C);
  return gate_add(y, down(swiglu(up(norm_mod(y, mod, l.row, 3 * C, 4 * C)))), mod, l.row, 5 * C);
}

Flat flatten(const std::function<void(const Visit&)>& params) {
  Flat f;
  std::vector<Var> vars;
  params([&](const std::string& name, Var& v) {
    f.entries.push_back({name, v.shape(), f.n});
    f.n += (v.value().count() + 15) / 16 * 16;  // each starts on a cache line
    vars.push_back(v);
  });
  f.values = Tensor::zeros({f.n}), f.grads = Tensor::zeros({f.n});
  for (size_t i = 0; i < vars.size(); ++i) {
    auto& e = f.entries[i];
    std::copy_n(vars[i].data(), e.shape.count(), f.values.data() + e.first);
    vars[i].set_value(f.values.slice(e.first, e.shape));
    vars[i].set_grad(f.grads.slice(e.first, e.shape));
  }
  return f;
}

}  // namespace duet
