// One op on the CPU and on the card. In f32 only the order of sums separates the two. In bf16 the CPU's op runs in f32 on
// inputs rounded as the card's are; what the card then stores is off by half a unit in the last place of bf16, 2^-9 of its
// size.
#pragma once
#include "kernels/device.h"
#include "tests/kernels/gradcheck.h"
#ifdef DUET_HOST_SHIM
#include <cuda_shim.h>
#endif

namespace duet {

#ifdef DUET_HOST_SHIM
inline const std::vector<int> kOrders{0, 1, 7};
inline void set_thread_order(int o) { shim::set_order(o); }
#else
inline const std::vector<int> kOrders{0};
inline void set_thread_order(int) {}
#endif

// The device and the settings of the process as they were.
struct DeviceBack {
  const SettingsBack settings;
  const Device was = device();
  ~DeviceBack() { set_device(was); }
};
struct CardNow : DeviceBack {
  CardNow() { set_device(Device::cuda), set_precision(Precision::f32); }
};

// A tensor as an activation (bf16 where `narrow`) or parameter on the card.
inline Tensor send(const Tensor& t, bool narrow) {
  const Tensor there = t.to(Device::cuda);
  if (!narrow) return there;
  const Tensor h(t.shape(), DType::bf16, Device::cuda);
  kernels(Device::cuda).convert(h, there);
  return h;
}
inline Tensor fetch(const Tensor& t) {
  if (t.dtype() == DType::f32) return t.to(Device::cpu);
  const Tensor wide(t.shape(), DType::f32, t.device());
  kernels(t).convert(wide, t);
  return wide.to(Device::cpu);
}

// sum of y * r, whatever the type of y
inline Var dot_on_card(const Var& y, const Tensor& r, bool narrow) {
  const Tensor there = send(r, narrow && y.value().dtype() == DType::bf16);
  Tensor s = Tensor::zeros({1}, DType::f32, Device::cuda);
  return record(s, {y}, [=](Var::Node&) { y.set_grad(there.reshape(y.shape())); });
}

inline double relative_error(const Tensor& want, const Tensor& got) {
  double e = 0, s = 0;
  for (int64_t i = 0; i < want.count(); ++i)
    e += std::pow(double(want.data()[i]) - got.data()[i], 2), s += std::pow(double(want.data()[i]), 2);
  return std::sqrt(e / s);
}

template <class Op>
Made run_on_card(const std::vector<Tensor>& in, const std::vector<bool>& activation, const Tensor& r, bool narrow, Op op) {
  std::vector<Var> vars;
  for (size_t i = 0; i < in.size(); ++i) vars.emplace_back(send(in[i], narrow && activation[i]), true);
  const Var y = op(vars);
  dot_on_card(y, r, narrow).backward();
  Made m{fetch(y.value()), {}};
  for (const Var& v : vars) m.grads.push_back(v.has_grad() ? fetch(v.grad()) : Tensor());
  return m;
}

inline Tensor rounded_copy(const Tensor& t) {
  Tensor r = t.clone();
  for (float& x : r.floats()) x = round_bf16(x);
  return r;
}

// `steps`: 2^-24 or 2^-9, a half unit of the type that values are stored in. Each value is held to a few of these of its own
// size and of the size of what was summed for it, for which the largest of the tensor stands, or `terms` where terms cancel.
inline void expect_close(const Tensor& want, const Tensor& got, double half_unit, const std::string& what, double terms = 0) {
  ASSERT_EQ(want.shape(), got.shape()) << what;
  double most = terms, error = 0;
  for (int64_t i = 0; i < want.count(); ++i) {
    most = std::max<double>(most, std::abs(want.data()[i]));
    const double e = std::abs(double(want.data()[i]) - got.data()[i]);
    error = std::isfinite(got.data()[i]) ? std::max(error, e) : INFINITY;
  }
  EXPECT_LE(error, 8 * half_unit * most + 1e-30) << what << ": largest " << most;
}

// op on both devices; activation[i]: input i is an activation, bf16 in the second round.
template <class Op>
void check_both(const std::string& name, std::vector<Tensor> in, const std::vector<bool>& activation, Op op) {
  const SettingsBack back;
  const Device was = device();
  set_device(Device::cuda);
  set_precision(Precision::f32);
  const auto with_r = [&](const std::vector<Tensor>& in) {
    std::vector<Var> vars;
    for (const Tensor& t : in) vars.emplace_back(t, false);
    const NoGrad off;
    return normals(op(vars).shape(), 99);
  };
  const Tensor r = rounded_copy(with_r(in));
  double largest = 0;  // gradients are sums of r times values near 1
  for (float x : r.floats()) largest = std::max<double>(largest, std::abs(x));
  for (const bool narrow : {false, true}) {
    if (narrow)
      for (size_t i = 0; i < in.size(); ++i) in[i] = rounded_copy(in[i]);
    set_precision(Precision::f32);
    const Made want = run_op(in, std::vector<bool>(in.size(), true), r, op);
    set_precision(narrow ? Precision::bf16 : Precision::f32);
    Made first;
    for (int order : kOrders) {
      set_thread_order(order);
      const Made got = run_on_card(in, activation, r, narrow, op);
      const std::string what = name + (narrow ? " bf16" : "");
      if (order == kOrders[0]) {
        first = got;
        expect_close(want.y, got.y, narrow ? 0x1p-9 : 0x1p-22, what);
        for (size_t i = 0; i < in.size(); ++i)
          expect_close(want.grads[i], got.grads[i], narrow ? 0x1p-9 : 0x1p-22, what + " gradient " + std::to_string(i),
                       largest);
      } else {
        EXPECT_TRUE(same_bits(first.y, got.y)) << what << ": threads in order " << order;
        for (size_t i = 0; i < in.size(); ++i)
          EXPECT_TRUE(same_bits(first.grads[i], got.grads[i])) << what << ": gradient " << i << ", threads in order " << order;
      }
    }
    set_thread_order(0);
  }
  set_device(was);
}

}  // namespace duet
