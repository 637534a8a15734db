#include "kernels/table.h"
#include "tests/kernels/gradcheck.h"

namespace duet {
namespace {

template <class T>
void plain_adamw(std::vector<T>& w, std::vector<T>& m, std::vector<T>& v, const std::vector<T>& g, int step) {
  const T lr(0.01f), b1(0.9f), b2(0.98f), eps(1e-8f), decay(0.1f);
  for (size_t i = 0; i < w.size(); ++i) {
    m[i] = b1 * m[i] + (T(1) - b1) * g[i];
    v[i] = b2 * v[i] + (T(1) - b2) * g[i] * g[i];
    const T mh = m[i] / (T(1) - std::pow(b1, T(step))), vh = v[i] / (T(1) - std::pow(b2, T(step)));
    w[i] = w[i] - lr * (mh / (std::sqrt(vh) + eps) + decay * w[i]);
  }
}

TEST(Optimize, AdamwIsThePaperStep) {
  const SettingsBack back;
  for (int64_t n : {1, 13, 40000}) {
    const Tensor w = normals({n}, 1), m = Tensor::zeros({n}), v = Tensor::zeros({n});
    auto wd = numbers<double>({w, m, v});
    auto wf = numbers<float>({w, m, v});
    Tensor w1 = w.clone(), m1 = m.clone(), v1 = v.clone();
    for (int step = 1; step <= 5; ++step) {
      const Tensor g = normals({n}, 10 + uint64_t(step));
      plain_adamw(wd[0], wd[1], wd[2], numbers<double>({g})[0], step);
      plain_adamw(wf[0], wf[1], wf[2], numbers<float>({g})[0], step);
      set_threads(1);
      cpu::adamw(w.data(), m.data(), v.data(), g.data(), 0.01f, 0.9f, 0.98f, 1e-8f, 0.1f, step, n);
      set_threads(3);
      cpu::adamw(w1.data(), m1.data(), v1.data(), g.data(), 0.01f, 0.9f, 0.98f, 1e-8f, 0.1f, step, n);
    }
    EXPECT_TRUE(same_bits(w, w1) && same_bits(m, m1) && same_bits(v, v1));
    const Tensor* got[] = {&w, &m, &v};
    for (int k = 0; k < 3; ++k) {
      Compare value(join("adamw ", n, " part ", k));
      for (int64_t i = 0; i < n; ++i) value(wd[k][size_t(i)], wf[k][size_t(i)], got[k]->data()[i]);
    }
  }
}

template <class T>
std::vector<T> plain_newton_schulz(std::vector<T> x, int64_t R, int64_t C) {
  T sum(0.0);
  for (auto& e : x) sum = sum + e * e;
  using std::sqrt;
  const T norm = sqrt(sum) + T(1e-7);
  for (auto& e : x) e = e / norm;
  for (int step = 0; step < 5; ++step) {
    // The short side's products, as every description of it has them: X <- a X + b (X X^T) X + c (X X^T)^2 X
    std::vector<T> A(size_t(R * R), T(0.0)), P(A), y(x.size(), T(0.0));
    for (int64_t i = 0; i < R; ++i)
      for (int64_t j = 0; j < R; ++j)
        for (int64_t k = 0; k < C; ++k)
          A[size_t(i * R + j)] = A[size_t(i * R + j)] + x[size_t(i * C + k)] * x[size_t(j * C + k)];
    for (int64_t i = 0; i < R; ++i)
      for (int64_t j = 0; j < R; ++j) {
        T s(0.0);
        for (int64_t k = 0; k < R; ++k) s = s + A[size_t(i * R + k)] * A[size_t(k * R + j)];
        P[size_t(i * R + j)] = T(-4.7750) * A[size_t(i * R + j)] + T(2.0315) * s;
      }
    for (int64_t i = 0; i < R; ++i)
      for (int64_t k = 0; k < C; ++k) {
        T s(0.0);
        for (int64_t j = 0; j < R; ++j) s = s + P[size_t(i * R + j)] * x[size_t(j * C + k)];
        y[size_t(i * C + k)] = T(3.4445) * x[size_t(i * C + k)] + s;
      }
    x = y;
  }
  return x;
}

TEST(Optimize, NewtonSchulz) {
  const SettingsBack back;
  for (const Precision p : plain_precisions())
    for (const auto& [R, C] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {7, 13}, {13, 7}, {35, 50}, {64, 176}}) {
      set_precision(p);
      const Tensor g = normals({R, C}, 1), g1 = g.clone();
      const auto d = plain_newton_schulz(numbers<double>({g})[0], R, C);
      const auto f = plain_newton_schulz(numbers<float>({g})[0], R, C);
      const auto b = plain_newton_schulz(numbers<Bf>({g})[0], R, C);
      set_threads(1);
      cpu::newton_schulz(g.data(), R, C);
      set_threads(3);
      cpu::newton_schulz(g1.data(), R, C);
      EXPECT_TRUE(same_bits(g, g1));
      Compare value(join("newton_schulz ", R, "x", C, p == Precision::bf16 ? " bf16" : ""));
      for (int64_t i = 0; i < R * C; ++i)
        value(d[size_t(i)], p == Precision::bf16 ? double(b[size_t(i)]) : double(f[size_t(i)]), g.data()[i]);
    }
}

TEST(Optimize, SquareSumHasOneOrder) {
  const SettingsBack back;
  for (int64_t n : {1, 13, 16384, 100003}) {
    const Tensor x = normals({n}, 1);
    double truth = 0;
    float naive = 0;
    for (float e : x.floats()) truth += double(e) * e, naive += e * e;
    set_threads(1);
    const double one = cpu::square_sum(x.data(), n);
    set_threads(3);
    EXPECT_EQ(one, cpu::square_sum(x.data(), n));
    Compare(join("square_sum ", n))(truth, naive, one);
  }
}

TEST(Optimize, AllFiniteSeesEveryPlace) {
  Tensor x = normals({40001}, 1);
  EXPECT_TRUE(cpu::all_finite(x.data(), x.count()));
  for (float bad : {INFINITY, -INFINITY, NAN, -NAN})
    for (int64_t i : {0, 16383, 16384, 40000}) {
      const float was = x.data()[i];
      x.data()[i] = bad;
      EXPECT_FALSE(cpu::all_finite(x.data(), x.count())) << bad << " at " << i;
      x.data()[i] = was;
    }
}

TEST(Optimize, Lerp) {
  const Tensor y = normals({33}, 1), y0 = y.clone(), x = normals({33}, 2);
  cpu::lerp(y.data(), x.data(), 0.25f, 33);
  Compare value("lerp");
  for (int i = 0; i < 33; ++i) {
    const float a = y0.data()[i], b = x.data()[i];
    value(0.75 * a + 0.25 * b, 0.75f * a + 0.25f * b, y.data()[i]);
  }
}

}  // namespace
}  // namespace duet
