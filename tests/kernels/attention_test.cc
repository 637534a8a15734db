#include "kernels/module.h"
#include "kernels/table.h"
#include "tests/kernels/gradcheck.h"

namespace duet {
namespace {

struct Case {
  std::vector<int32_t> at;
  int64_t H, D;
  int samples;
};
const Case kCases[] = {{{0, 1}, 1, 4, 12},
                       {{0, 3, 10}, 2, 4, 24},
                       {{0, 7, 40, 41}, 3, 12, 16},
                       {{0, 131, 200}, 1, 16, 12},  // more rows than a block
                       {{0, 75, 150}, 4, 64, 12}};  // two sequences of the real model

// Every token sees itself, some also what follows: limits that rise as in text, and that jump as in pictures.
std::vector<int32_t> limits(const std::vector<int32_t>& at) {
  std::vector<int32_t> limit;
  for (size_t b = 0; b + 1 < at.size(); ++b) {
    const int32_t T = at[b + 1] - at[b];
    for (int32_t t = 0; t < T; ++t) limit.push_back(t < T / 2 ? t + 1 : T - (b % 2 && t < T - 2 ? 1 : 0));
  }
  return limit;
}

Layout layout_of(const Case& c) {
  Layout l;
  l.at = ints(c.at), l.limit = ints(limits(c.at));
  return l;
}

// P = softmax(S), dP = dO V^T, dS = P (dP - rowsum(dO O)) / sqrt(D); dQ = dS K, dK = dS^T Q, dV = P^T dO, with Bf's products
Arrays<double> rounded_gradient(const std::vector<Bf>& x, const Tensor& dout, const Case& c) {
  const int64_t C = c.H * c.D;
  const float scale = 1 / std::sqrt(float(c.D));
  const auto limit = limits(c.at);
  std::vector<Bf> dx(x.size());
  for (size_t b = 0; b + 1 < c.at.size(); ++b)
    for (int64_t n = c.at[b]; n < c.at[b + 1]; ++n)
      for (int64_t h = 0; h < c.H; ++h) {
        const auto at = [&](int64_t row, int part, int64_t d) { return size_t(row * 3 * C + part * C + h * c.D + d); };
        const auto g = [&](int64_t d) { return Bf(dout.data()[n * C + h * c.D + d]); };
        std::vector<float> p;
        float most = -1e30f, sum = 0, delta = 0;
        for (int64_t j = 0; j < limit[size_t(n)]; ++j) {
          Bf s;
          for (int64_t d = 0; d < c.D; ++d) s = s + x[at(n, 0, d)] * x[at(c.at[b] + j, 1, d)];
          p.push_back(s.v * scale), most = std::max(most, p.back());
        }
        for (float& s : p) s = std::exp(s - most), sum += s;
        for (float& s : p) s /= sum;
        for (int64_t d = 0; d < c.D; ++d) {
          Bf o;
          for (size_t j = 0; j < p.size(); ++j) o = o + Bf(p[j]) * x[at(c.at[b] + int64_t(j), 2, d)];
          delta += o.v * g(d).v;
        }
        for (size_t j = 0; j < p.size(); ++j) {
          const int64_t k = c.at[b] + int64_t(j);
          Bf dp;
          for (int64_t d = 0; d < c.D; ++d) dp = dp + g(d) * x[at(k, 2, d)];
          const Bf ds(p[j] * (dp.v - delta) * scale);
          for (int64_t d = 0; d < c.D; ++d) {
            dx[at(n, 0, d)] = dx[at(n, 0, d)] + ds * x[at(k, 1, d)];
            dx[at(k, 1, d)] = dx[at(k, 1, d)] + ds * x[at(n, 0, d)];
            dx[at(k, 2, d)] = dx[at(k, 2, d)] + Bf(p[j]) * g(d);
          }
        }
      }
  Arrays<double> out(1);
  for (Bf v : dx) out[0].push_back(v.v);
  return out;
}

TEST(Attention, ValueAndGradient) {
  for (const Case& c : kCases) {
    const int64_t C = c.H * c.D, N = c.at.back();
    const Layout l = layout_of(c);
    const auto limit = limits(c.at);
    check_op(
        join("attention ", N, "x", c.H, "x", c.D), {normals({N, 3 * C}, 1)}, [&](auto& v) { return attention(v[0], l, c.H); },
        [&](const auto& a) {
          using T = typename std::decay_t<decltype(a[0])>::value_type;
          using std::exp;
          std::vector<T> y(size_t(N * C), T(0.0)), p;
          const T scale(1 / std::sqrt(double(c.D)));
          for (size_t b = 0; b + 1 < c.at.size(); ++b)
            for (int64_t n = c.at[b]; n < c.at[b + 1]; ++n)
              for (int64_t h = 0; h < c.H; ++h) {
                const auto x = [&](int64_t row, int64_t part, int64_t d) {
                  return a[0][size_t(row * 3 * C + part * C + h * c.D + d)];
                };
                T most(-1e30), sum(0.0);
                p.clear();
                for (int64_t j = 0; j < limit[size_t(n)]; ++j) {
                  T s(0.0);
                  for (int64_t d = 0; d < c.D; ++d) s = s + x(n, 0, d) * x(c.at[b] + j, 1, d);
                  p.push_back(s * scale);
                  most = p.back() > most ? p.back() : most;
                }
                for (auto& s : p) s = exp(s - most), sum = sum + s;
                for (int64_t j = 0; j < limit[size_t(n)]; ++j)
                  for (int64_t d = 0; d < c.D; ++d) {
                    T& o = y[size_t(n * C + h * c.D + d)];
                    o = o + p[size_t(j)] / sum * x(c.at[b] + j, 2, d);
                  }
              }
          return y;
        },
        c.samples, {}, true, [&](const auto& in, const Tensor& r) { return rounded_gradient(in[0], r, c); });
  }
}

// What a token must not see does not move a bit of it, whatever it holds.
TEST(Attention, UnseenKeysDoNotMatter) {
  const SettingsBack back;
  for (const Precision p : precisions()) {
    set_precision(p);
    const Case c{{0, 37}, 2, 16, 0};
    const int64_t C = 32, N = 37;
    Layout l = layout_of(c);
    for (int64_t n = 0; n < N; ++n) l.limit.data<int32_t>()[n] = int32_t(n + 1);
    const Tensor x = normals({N, 3 * C}, 1);
    const Var a = attention(Var(x), l, 2);
    for (int64_t from : {1, 16, 17, 36}) {
      const Tensor other = x.clone();
      for (int64_t i = from * 3 * C; i < other.count(); ++i)
        other.data()[i] = (p == Precision::fp16 ? 1e4f : 1e6f) * normal(9, uint64_t(i));
      const Var b = attention(Var(other), l, 2);
      EXPECT_EQ(0, std::memcmp(a.data(), b.data(), size_t(from * C) * 4)) << "tokens before " << from;
      EXPECT_NE(0, std::memcmp(a.data() + from * C, b.data() + from * C, size_t(C) * 4)) << "token " << from;
    }
  }
}

// A cache is memory with nothing in it yet, so whatever bits lie behind the used rows must not reach a result.
TEST(Attention, RowsOfACacheNotYetWrittenDoNotMatter) {
  const SettingsBack back;
  for (const Precision p : precisions()) {
    set_precision(p);
    const int64_t C = 32, H = 2, capacity = 64;
    for (int32_t keys : {1, 5, 16, 33, 63}) {
      Tensor k = normals({2, capacity, C}, 1), v = normals({2, capacity, C}, 2), o({1, C}), o2({1, C}), lse({1, H});
      const Tensor q = normals({1, C}, 3);
      const int32_t q_at[] = {0, 1}, k_at[] = {int32_t(capacity), int32_t(2 * capacity)};
      const cpu::Spans spans{q_at, k_at, &keys, 1};
      cpu::attention(o.data(), lse.data(), q.data(), C, k.data(), v.data(), C, spans, H, C / H);
      for (int64_t i = (capacity + keys) * C; i < k.count(); ++i) k.data()[i] = v.data()[i] = NAN;
      cpu::attention(o2.data(), lse.data(), q.data(), C, k.data(), v.data(), C, spans, H, C / H);
      EXPECT_TRUE(same_bits(o, o2)) << keys << " keys" << (p == Precision::bf16 ? " bf16" : "");
    }
  }
}

// A block of the model over a cache, in pieces of every size, gives the bits of the whole sequence at once.
TEST(Attention, CachedEqualsUncachedToTheBit) {
  const SettingsBack back;
  for (const Precision p : precisions()) {
    set_precision(p);
    const NoGrad off;
    const int64_t C = 32, N = 150;
    Init init{5};
    Block block(C, 2, 48, 100, false, init);
    block.params("b", [&, k = uint64_t(0)](const std::string&, Var& v) mutable {
      for (auto& x : v.value().floats()) x += 0.2f * normal(8, k++);
    });
    const Tensor x = normals({N, C}, 1);
    const auto piece = [&](int32_t first, int32_t n) {  // of causal text
      std::vector<int32_t> limit, row(size_t(n), 0), pos;
      for (int32_t i = first; i < first + n; ++i) limit.push_back(i + 1), pos.push_back(i), pos.push_back(i);
      return Layout{ints({0, n}), ints(limit), ints(row), ints(pos)};
    };
    const Var whole = block(Var(x), piece(0, int32_t(N)), {});
    for (int32_t step : {1, 7, 16, 100}) {
      const bool named = step == 1 || step == 100;  // the rows that take the tokens, in place of those after `used`
      KvCache cache(1, N + 3, C);
      for (auto& f : cache.k.floats()) f = NAN;
      for (auto& f : cache.v.floats()) f = NAN;
      for (int32_t at = 0; at < N; at += step) {
        const int32_t n = std::min<int32_t>(step, int32_t(N) - at);
        const std::vector<int32_t> used{at};
        Layout l = piece(at, n);
        if (named) {
          l.to = Tensor({n}, DType::i32);
          for (int32_t i = 0; i < n; ++i) l.to.data<int32_t>()[i] = at + i;
        }
        const Var y = block(Var(x.slice(at * C, {n, C}).clone()), l, {}, &cache, named ? nullptr : &used);
        ASSERT_EQ(0, std::memcmp(y.data(), whole.data() + at * C, size_t(n * C) * 4))
            << "tokens " << at << "... in steps of " << step << (p == Precision::bf16 ? " bf16" : "");
      }
    }
  }
}

}  // namespace
}  // namespace duet
