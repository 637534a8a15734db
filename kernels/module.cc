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

Var Block::operator()(const Var& x, const Layout& l, const Var& t, KvCache* cache, const std::vector<int32_t>* used) const {
  const BlockParams p{qkv.w, proj.w, up.w, down.w, gain_q, gain_k};
  const Var mod = mod_table(own, t);
  return cache ? block(x, mod, l, p, heads, theta, *cache, used ? *used : std::vector<int32_t>())
               : block(x, mod, l, p, heads, theta);
}

Flat flatten(const std::function<void(const Visit&)>& params, Device device) {
  Flat f;
  std::vector<Var> vars;
  params([&](const std::string& name, Var& v) {
    f.entries.push_back({name, v.shape(), f.n});
    f.n += (v.value().count() + 15) / 16 * 16;  // each starts on a cache line
    vars.push_back(v);
  });
  Tensor values = Tensor::zeros({f.n});
  for (size_t i = 0; i < vars.size(); ++i) copy_values(values.slice(f.entries[i].first, vars[i].shape()), vars[i].value());
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
