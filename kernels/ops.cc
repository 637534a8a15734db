#include "kernels/ops.h"

#include <unordered_map>

#include "kernels/device.h"
#include "kernels/gemm.h"
#include "kernels/parallel.h"
#include "kernels/table.h"

namespace duet {
namespace {

using Node = Var::Node;

const Kernels& on(const Var& v) { return kernels(v.value()); }

// An input where the op runs: constants may come from the host to an op on a card.
Var beside(const Var& v, const Var& other) {
  const Device d = other.value().device();
  if (!v || v.value().device() == d) return v;
  CHECK(!v.wants_grad(), "parameters lie on one device: ", v.shape(), " is not beside ", other.shape());
  return Var(v.value().to(d));
}

Tensor like(const Var& x, Shape s) { return Tensor(std::move(s), x.value().dtype(), x.value().device()); }
Tensor like(const Var& x) { return like(x, x.shape()); }
Tensor f32(const Var& x, Shape s) { return Tensor(std::move(s), DType::f32, x.value().device()); }
Tensor grad_of(const Var& v) { return v.wants_grad() ? v.grad() : Tensor(); }

// Where a gradient goes: into what is there already, or into a new buffer that need not be zeroed first.
struct Into {
  Tensor t;  // empty: not wanted
  bool add = false;
  explicit Into(const Var& v) {
    if (!v.wants_grad()) return;
    add = v.has_grad();
    if (!add) v.set_grad(like(v));
    t = v.grad();
  }
};

// For kernels that only overwrite: runs f on the gradient, or on a spare that is then added to it.
template <class F>
void overwrite(const Var& v, F f) {
  const Into d(v);
  if (!d.t) return;
  if (!d.add) return f(d.t);
  const Tensor spare = like(v);
  f(spare);
  on(v).add(d.t, d.t, spare);
}

// dx += dy, where dy may be taken over when x has no gradient yet (dy's owner is done with it)
void pass(const Var& x, const Tensor& dy) {
  if (!x.wants_grad()) return;
  if (!x.has_grad()) x.set_grad(dy.reshape(x.shape()));
  else on(x).add(x.grad(), x.grad(), dy);
}

bool on_host(const Tensor& t) { return t.device() == Device::cpu; }
const int32_t* ints(const Tensor& t) {
  CHECK(t.dtype() == DType::i32 && on_host(t), "indices are i32, on the host");
  return t.data<int32_t>();
}

}  // namespace

Var activation(const Var& x) {
  if (x.value().device() == Device::cpu || precision() == Precision::f32 || x.value().dtype() == DType::bf16) return x;
  const Tensor y(x.shape(), DType::bf16, x.value().device());
  on(x).convert(y, x.value());
  return record(y, {x}, [=](Node& n) { overwrite(x, [&](const Tensor& dx) { on(x).convert(dx, n.grad); }); });
}

Var linear(const Var& given, const Var& w, const Var& b) {
  const Var x = beside(given, w);
  const int64_t C = x.shape().last(), N = x.shape().rows(), O = w.dim(0);
  CHECK(w.shape() == Shape({O, C}), "weight ", w.shape(), " for rows of ", C);
  CHECK(!b || b.shape() == Shape({O}), "bias ", b.shape(), " for ", O, " outputs");
  const Tensor y = like(x, {N, O});
  on(x).linear(y, x.value(), w.value(), b ? b.value() : Tensor());
  return record(y, b ? std::vector<Var>{x, w, b} : std::vector<Var>{x, w}, [=](Node& n) {
    const Tensor dy = n.grad;
    if (Into dx(x); dx.t) on(x).gemm(dx.t, dy, false, w.value(), false, dx.add);
    on(x).linear_bwd(grad_of(w), b ? grad_of(b) : Tensor(), dy, x.value());
  });
}

static Var record_norm_mod(const Tensor& y, const Tensor& rstd, const Var& x, const Var& mod, const Tensor& row, int64_t scale,
                           int64_t shift) {
  return record(y, {x, mod}, [=](Node& n) {
    const Into dx(x);
    on(x).norm_mod_bwd(dx.t, dx.add, grad_of(mod), n.grad, x.value(), rstd, mod.value(), row, scale, shift);
  });
}
static Var record_gate_add(const Tensor& y, const Var& x, const Var& h, const Var& mod, const Tensor& row, int64_t gate) {
  return record(y, {x, h, mod}, [=](Node& n) {
    const Into dh(h);
    on(x).gate_add_bwd(dh.t, dh.add, grad_of(mod), n.grad, h.value(), mod.value(), row, gate);
    pass(x, n.grad);
  });
}

Var norm_mod(const Var& x, const Var& given, const Tensor& row, int64_t scale, int64_t shift) {
  const Var mod = beside(given, x);
  const int64_t C = x.shape().last(), N = x.shape().rows(), W = mod.dim(1);
  CHECK(row.count() == N && scale + C <= W && shift + C <= W, "modulation ", mod.shape(), " for ", x.shape());
  const Tensor y = like(x), rstd = f32(x, {N});
  on(x).norm_mod(y, rstd, x.value(), mod.value(), row, scale, shift);
  return record_norm_mod(y, rstd, x, mod, row, scale, shift);
}

Var gate_add(const Var& x, const Var& h, const Var& given, const Tensor& row, int64_t gate) {
  const Var mod = beside(given, x);
  const int64_t C = x.shape().last(), N = x.shape().rows(), W = mod.dim(1);
  CHECK(h.shape() == x.shape() && row.count() == N && gate + C <= W, "gate for ", x.shape(), " and ", h.shape());
  const Tensor y = like(x);
  on(x).gate_add(y, x.value(), h.value(), mod.value(), row, gate);
  return record_gate_add(y, x, h, mod, row, gate);
}

std::pair<Var, Var> gate_norm(const Var& x, const Var& h, const Var& given, const Tensor& row, int64_t gate, int64_t scale,
                              int64_t shift) {
  const Var mod = beside(given, x);
  const int64_t C = x.shape().last(), N = x.shape().rows();
  CHECK(h.shape() == x.shape() && row.count() == N && std::max({gate, scale, shift}) + C <= mod.dim(1), "gate and norm for ",
        x.shape(), " and ", h.shape());
  const Tensor y = like(x), normed = like(x), rstd = f32(x, {N});
  on(x).gate_norm(y, normed, rstd, x.value(), h.value(), mod.value(), row, gate, scale, shift);
  const Var sum = record_gate_add(y, x, h, mod, row, gate);
  return {sum, record_norm_mod(normed, rstd, sum, mod, row, scale, shift)};
}

Var qk_rope(const Var& qkv, const Var& gq, const Var& gk, const Tensor& pos, int64_t heads, float theta) {
  const int64_t N = qkv.shape().rows(), C = qkv.shape().last() / 3, D = C / heads;
  CHECK(qkv.shape().last() == 3 * heads * D && gq.shape() == Shape({D}) && gk.shape() == Shape({D}), "qkv ", qkv.shape());
  CHECK(pos.count() == 2 * N, "two positions a token");
  const Tensor y = like(qkv), rstd = f32(qkv, {N, 2 * heads});
  on(qkv).qk_rope(y, rstd, qkv.value(), gq.value(), gk.value(), pos, theta);
  return record(y, {qkv, gq, gk}, [=](Node& n) {
    const Into d(qkv);
    const Tensor to = !d.t || d.add ? like(qkv) : d.t;
    on(qkv).qk_rope_bwd(to, grad_of(gq), grad_of(gk), n.grad, qkv.value(), rstd, gq.value(), gk.value(), pos, theta);
    if (d.add) on(qkv).add(d.t, d.t, to);
  });
}

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

Var swiglu(const Var& x) {
  const int64_t N = x.shape().rows(), F = x.shape().last() / 2;
  CHECK(x.shape().last() == 2 * F, "an even number of columns, not ", x.shape());
  const Tensor y = like(x, {N, F});
  on(x).swiglu(y, x.value());
  return record(y, {x}, [=](Node& n) { overwrite(x, [&](const Tensor& dx) { on(x).swiglu_bwd(dx, n.grad, x.value()); }); });
}

Var silu(const Var& x) {
  const Tensor y = like(x);
  on(x).silu(y, x.value());
  return record(y, {x}, [=](Node& n) {
    const Into d(x);
    on(x).silu_bwd(d.t, d.add, n.grad, x.value());
  });
}

Var reshape(const Var& x, Shape s) {
  return record(x.value().reshape(std::move(s)), {x}, [=](Node& n) { pass(x, n.grad); });
}

Var add(const Var& a, const Var& b) {
  CHECK(a.shape() == b.shape(), a.shape(), " and ", b.shape());
  const Tensor y = like(a);
  on(a).add(y, a.value(), b.value());
  return record(y, {a, b}, [=](Node& n) {
    if (b.wants_grad()) on(b).add(b.grad(), b.grad(), n.grad);
    pass(a, n.grad);
  });
}

Var gather(const Var& a, const Var& b, const Tensor& from) {
  const int64_t C = a.shape().last(), N = from.count(), na = a.shape().rows(), nb = b ? b.shape().rows() : 0;
  CHECK(!b || (b.shape().last() == C && b.value().dtype() == a.value().dtype()), a.shape(), " and ", b.shape());
  for (int64_t i = 0; i < N && on_host(from); ++i)
    CHECK(ints(from)[i] >= -nb && ints(from)[i] < na, "row ", ints(from)[i], " of ", na, " and ", nb);
  const Tensor y = like(a, {N, C});
  on(a).gather(y, a.value(), b ? b.value() : Tensor(), from);
  return record(y, b ? std::vector<Var>{a, b} : std::vector<Var>{a},
                [=](Node& n) { on(a).gather_bwd(grad_of(a), grad_of(b), n.grad, from); });
}

// The row -1, beyond the picture
static Tensor zeros_row(const Var& like) {
  return Tensor::zeros({1, like.shape().last()}, like.value().dtype(), like.value().device());
}

// Where the device convolves the value, each gradient may still have to go by way of the neighbours.
Var conv3x3(const Var& x, const Var& w, const Var& b, const Around& at) {
  const int64_t C = x.shape().last(), N = x.shape().rows(), O = w.dim(0);
  const Raster& p = at.order;
  CHECK(at.near.count() == 9 * N && (p.B == 0 || p.B * p.H * p.W == N), at.near.count(), " neighbours and ", p.B,
        " pictures of ", p.H, " x ", p.W, " for ", N, " rows");
  CHECK(w.shape() == Shape({O, 9 * C}), "weight ", w.shape(), " for neighbours of ", C);
  CHECK(!b || b.shape() == Shape({O}), "bias ", b.shape(), " for ", O, " outputs");
  const Kernels& k = on(x);
  Tensor y;
  if (k.conv3x3 && p.B) y = like(x, {N, O});
  if (!y || !k.conv3x3(y, x.value(), w.value(), b ? b.value() : Tensor(), p))
    return linear(reshape(gather(x, Var(zeros_row(x)), at.near), {N, 9 * C}), w, b);
  return record(y, b ? std::vector<Var>{x, w, b} : std::vector<Var>{x, w}, [=, &k](Node& n) {
    if (x.wants_grad()) {
      if (const Tensor dx = like(x); k.conv3x3_dx(dx, n.grad, w.value(), p)) {
        pass(x, dx);
      } else {
        const Tensor near = like(x, {9 * N, C});
        k.gemm(near.reshape({N, 9 * C}), n.grad, false, w.value(), false, false);
        k.gather_bwd(x.grad(), {}, near, at.near);
      }
    }
    if (w.wants_grad() && !k.conv3x3_dw(w.grad(), n.grad, x.value(), p)) {
      const Tensor near = like(x, {9 * N, C});
      k.gather(near, x.value(), zeros_row(x), at.near);
      k.gemm(w.grad(), n.grad, true, near.reshape({N, 9 * C}), false, true);
    }
    if (b && b.wants_grad()) k.column_sum(b.grad(), n.grad);
  });
}

Var segment_mean(const Var& x, const Tensor& at) {
  const int64_t C = x.shape().last(), B = at.count() - 1;
  CHECK(ints(at)[B] == x.shape().rows(), "segments end at ", ints(at)[B], " of ", x.shape().rows(), " rows");
  const Tensor y = f32(x, {B, C});
  on(x).segment_mean(y, x.value(), at);
  return record(y, {x}, [=](Node& n) {
    const Into d(x);
    on(x).segment_mean_bwd(d.t, d.add, n.grad, at);
  });
}

Var unit_rows(const Var& x) {
  const Tensor y = like(x), norm = f32(x, {x.shape().rows()});
  on(x).unit_rows(y, norm, x.value());
  return record(y, {x}, [=](Node& n) {
    const Into d(x);
    on(x).unit_rows_bwd(d.t, d.add, n.grad, y, norm);
  });
}

Var outer_sum(const Var& x, int64_t K, int64_t A, int64_t G) {
  const int64_t N = x.shape().rows();
  CHECK(x.shape().last() == K * (A + G) && G <= 16, K, " masks of ", A, " and colours of ", G, " for ", x.shape());
  const Tensor y = like(x, {N, A * G});
  on(x).outer_sum(y, x.value(), K, A, G);
  return record(y, {x},
                [=](Node& n) { overwrite(x, [&](const Tensor& d) { on(x).outer_sum_bwd(d, n.grad, x.value(), K, A, G); }); });
}

Var mod_table(const Var& own, const Var& given) {
  const Var t = beside(given, own);
  const int64_t W = own.dim(1), R = t ? t.dim(0) : 0;
  CHECK(own.dim(0) == (t ? 2 : 1) && (!t || t.dim(1) == W), "modulation ", own.shape());
  const Tensor y = f32(own, {R + 1, W});
  on(own).mod_table(y, own.value(), t ? t.value() : Tensor());
  return record(y, t ? std::vector<Var>{own, t} : std::vector<Var>{own}, [=](Node& n) {
    const Tensor first = n.grad.slice(0, {W}), rest = R ? n.grad.slice(W, {R, W}) : Tensor();
    if (own.wants_grad()) {
      const Tensor to = own.grad().slice(0, {W});
      on(own).add(to, to, first);
      if (R) on(own).column_sum(own.grad().slice(W, {W}), rest);
    }
    if (t && t.wants_grad()) on(own).add(t.grad(), t.grad(), rest);
  });
}

Var cross_entropy(const Var& logits, const Tensor& target, const Tensor& weight) {
  const int64_t N = logits.shape().rows(), V = logits.shape().last();
  CHECK(target.count() == N && weight.count() == N, "a target and a weight for each of ", N, " rows");
  for (int64_t i = 0; i < N; ++i) CHECK(ints(target)[i] < V, "target ", ints(target)[i], " of ", V);
  const Tensor nll = f32(logits, {N}), lse = f32(logits, {N}), y = f32(logits, {1});
  on(logits).cross_entropy(nll, lse, logits.value(), target);
  on(logits).weighted_total(y, nll, weight);
  return record(y, {logits}, [=](Node& n) {
    overwrite(logits, [&](const Tensor& d) { on(logits).cross_entropy_bwd(d, logits.value(), lse, target, weight, n.grad); });
  });
}

Var square_error(const Var& x, const Tensor& target, const Tensor& weight) {
  const int64_t N = x.shape().rows();
  CHECK(target.count() == x.value().count() && weight.count() == N, "target ", target.shape(), " for ", x.shape());
  const Tensor row = f32(x, {N}), y = f32(x, {1});
  on(x).square_error(row, x.value(), target);
  on(x).weighted_total(y, row, weight);
  return record(y, {x}, [=](Node& n) {
    overwrite(x, [&](const Tensor& dx) { on(x).square_error_bwd(dx, x.value(), target, weight, n.grad); });
  });
}

// Equal values as the index of the first that is equal.
static Tensor classes(const std::vector<uint64_t>& same) {
  std::unordered_map<uint64_t, int32_t> first;
  std::vector<int32_t> c;
  for (size_t i = 0; i < same.size(); ++i) c.push_back(first.try_emplace(same[i], int32_t(i)).first->second);
  return Tensor::ints(c);
}

Var sigmoid_contrastive(const Var& u, const Var& v, const Var& log_scale, const Var& bias, const std::vector<uint64_t>& same) {
  const int64_t B = u.dim(0);
  CHECK(u.shape() == v.shape() && int64_t(same.size()) == B, u.shape(), " and ", v.shape());
  const Tensor s = f32(u, {B, B}), y = f32(u, {1}), ds = f32(u, {2});
  on(u).gemm(s, u.value(), false, v.value(), true, false);
  on(u).sigmoid_contrastive(y, s, ds, classes(same), log_scale.value(), bias.value());
  return record(y, {u, v, log_scale, bias}, [=](Node& n) {
    const Tensor gs = f32(u, {B, B}), g = f32(u, {2});
    on(u).scale(gs, s, n.grad), on(u).scale(g, ds, n.grad);
    if (Into d(u); d.t) on(u).gemm(d.t, gs, false, v.value(), false, d.add);
    if (Into d(v); d.t) on(u).gemm(d.t, gs, true, u.value(), false, d.add);
    if (log_scale.wants_grad()) on(u).add(log_scale.grad(), log_scale.grad(), g.slice(0, {1}));
    if (bias.wants_grad()) on(u).add(bias.grad(), bias.grad(), g.slice(1, {1}));
  });
}

Var weighted_sum(const std::vector<std::pair<Var, float>>& parts) {
  CHECK(!parts.empty(), "a sum of something");
  Tensor y = Tensor::zeros({1}, DType::f32, parts[0].first.value().device());
  std::vector<Var> inputs;
  for (auto& [v, w] : parts) on(v).add_scaled(y, v.value(), w), inputs.push_back(v);
  return record(y, inputs, [=](Node& n) {
    for (auto& [v, w] : parts)
      if (v.wants_grad()) on(v).add_scaled(v.grad(), n.grad, w);
  });
}

}  // namespace duet
