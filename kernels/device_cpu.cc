// The CPU's table: the kernels of table.h, on tensors.
#include <cmath>
#include <cstring>

#include "kernels/device.h"
#include "kernels/gemm.h"
#include "kernels/parallel.h"
#include "kernels/random.h"
#include "kernels/rowwise.h"
#include "kernels/table.h"

namespace duet {
namespace {

using T = const Tensor&;

float* f(T t) { return t ? t.data() : nullptr; }
const int32_t* ints(T t) {
  CHECK(t.dtype() == DType::i32, "indices are i32");
  return t.data<int32_t>();
}
int64_t rows(T t) { return t.shape().rows(); }
int64_t width(T t) { return t.shape().last(); }

// --- memory and products
void copy_bytes(void* to, Device, const void* from, Device, size_t n) { std::memcpy(to, from, n); }
void convert(T y, T x) {
  CHECK(y.dtype() == x.dtype(), "on the CPU activations are F32");
  copy_values(y, x);
}
void fill(T y, float v) { std::fill_n(y.data(), y.count(), v); }

void linear(T y, T x, T w, T bias) {
  const int64_t N = rows(x), C = width(x), O = w.dim(0);
  GemmOptions o;
  o.bias = f(bias);
  std::shared_ptr<const PackedB> packed;
  if (frozen()) packed = packed_weight(w.data(), O, C), o.packed = packed.get();
  gemm(y.data(), O, {x.data(), C}, {w.data(), C, true}, N, O, C, o);
}

void product(T c, T a, bool at, T b, bool bt, bool accumulate) {
  CHECK(c.shape().size() == 2, "one product at a time, not ", c.shape());
  gemm(c.data(), width(c), {a.data(), width(a), at}, {b.data(), width(b), bt}, rows(c), width(c), at ? rows(a) : width(a),
       {.accumulate = accumulate});
}

// --- convolutions
bool conv3x3(T y, T x, T w, T bias, const Around& at) {
  cpu::conv3x3(f(y), f(x), f(w), f(bias), ints(at.near), rows(x), width(x), width(y));
  return true;
}
bool conv3x3_dx(T dx, T dy, T w, const Around& at) {
  cpu::conv3x3_dx(f(dx), f(dy), f(w), ints(at.near), rows(dx), width(dx), width(dy));
  return true;
}
bool conv3x3_dw(T dw, T dy, T x, const Around& at) {
  cpu::conv3x3_dw(f(dw), f(dy), f(x), ints(at.near), rows(x), width(x), width(dy));
  return true;
}

// --- blocks
void norm_mod(T y, T rstd, T x, T mod, T row, int64_t scale, int64_t shift) {
  cpu::norm_mod(f(y), f(rstd), f(x), f(mod), ints(row), mod.dim(1), scale, shift, rows(x), width(x));
}
void norm_mod_bwd(T dx, bool add, T dmod, T dy, T x, T rstd, T mod, T row, int64_t scale, int64_t shift) {
  cpu::norm_mod_bwd(f(dx), add, f(dmod), f(dy), f(x), f(rstd), f(mod), ints(row), mod.dim(1), scale, shift, rows(x), width(x));
}
void gate_add(T y, T x, T h, T mod, T row, int64_t gate) {
  cpu::gate_add(f(y), f(x), f(h), f(mod), ints(row), mod.dim(1), gate, rows(x), width(x));
}
void gate_norm(T y, T normed, T rstd, T x, T h, T mod, T row, int64_t gate, int64_t scale, int64_t shift) {
  gate_add(y, x, h, mod, row, gate), norm_mod(normed, rstd, y, mod, row, scale, shift);
}
void gate_add_bwd(T dh, bool add, T dmod, T dy, T h, T mod, T row, int64_t gate) {
  cpu::gate_add_bwd(f(dh), add, f(dmod), f(dy), f(h), f(mod), ints(row), mod.dim(1), gate, rows(h), width(h));
}
void qk_rope(T y, T rstd, T qkv, T gain_q, T gain_k, T pos, float theta) {
  const int64_t D = gain_q.count();
  cpu::qk_rope(f(y), f(rstd), f(qkv), f(gain_q), f(gain_k), ints(pos), theta, rows(qkv), width(qkv) / (3 * D), D);
}
void qk_rope_bwd(T dqkv, T dgain_q, T dgain_k, T dy, T qkv, T rstd, T gain_q, T gain_k, T pos, float theta) {
  const int64_t D = gain_q.count();
  cpu::qk_rope_bwd(f(dqkv), f(dgain_q), f(dgain_k), f(dy), f(qkv), f(rstd), f(gain_q), f(gain_k), ints(pos), theta, rows(qkv),
                   width(qkv) / (3 * D), D);
}
void attention(T o, T lse, T qkv, T k, T v, T at, T k_at, T limit) {
  const int64_t C = width(o), H = width(lse);
  const cpu::Spans spans{ints(at), ints(k ? k_at : at), ints(limit), at.count() - 1};
  cpu::attention(f(o), f(lse), f(qkv), 3 * C, k ? f(k) : f(qkv) + C, v ? f(v) : f(qkv) + 2 * C, k ? C : 3 * C, spans, H, C / H);
}
void attention_bwd(T dqkv, T dout, T o, T lse, T qkv, T at, T limit) {
  const int64_t C = width(o), H = width(lse);
  cpu::attention_bwd(f(dqkv), f(dout), f(o), f(lse), f(qkv), {ints(at), ints(at), ints(limit), at.count() - 1}, H, C / H);
}
void cache_put(T k, T v, T qkv, T to) {
  const int64_t C = width(k);
  for (int64_t n = 0; n < rows(qkv); ++n) {
    std::copy_n(qkv.data() + n * 3 * C + C, C, k.data() + ints(to)[n] * C);
    std::copy_n(qkv.data() + n * 3 * C + 2 * C, C, v.data() + ints(to)[n] * C);
  }
}
void cache_follow(T cache, T from, T count, int64_t first) {
  const int64_t S = cache.dim(1), each = cache.dim(2) * cache.dim(3), at = first * cache.dim(3),
                n = ints(count)[0] * cache.dim(3);
  if (n == 0) return;
  parallel_for(cache.dim(0), [&](int64_t l) {
    float* own = cache.data() + l * S * each + at;
    const Tensor spare({S, n});
    for (int64_t s = 0; s < S; ++s)
      if (ints(from)[s] != s) std::copy_n(own + ints(from)[s] * each, n, spare.data() + s * n);
    for (int64_t s = 0; s < S; ++s)
      if (ints(from)[s] != s) std::copy_n(spare.data() + s * n, n, own + s * each);
  });
}
void swiglu(T y, T x) { cpu::swiglu(f(y), f(x), rows(x), width(y)); }
void swiglu_bwd(T dx, T dy, T x) { cpu::swiglu_bwd(f(dx), f(dy), f(x), rows(x), width(dy)); }
void silu(T y, T x) { cpu::silu(f(y), f(x), x.count()); }
void silu_bwd(T dx, bool add, T dy, T x) { cpu::silu_bwd(f(dx), add, f(dy), f(x), x.count()); }

// --- rows
void gather(T y, T a, T b, T from) { cpu::gather(f(y), f(a), f(b), ints(from), from.count(), width(y)); }
void gather_bwd(T da, T db, T dy, T from) { cpu::gather_bwd(f(da), f(db), f(dy), ints(from), from.count(), width(dy)); }
void segment_mean(T y, T x, T at) { cpu::segment_mean(f(y), f(x), ints(at), rows(y), width(y)); }
void segment_mean_bwd(T dx, bool add, T dy, T at) { cpu::segment_mean_bwd(f(dx), add, f(dy), ints(at), rows(dy), width(dy)); }
void column_sum(T y, T x) { cpu::column_sum(f(y), f(x), rows(x), width(x)); }
void linear_bwd(T dw, T dbias, T dy, T x) {
  if (dw) product(dw, dy, true, x, false, true);
  if (dbias) column_sum(dbias, dy);
}
void add(T y, T a, T b) { cpu::add(f(y), f(a), f(b), y.count()); }
void add_scaled(T y, T x, float k) {
  for (int64_t i = 0; i < y.count(); ++i) y.data()[i] += k * x.data()[i];
}
void scale(T y, T x, T k) {
  for (int64_t i = 0; i < y.count(); ++i) y.data()[i] = x.data()[i] * k.data()[0];
}
void mod_table(T y, T own, T t) {
  const int64_t W = width(own);
  std::copy_n(own.data(), W, y.data());
  for (int64_t r = 0; r + 1 < rows(y); ++r) cpu::add(y.data() + (r + 1) * W, t.data() + r * W, own.data() + W, W);
}
void copy_rows(T to, T from, T pairs) {
  const size_t n = size_t(width(to)) * size_of(to.dtype());
  parallel_for(pairs.count() / 2, [&](int64_t i) {
    std::memcpy(to.data<char>() + size_t(ints(pairs)[2 * i]) * n, from.data<char>() + size_t(ints(pairs)[2 * i + 1]) * n, n);
  });
}

// --- losses
void cross_entropy(T nll, T lse, T logits, T target) {
  cpu::cross_entropy(f(nll), f(lse), f(logits), ints(target), rows(logits), width(logits));
}
void cross_entropy_bwd(T dlogits, T logits, T lse, T target, T weight, T scale) {
  cpu::cross_entropy_bwd(f(dlogits), f(logits), f(lse), ints(target), f(weight), scale.data()[0], rows(logits), width(logits));
}
void square_error(T row, T x, T target) { cpu::square_error(f(row), f(x), f(target), row.count(), x.count() / row.count()); }
void square_error_bwd(T dx, T x, T target, T weight, T scale) {
  Tensor w = weight.clone();
  for (float& v : w.floats()) v *= scale.data()[0];
  cpu::square_error_bwd(f(dx), f(x), f(target), w.data(), w.count(), x.count() / w.count());
}
void weighted_total(T y, T x, T weight) {
  double s = 0;
  for (int64_t i = 0; i < x.count(); ++i) s += double(x.data()[i]) * weight.data()[i];
  y.data()[0] = float(s);
}
void sigmoid_contrastive(T loss, T s, T d, T same, T log_scale, T bias) {
  loss.data()[0] = cpu::sigmoid_contrastive(f(s), f(d), f(d) + 1, ints(same), log_scale.data()[0], bias.data()[0], s.dim(0));
}
void outer_sum(T y, T x, int64_t K, int64_t A, int64_t G) { cpu::outer_sum(f(y), f(x), rows(y), K, A, G); }
void outer_sum_bwd(T dx, T dy, T x, int64_t K, int64_t A, int64_t G) {
  cpu::outer_sum_bwd(f(dx), f(dy), f(x), rows(dy), K, A, G);
}
void unit_rows(T y, T norm, T x) { cpu::unit_rows(f(y), f(norm), f(x), rows(x), width(x)); }
void unit_rows_bwd(T dx, bool add, T dy, T y, T norm) {
  cpu::unit_rows_bwd(f(dx), add, f(dy), f(y), f(norm), rows(y), width(y));
}

// --- the next token
void best_tokens(T token, T log_prob, T logits, T allowed) {
  const int64_t N = rows(logits), V = width(logits), n = token.count() / N;
  parallel_for(N, [&](int64_t i) {
    cpu::best_tokens(token.data<int32_t>() + i * n, log_prob.data<double>() + i * n, logits.data() + i * V,
                     allowed.data<uint8_t>(), V, n);
  });
}
void draw_tokens(T token, T log_prob, T logits, T allowed, const SampleOptions& o, T counter) {
  const int64_t N = rows(logits), V = width(logits);
  parallel_for(N, [&](int64_t i) {
    const float* z = logits.data() + i * V;
    const double sum = cpu::log_sum(z, allowed.data<uint8_t>(), V);
    const int32_t t = std::isnan(sum) ? 0 : cpu::draw_token(z, allowed.data<uint8_t>(), V, o, uint64_t(ints(counter)[i]));
    token.data<int32_t>()[i] = t, log_prob.data<double>()[i] = z[t] - sum;
  });
}

// --- optimizer
void clip_factor(T stats, T g, T loss, float clip) {
  const double norm = std::sqrt(cpu::square_sum(f(g), g.count()));
  const bool finite = std::isfinite(norm) && (!loss || std::isfinite(loss.data()[0]));
  stats.data()[0] = float(norm), stats.data()[1] = finite;
  if (!finite || clip <= 0 || norm <= clip) return;
  const float k = float(clip / norm);
  for (float& x : g.floats()) x *= k;
}
void adamw(T w, T m, T v, T g, T stats, float lr, float beta1, float beta2, float eps, float decay, int64_t step) {
  if (stats.data()[1] != 0) cpu::adamw(f(w), f(m), f(v), f(g), lr, beta1, beta2, eps, decay, step, w.count());
}
void muon(T w, T m, T g, T stats, T at, int64_t rows, int64_t cols, float momentum, float lr, float keep) {
  if (stats.data()[1] == 0) return;
  // A matrix a job: each is small enough for one core's cache.
  parallel_for(at.count(), [&](int64_t j) {
    const int64_t n = rows * cols, first = ints(at)[j];
    const Tensor u({n});
    float *ud = u.data(), *md = m.data() + first, *wd = w.data() + first;
    const float* gd = g.data() + first;
    for (int64_t i = 0; i < n; ++i) {
      md[i] = momentum * md[i] + gd[i];
      ud[i] = gd[i] + momentum * md[i];
    }
    cpu::newton_schulz(ud, rows, cols);
    for (int64_t i = 0; i < n; ++i) wd[i] = wd[i] * keep - lr * ud[i];
  });
}
void lerp(T y, T x, T stats, float weight) {
  if (!stats || stats.data()[1] != 0) cpu::lerp(f(y), f(x), weight, y.count());
}

// --- noise
void add_noise(T patches, T clean, T t, uint64_t seed) {
  cpu::add_noise(f(patches), f(clean), f(t), seed, patches.count() / t.count(), patches.count());
}
void normals(T z, T seeds) {
  const int64_t B = seeds.count() / 2, each = z.count() / B;
  const auto* words = seeds.data<uint32_t>();
  for_pieces(z.count(), [&](int64_t first, int64_t end) {
    for (int64_t i = first; i < end; ++i) {
      const uint64_t b = uint64_t(i / each), seed = uint64_t(words[2 * b + 1]) << 32 | words[2 * b];
      z.data()[i] = normal(seed, uint64_t(i) - b * uint64_t(each));
    }
  });
}
void guide(T guess, T x, float g) {
  const int64_t n = guess.count();
  const float *with = x.data(), *without = x.count() == n ? nullptr : with + n;
  for_pieces(n, [&](int64_t first, int64_t end) {
    for (int64_t i = first; i < end; ++i) guess.data()[i] = without ? without[i] + g * (with[i] - without[i]) : with[i];
  });
}
void euler(T end, T z, T guess, float t, float next) {
  for (int64_t i = 0; i < z.count(); ++i)
    end.data()[i] = z.data()[i] + (next - t) * ((guess.data()[i] - z.data()[i]) / (1 - t));
}
void heun(T z, T guess, T end, T later, float t, float next) {
  for (int64_t i = 0; i < z.count(); ++i)
    z.data()[i] +=
        (next - t) * 0.5f * ((guess.data()[i] - z.data()[i]) / (1 - t) + (later.data()[i] - end.data()[i]) / (1 - next));
}

Kernels make() {
  Kernels k{};
  k.memory = {nullptr, nullptr, copy_bytes, [](void* p, size_t n) { std::memset(p, 0, n); }, memory_stats};
  k.record = [](const std::function<void()>&) { return std::shared_ptr<void>(); }, k.replay = [](void*) {};
  k.wait = [] {}, k.name = [] { return std::string("CPU"); };
  k.convert = convert, k.fill = fill, k.linear = linear, k.linear_bwd = linear_bwd, k.gemm = product;
  k.conv3x3 = conv3x3, k.conv3x3_dx = conv3x3_dx, k.conv3x3_dw = conv3x3_dw;
  k.norm_mod = norm_mod, k.norm_mod_bwd = norm_mod_bwd, k.gate_add = gate_add, k.gate_add_bwd = gate_add_bwd;
  k.gate_norm = gate_norm;
  k.qk_rope = qk_rope, k.qk_rope_bwd = qk_rope_bwd, k.attention = attention, k.attention_bwd = attention_bwd;
  k.cache_put = cache_put, k.cache_follow = cache_follow, k.best_tokens = best_tokens, k.draw_tokens = draw_tokens;
  k.swiglu = swiglu, k.swiglu_bwd = swiglu_bwd, k.silu = silu, k.silu_bwd = silu_bwd;
  k.gather = gather, k.gather_bwd = gather_bwd, k.segment_mean = segment_mean, k.segment_mean_bwd = segment_mean_bwd;
  k.column_sum = column_sum, k.add = add, k.add_scaled = add_scaled, k.scale = scale, k.mod_table = mod_table;
  k.cross_entropy = cross_entropy, k.cross_entropy_bwd = cross_entropy_bwd, k.square_error = square_error;
  k.square_error_bwd = square_error_bwd, k.weighted_total = weighted_total, k.sigmoid_contrastive = sigmoid_contrastive;
  k.outer_sum = outer_sum, k.outer_sum_bwd = outer_sum_bwd;
  k.unit_rows = unit_rows, k.unit_rows_bwd = unit_rows_bwd, k.clip_factor = clip_factor, k.adamw = adamw, k.muon = muon;
  k.lerp = lerp, k.add_noise = add_noise, k.normals = normals, k.guide = guide, k.euler = euler, k.heun = heun;
  k.copy_rows = copy_rows;
  return k;
}

}  // namespace

const Kernels& cpu_kernels() {
  static const Kernels k = make();
  return k;
}

}  // namespace duet
