#include "kernels/ops.h"

#include "kernels/gemm.h"
#include "kernels/record.h"

namespace duet {

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
