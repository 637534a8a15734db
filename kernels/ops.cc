#include "kernels/ops.h"

#include <cstring>

#include "kernels/gemm.h"
#include "kernels/table.h"

namespace duet {
namespace {

using Node = Var::Node;

// Where a gradient goes: into what is there already, or into a new buffer that need not be zeroed first.
struct Into {
  float* p = nullptr;
  bool add = false;
  explicit Into(const Var& v) {
    if (!v.wants_grad()) return;
    add = v.has_grad();
    if (!add) v.set_grad(Tensor(v.shape()));
    p = v.grad().data();
  }
};

// dx += dy, where dy may be taken over when x has no gradient yet (dy's owner is done with it)
void pass(const Var& x, const Tensor& dy) {
  if (!x.wants_grad()) return;
  if (!x.has_grad())
    x.set_grad(dy.reshape(x.shape()));
  else
    cpu::add(x.d(), x.d(), dy.data(), dy.count());
}

const int32_t* ints(const Tensor& t) {
  CHECK(t.dtype() == DType::i32, "indices are i32");
  return t.data<int32_t>();
}

}  // namespace

Var linear(const Var& x, const Var& w, const Var& b) {
  const int64_t C = x.shape().last(), N = x.shape().rows(), O = w.dim(0);
  CHECK(w.shape() == Shape({O, C}), "weight ", w.shape(), " for rows of ", C);
  CHECK(!b || b.shape() == Shape({O}), "bias ", b.shape(), " for ", O, " outputs");
  Tensor y({N, O});
  GemmOptions o;
  if (b) o.bias = b.data();
  std::shared_ptr<const PackedB> packed;
  if (frozen()) packed = packed_weight(w.data(), O, C), o.packed = packed.get();
  gemm(y.data(), O, {x.data(), C}, {w.data(), C, true}, N, O, C, o);
  return record(y, b ? std::vector<Var>{x, w, b} : std::vector<Var>{x, w}, [=](Node& n) {
    const float* dy = n.grad.data();
    if (Into dx(x); dx.p) gemm(dx.p, C, {dy, O}, {w.data(), C}, N, C, O, {.accumulate = dx.add});
    if (w.wants_grad()) gemm(w.d(), C, {dy, O, true}, {x.data(), C}, O, C, N, {.accumulate = true});
    if (b && b.wants_grad()) cpu::column_sum(b.d(), dy, N, O);
  });
}

Var norm_mod(const Var& x, const Var& mod, const Tensor& row, int64_t scale, int64_t shift) {
  const int64_t C = x.shape().last(), N = x.shape().rows(), W = mod.dim(1);
  CHECK(row.count() == N && scale + C <= W && shift + C <= W, "modulation ", mod.shape(), " for ", x.shape());
  Tensor y(x.shape()), rstd({N});
  cpu::norm_mod(y.data(), rstd.data(), x.data(), mod.data(), ints(row), W, scale, shift, N, C);
  return record(y, {x, mod}, [=](Node& n) {
    Into dx(x);
    cpu::norm_mod_bwd(dx.p, dx.add, mod.d(), n.grad.data(), x.data(), rstd.data(), mod.data(), ints(row), W, scale,
                      shift, N, C);
  });
}

Var gate_add(const Var& x, const Var& h, const Var& mod, const Tensor& row, int64_t gate) {
  const int64_t C = x.shape().last(), N = x.shape().rows(), W = mod.dim(1);
  CHECK(h.shape() == x.shape() && row.count() == N && gate + C <= W, "gate for ", x.shape(), " and ", h.shape());
  Tensor y(x.shape());
  cpu::gate_add(y.data(), x.data(), h.data(), mod.data(), ints(row), W, gate, N, C);
  return record(y, {x, h, mod}, [=](Node& n) {
    Into dh(h);
    cpu::gate_add_bwd(dh.p, dh.add, mod.d(), n.grad.data(), h.data(), mod.data(), ints(row), W, gate, N, C);
    pass(x, n.grad);
  });
}

Var qk_rope(const Var& qkv, const Var& gq, const Var& gk, const Tensor& pos, int64_t heads, float theta) {
  const int64_t N = qkv.shape().rows(), C = qkv.shape().last() / 3, D = C / heads;
  CHECK(qkv.shape().last() == 3 * heads * D && gq.shape() == Shape({D}) && gk.shape() == Shape({D}), "qkv ", qkv.shape());
  CHECK(pos.count() == 2 * N, "two positions a token");
  Tensor y(qkv.shape()), rstd({N, 2 * heads});
  cpu::qk_rope(y.data(), rstd.data(), qkv.data(), gq.data(), gk.data(), ints(pos), theta, N, heads, D);
  return record(y, {qkv, gq, gk}, [=](Node& n) {
    Into d(qkv);
    Tensor spare;
    if (!d.p || d.add) spare = Tensor(qkv.shape());
    cpu::qk_rope_bwd(spare ? spare.data() : d.p, gq.d(), gk.d(), n.grad.data(), qkv.data(), rstd.data(), gq.data(),
                     gk.data(), ints(pos), theta, N, heads, D);
    if (d.add) cpu::add(d.p, d.p, spare.data(), spare.count());
  });
}

Var attention(const Var& qkv, const Layout& l, int64_t heads) {
  const int64_t N = qkv.shape().rows(), C = qkv.shape().last() / 3, D = C / heads;
  CHECK(l.N() == N && qkv.shape().last() == 3 * heads * D, "attention over ", qkv.shape(), " with ", l.N(), " tokens");
  Tensor o({N, C}), lse({N, heads});
  const cpu::Spans spans{ints(l.at), ints(l.at), ints(l.limit), l.B()};
  const float* q = qkv.data();
  cpu::attention(o.data(), lse.data(), q, 3 * C, q + C, q + 2 * C, 3 * C, spans, heads, D);
  return record(o, {qkv}, [=, at = l.at, limit = l.limit, B = l.B()](Node& n) {
    Into d(qkv);
    Tensor spare;
    if (d.add) spare = Tensor(qkv.shape());
    cpu::attention_bwd(d.add ? spare.data() : d.p, n.grad.data(), o.data(), lse.data(), qkv.data(),
                       {ints(at), ints(at), ints(limit), B}, heads, D);
    if (d.add) cpu::add(d.p, d.p, spare.data(), spare.count());
  });
}

Var block(const Var& x, const Var& mod, const Layout& l, const BlockParams& p, int64_t heads, float theta) {
  const int64_t N = x.shape().rows(), C = x.shape().last(), F = p.down.dim(1), D = C / heads;
  CHECK(l.N() == N && l.row.count() == N && l.pos.count() == 2 * N, "a layout of ", l.N(), " tokens for ", x.shape());
  CHECK(C == heads * D && mod.dim(1) == 6 * C, "modulation ", mod.shape(), " for ", x.shape());
  CHECK(p.qkv.shape() == Shape({3 * C, C}) && p.proj.shape() == Shape({C, C}) && p.up.shape() == Shape({2 * F, C}) &&
            p.down.shape() == Shape({C, F}) && p.gain_q.shape() == Shape({D}) && p.gain_k.shape() == Shape({D}),
        "weights of a block ", C, " wide with ", F, " hidden");
  const cpu::BlockSizes sizes{C, heads, F, theta};
  const auto tokens = [](const Layout& l) {
    return cpu::BlockTokens{ints(l.at), ints(l.limit), ints(l.row), ints(l.pos), l.B()};
  };
  const auto weights = [](const BlockParams& p) {
    return cpu::BlockWeights{p.qkv.data(), p.proj.data(), p.up.data(), p.down.data(), p.gain_q.data(), p.gain_k.data()};
  };
  const std::vector<Var> inputs{x, mod, p.qkv, p.proj, p.up, p.down, p.gain_q, p.gain_k};
  Tensor y(x.shape());
  if (!records(inputs)) {
    cpu::block(y.data(), {}, x.data(), mod.data(), tokens(l), weights(p), sizes);
    return Var(y);
  }
  const Tensor o({N, C}), lse({N, heads});
  Tensor qkv, h1, up, h2;
  if (precision() == Precision::f32) qkv = Tensor({N, 3 * C}), h1 = Tensor({N, C}), up = Tensor({N, 2 * F}), h2 = Tensor({N, C});
  const auto saved = [=] {
    const auto p = [](const Tensor& t) { return t ? t.data() : nullptr; };
    return cpu::BlockSaved{o.data(), lse.data(), p(qkv), p(h1), p(up), p(h2)};
  };
  cpu::block(y.data(), saved(), x.data(), mod.data(), tokens(l), weights(p), sizes);
  return record(y, inputs, [=](Node& n) {
    Into dx(x);
    const cpu::BlockGrads grads{p.qkv.d(), p.proj.d(), p.up.d(), p.down.d(), p.gain_q.d(), p.gain_k.d(), mod.d()};
    cpu::block_bwd(dx.p, dx.add, grads, n.grad.data(), x.data(), saved(), mod.data(), mod.dim(0), tokens(l), weights(p),
                   sizes);
  });
}

Var swiglu(const Var& x) {
  const int64_t N = x.shape().rows(), F = x.shape().last() / 2;
  CHECK(x.shape().last() == 2 * F, "an even number of columns, not ", x.shape());
  Tensor y({N, F});
  cpu::swiglu(y.data(), x.data(), N, F);
  return record(y, {x}, [=](Node& n) {
    Into d(x);
    Tensor spare;
    if (d.add) spare = Tensor(x.shape());
    cpu::swiglu_bwd(d.add ? spare.data() : d.p, n.grad.data(), x.data(), N, F);
    if (d.add) cpu::add(d.p, d.p, spare.data(), spare.count());
  });
}

Var silu(const Var& x) {
  Tensor y(x.shape());
  cpu::silu(y.data(), x.data(), y.count());
  return record(y, {x}, [=](Node& n) {
    Into d(x);
    cpu::silu_bwd(d.p, d.add, n.grad.data(), x.data(), x.value().count());
  });
}

Var add(const Var& a, const Var& b) {
  CHECK(a.shape() == b.shape(), a.shape(), " and ", b.shape());
  Tensor y(a.shape());
  cpu::add(y.data(), a.data(), b.data(), y.count());
  return record(y, {a, b}, [=](Node& n) {
    if (b.wants_grad()) cpu::add(b.d(), b.d(), n.grad.data(), n.grad.count());
    pass(a, n.grad);
  });
}

Var gather(const Var& a, const Var& b, const Tensor& from) {
  const int64_t C = a.shape().last(), N = from.count(), na = a.shape().rows(), nb = b ? b.shape().rows() : 0;
  CHECK(!b || b.shape().last() == C, a.shape(), " and ", b.shape());
  for (int64_t i = 0; i < N; ++i)
    CHECK(ints(from)[i] >= -nb && ints(from)[i] < na, "row ", ints(from)[i], " of ", na, " and ", nb);
  Tensor y({N, C});
  cpu::gather(y.data(), a.data(), b ? b.data() : nullptr, ints(from), N, C);
  return record(y, b ? std::vector<Var>{a, b} : std::vector<Var>{a}, [=](Node& n) {
    cpu::gather_bwd(a.d(), b.d(), n.grad.data(), ints(from), N, C);
  });
}

Var segment_mean(const Var& x, const Tensor& at) {
  const int64_t C = x.shape().last(), B = at.count() - 1;
  CHECK(ints(at)[B] == x.shape().rows(), "segments end at ", ints(at)[B], " of ", x.shape().rows(), " rows");
  Tensor y({B, C});
  cpu::segment_mean(y.data(), x.data(), ints(at), B, C);
  return record(y, {x}, [=](Node& n) {
    Into d(x);
    cpu::segment_mean_bwd(d.p, d.add, n.grad.data(), ints(at), B, C);
  });
}

Var unit_rows(const Var& x) {
  const int64_t N = x.shape().rows(), C = x.shape().last();
  Tensor y(x.shape()), norm({N});
  cpu::unit_rows(y.data(), norm.data(), x.data(), N, C);
  return record(y, {x}, [=](Node& n) {
    Into d(x);
    cpu::unit_rows_bwd(d.p, d.add, n.grad.data(), y.data(), norm.data(), N, C);
  });
}

Var outer_sum(const Var& x, int64_t K, int64_t A, int64_t G) {
  const int64_t N = x.shape().rows();
  CHECK(x.shape().last() == K * (A + G) && G <= 16, K, " masks of ", A, " and colours of ", G, " for ", x.shape());
  Tensor y({N, A * G});
  cpu::outer_sum(y.data(), x.data(), N, K, A, G);
  return record(y, {x}, [=](Node& n) {
    Into d(x);
    Tensor spare;
    if (d.add) spare = Tensor(x.shape());
    cpu::outer_sum_bwd(d.add ? spare.data() : d.p, n.grad.data(), x.data(), N, K, A, G);
    if (d.add) cpu::add(d.p, d.p, spare.data(), spare.count());
  });
}

Var mod_table(const Var& own, const Var& t) {
  const int64_t W = own.dim(1), R = t ? t.dim(0) : 0;
  CHECK(own.dim(0) == (t ? 2 : 1) && (!t || t.dim(1) == W), "modulation ", own.shape());
  Tensor y({R + 1, W});
  std::copy_n(own.data(), W, y.data());
  for (int64_t r = 0; r < R; ++r) cpu::add(y.data() + (r + 1) * W, t.data() + r * W, own.data() + W, W);
  return record(y, t ? std::vector<Var>{own, t} : std::vector<Var>{own}, [=](Node& n) {
    const float* dy = n.grad.data();
    if (own.wants_grad()) {
      cpu::add(own.d(), own.d(), dy, W);
      if (R) cpu::column_sum(own.d() + W, dy + W, R, W);
    }
    if (t && t.wants_grad()) cpu::add(t.d(), t.d(), dy + W, R * W);
  });
}

Var cross_entropy(const Var& logits, const Tensor& target, const Tensor& weight) {
  const int64_t N = logits.shape().rows(), V = logits.shape().last();
  CHECK(target.count() == N && weight.count() == N, "a target and a weight for each of ", N, " rows");
  for (int64_t i = 0; i < N; ++i) CHECK(ints(target)[i] < V, "target ", ints(target)[i], " of ", V);
  Tensor nll({N}), lse({N}), y({1});
  cpu::cross_entropy(nll.data(), lse.data(), logits.data(), ints(target), N, V);
  double s = 0;
  for (int64_t i = 0; i < N; ++i) s += double(nll.data()[i]) * weight.data()[i];
  y.data()[0] = float(s);
  return record(y, {logits}, [=](Node& n) {
    Into d(logits);
    Tensor spare;
    if (d.add) spare = Tensor(logits.shape());
    cpu::cross_entropy_bwd(d.add ? spare.data() : d.p, logits.data(), lse.data(), ints(target), weight.data(),
                           n.grad.data()[0], N, V);
    if (d.add) cpu::add(d.p, d.p, spare.data(), spare.count());
  });
}

Var square_error(const Var& x, const Tensor& target, const Tensor& weight) {
  const int64_t N = x.shape().rows(), C = x.shape().last();
  CHECK(target.count() == x.value().count() && weight.count() == N, "target ", target.shape(), " for ", x.shape());
  Tensor row({N}), y({1});
  cpu::square_error(row.data(), x.data(), target.data(), N, C);
  double s = 0;
  for (int64_t i = 0; i < N; ++i) s += double(row.data()[i]) * weight.data()[i];
  y.data()[0] = float(s);
  return record(y, {x}, [=](Node& n) {
    Into d(x);
    Tensor scale = weight.clone(), spare;
    for (auto& w : scale.floats()) w *= n.grad.data()[0];
    if (d.add) spare = Tensor(x.shape());
    cpu::square_error_bwd(d.add ? spare.data() : d.p, x.data(), target.data(), scale.data(), N, C);
    if (d.add) cpu::add(d.p, d.p, spare.data(), spare.count());
  });
}

Var sigmoid_contrastive(const Var& u, const Var& v, const Var& log_scale, const Var& bias,
                        const std::vector<uint64_t>& same) {
  const int64_t B = u.dim(0), E = u.dim(1);
  CHECK(u.shape() == v.shape() && int64_t(same.size()) == B, u.shape(), " and ", v.shape());
  Tensor s({B, B}), y({1}), ds({2});
  gemm(s.data(), B, {u.data(), E}, {v.data(), E, true}, B, B, E);
  y.data()[0] = cpu::sigmoid_contrastive(s.data(), ds.data(), ds.data() + 1, same.data(), log_scale.data()[0],
                                         bias.data()[0], B);
  return record(y, {u, v, log_scale, bias}, [=](Node& n) {
    const float g = n.grad.data()[0];
    Tensor gs = s.clone();
    for (auto& x : gs.floats()) x *= g;
    if (Into d(u); d.p) gemm(d.p, E, {gs.data(), B}, {v.data(), E}, B, E, B, {.accumulate = d.add});
    if (Into d(v); d.p) gemm(d.p, E, {gs.data(), B, true}, {u.data(), E}, B, E, B, {.accumulate = d.add});
    if (log_scale.wants_grad()) log_scale.d()[0] += g * ds.data()[0];
    if (bias.wants_grad()) bias.d()[0] += g * ds.data()[1];
  });
}

Var weighted_sum(const std::vector<std::pair<Var, float>>& parts) {
  Tensor y = Tensor::zeros({1});
  std::vector<Var> inputs;
  for (auto& [v, w] : parts) y.data()[0] += w * v.data()[0], inputs.push_back(v);
  return record(y, inputs, [=](Node& n) {
    for (auto& [v, w] : parts)
      if (v.wants_grad()) v.d()[0] += w * n.grad.data()[0];
  });
}

}  // namespace duet
