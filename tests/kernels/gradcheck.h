// One check for every differentiable op, against a plain loop written once as a template of its number type.
//   value     the loop in double is the truth; its error in plain f32 says how much rounding costs
//   gradient  the loop over dual numbers (forward mode: exact derivatives, no step to choose), again in double and in f32
//   bf16      the loop over Bf, a float whose products round both factors to bf16 as the tiles do
// Tolerance of a tensor = 2 x the largest error of the plain computation + 4 roundings of its largest element (an error of
// a few elements can be 0 by luck). Gradients are also checked with each input alone (the others' pointers are null) and
// when added to a gradient that is there; everything must be the same bits with 1, 2 and 3 threads.
#pragma once
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <vector>

#include "kernels/gemm.h"
#include "kernels/ops.h"
#include "kernels/parallel.h"
#include "kernels/random.h"
#include "tests/kernels/settings.h"

namespace duet {

inline float round_bf16(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x);
  return std::bit_cast<float>((u + 0x7fff + ((u >> 16) & 1)) & 0xffff0000u);
}

// To the nearest half, ties to even; beyond 65504 infinite.
inline float round_fp16(float x) {
  if (!std::isfinite(x) || x == 0) return x;
  const float unit = std::ldexp(1.0f, std::max(std::ilogb(x), -14) - 10), y = std::nearbyint(x / unit) * unit;
  return std::abs(y) > 65504 ? std::copysign(INFINITY, x) : y;
}

struct Bf {
  float v = 0;
  Bf() = default;
  Bf(double x) : v(float(x)) {}
  explicit operator double() const { return v; }
  explicit operator float() const { return v; }
  friend Bf operator+(Bf a, Bf b) { return {a.v + b.v}; }
  friend Bf operator-(Bf a, Bf b) { return {a.v - b.v}; }
  friend Bf operator-(Bf a) { return {-a.v}; }
  friend Bf operator*(Bf a, Bf b) { return {round_bf16(a.v) * round_bf16(b.v)}; }
  friend Bf operator/(Bf a, Bf b) { return {a.v / b.v}; }
  friend bool operator>(Bf a, Bf b) { return a.v > b.v; }
  friend Bf exp(Bf a) { return {std::exp(a.v)}; }
  friend Bf log(Bf a) { return {std::log(a.v)}; }
  friend Bf sqrt(Bf a) { return {std::sqrt(a.v)}; }
};

// A value and its derivative by one input.
template <class T>
struct Dual {
  T v{}, d{};
  Dual() = default;
  Dual(double x) : v(x) {}
  Dual(T x, T dx) : v(x), d(dx) {}
  explicit operator double() const { return double(v); }
  friend Dual operator+(Dual a, Dual b) { return {a.v + b.v, a.d + b.d}; }
  friend Dual operator-(Dual a, Dual b) { return {a.v - b.v, a.d - b.d}; }
  friend Dual operator-(Dual a) { return {-a.v, -a.d}; }
  friend Dual operator*(Dual a, Dual b) { return {a.v * b.v, a.d * b.v + a.v * b.d}; }
  friend Dual operator/(Dual a, Dual b) { return {a.v / b.v, (a.d - a.v / b.v * b.d) / b.v}; }
  friend bool operator>(Dual a, Dual b) { return a.v > b.v; }
  friend Dual exp(Dual a) {
    using std::exp;
    const T e = exp(a.v);
    return {e, e * a.d};
  }
  friend Dual log(Dual a) {
    using std::log;
    return {log(a.v), a.d / a.v};
  }
  friend Dual sqrt(Dual a) {
    using std::sqrt;
    const T s = sqrt(a.v);
    return {s, a.d / (T(2.0) * s)};
  }
};

template <class T>
using Arrays = std::vector<std::vector<T>>;

inline Tensor normals(Shape s, uint64_t seed, float std = 1, float mean = 0) {
  Tensor t(std::move(s));
  for (int64_t i = 0; i < t.count(); ++i) t.data()[i] = mean + std * normal(seed, uint64_t(i));
  return t;
}
inline Tensor ints(const std::vector<int32_t>& v) { return Tensor::ints(v); }
inline int below(uint64_t seed, uint64_t i, int n) { return int(mix(seed, i) % uint64_t(n)); }

// sum of y * r: a scalar that sees every output
inline Var dot_with(const Var& y, const Tensor& r) {
  Tensor s({1});
  double sum = 0;
  for (int64_t i = 0; i < r.count(); ++i) sum += double(y.data()[i]) * r.data()[i];
  s.data()[0] = float(sum);
  return record(s, {y}, [=](Var::Node& n) {
    for (int64_t i = 0; i < r.count(); ++i) y.d()[i] += n.grad.data()[0] * r.data()[i];
  });
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.bytes() == b.bytes() && std::memcmp(a.data<void>(), b.data<void>(), a.bytes()) == 0;
}

// What a comparison needs: the truth, what plain f32 or bf16 makes of it, what the kernel made of it.
class Compare {
 public:
  explicit Compare(std::string what) : what_(std::move(what)) {}
  ~Compare() {
    const double tolerance = 2 * naive_ + 4 * 0x1p-24 * most_;
    EXPECT_LE(error_, tolerance) << what_ << ": plain computation's error " << naive_ << ", largest element " << most_;
    if (std::getenv("DUET_SHOW_ERRORS") && most_ > 0)
      std::printf("%-60s error %.2e tolerance %.2e largest %.2e\n", what_.c_str(), error_, tolerance, most_);
  }
  void operator()(double truth, double naive, double got) {
    most_ = std::max(most_, std::abs(truth));
    naive_ = std::max(naive_, std::abs(naive - truth));
    error_ = std::isfinite(got) ? std::max(error_, std::abs(got - truth)) : INFINITY;
  }

 private:
  std::string what_;
  double most_ = 0, naive_ = 0, error_ = 0;
};

template <class T>
Arrays<T> numbers(const std::vector<Tensor>& in) {
  Arrays<T> out;
  for (const Tensor& t : in) {
    auto& a = out.emplace_back();
    for (float x : t.floats()) a.push_back(T(double(x)));
  }
  return out;
}

struct Made {
  Tensor y;
  std::vector<Tensor> grads;
};

// The op's value and gradients of <r, y>; `twice`: of the sum of two calls, so that gradients are added to.
template <class Op>
Made run_op(const std::vector<Tensor>& in, const std::vector<bool>& wanted, const Tensor& r, Op op, bool twice = false) {
  std::vector<Var> vars;
  for (size_t i = 0; i < in.size(); ++i) vars.emplace_back(in[i], wanted[i]);
  const Var y = op(vars);
  Var loss = dot_with(y, r);
  if (twice) loss = weighted_sum({{loss, 1.0f}, {dot_with(op(vars), r), 1.0f}});
  loss.backward();
  Made m{y.value(), {}};
  for (const Var& v : vars) m.grads.push_back(v.has_grad() ? v.grad() : Tensor());
  return m;
}

// The gradients of <r, y> as the textbook's backward pass gives them with products rounded to bf16, where forward mode would
// round at other places.
using RoundedGradients = std::function<Arrays<double>(const Arrays<Bf>& in, const Tensor& r)>;

// op: vector<Var> -> Var. plain: Arrays<T> -> vector<T>, the same as loops. `fixed` inputs get no gradient. `samples`: how
// many elements of each input are differentiated (first and last always).
template <class Op, class Plain>
void check_op(const std::string& name, const std::vector<Tensor>& in, Op op, Plain plain, int samples = 24,
              const std::vector<bool>& fixed = {}, bool rounds = false, const RoundedGradients& rounded = {}) {
  const SettingsBack back;
  std::vector<bool> wanted(in.size(), true);
  for (size_t i = 0; i < fixed.size(); ++i) wanted[i] = !fixed[i];
  const auto truth = plain(numbers<double>(in));
  const Tensor r = normals({int64_t(truth.size())}, 99);
  for (const Precision p : rounds ? plain_precisions() : std::vector{Precision::f32}) {
    const bool bf = p == Precision::bf16;
    const std::string at = name + (bf ? " bf16" : "");
    set_precision(p);
    set_threads(1);
    const Made one = run_op(in, wanted, r, op), two = run_op(in, wanted, r, op, true);
    ASSERT_EQ(one.y.count(), int64_t(truth.size())) << at;
    for (int n : {2, 3}) {
      set_threads(n);
      const Made other = run_op(in, wanted, r, op);
      EXPECT_TRUE(same_bits(one.y, other.y)) << at << ": value differs with " << n << " threads";
      for (size_t i = 0; i < in.size(); ++i)
        EXPECT_TRUE(!wanted[i] || same_bits(one.grads[i], other.grads[i]))
            << at << ": gradient " << i << " differs with " << n << " threads";
    }
    {
      Compare value(at);
      const auto f = plain(numbers<float>(in));
      const auto b = bf ? plain(numbers<Bf>(in)) : std::vector<Bf>();
      for (size_t i = 0; i < truth.size(); ++i) value(truth[i], bf ? double(b[i]) : double(f[i]), one.y.data()[i]);
    }
    for (size_t i = 0; i < in.size(); ++i) {
      if (!wanted[i]) {
        EXPECT_FALSE(one.grads[i]) << at << ": input " << i << " has a gradient that nobody wants";
        continue;
      }
      std::vector<bool> alone(in.size(), false);
      alone[i] = true;
      const Made single = run_op(in, alone, r, op);
      EXPECT_TRUE(same_bits(single.grads[i], one.grads[i])) << at << ": gradient " << i << " differs when wanted alone";
      Compare grad(at + " gradient " + std::to_string(i)), added(at + " added gradient " + std::to_string(i));
      const int64_t n = in[i].count();
      const auto derivative = [&]<class T>(T, int64_t e) {
        auto d = numbers<Dual<T>>(in);
        d[i][size_t(e)].d = T(1.0);
        T sum(0.0);
        const auto y = plain(d);
        for (size_t j = 0; j < y.size(); ++j) sum = sum + T(double(r.data()[j])) * y[j].d;
        return double(sum);
      };
      const auto backward = bf && rounded ? rounded(numbers<Bf>(in), r) : Arrays<double>();
      for (int64_t s = 0; s < std::min<int64_t>(n, samples); ++s) {
        const int64_t e = n <= samples ? s : s == 0 ? 0 : s == 1 ? n - 1 : below(7 + i, uint64_t(s), int(n));
        const double d = derivative(double(), e);
        const double plain_d = !backward.empty() ? backward[i][size_t(e)] : bf ? derivative(Bf(), e) : derivative(float(), e);
        grad(d, plain_d, one.grads[i].data()[e]);
        added(2 * d, 2 * plain_d, two.grads[i].data()[e]);
      }
    }
  }
}

}  // namespace duet
