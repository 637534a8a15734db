// What ops are written with: an op makes its value by the kernels of the device where its input lies, and records how its
// gradient goes back. Only the files that define ops include this.
#pragma once
#include "kernels/device.h"
#include "kernels/ops.h"

namespace duet {

using Node = Var::Node;

inline const Kernels& on(const Var& v) { return kernels(v.value()); }

// An input where the op runs: constants may come from the host to an op on a card.
inline Var beside(const Var& v, const Var& other) {
  const Device d = other.value().device();
  if (!v || v.value().device() == d) return v;
  CHECK(!v.wants_grad(), "parameters lie on one device: ", v.shape(), " is not beside ", other.shape());
  return Var(v.value().to(d));
}

inline Tensor like(const Var& x, Shape s) { return Tensor(std::move(s), x.value().dtype(), x.value().device()); }
inline Tensor like(const Var& x) { return like(x, x.shape()); }
inline Tensor f32(const Var& x, Shape s) { return Tensor(std::move(s), DType::f32, x.value().device()); }
inline Tensor grad_of(const Var& v) { return v.wants_grad() ? v.grad() : Tensor(); }

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
inline void pass(const Var& x, const Tensor& dy) {
  if (!x.wants_grad()) return;
  if (!x.has_grad()) x.set_grad(dy.reshape(x.shape()));
  else on(x).add(x.grad(), x.grad(), dy);
}

inline bool on_host(const Tensor& t) { return t.device() == Device::cpu; }
inline const int32_t* ints(const Tensor& t) {
  CHECK(t.dtype() == DType::i32 && on_host(t), "indices are i32, on the host");
  return t.data<int32_t>();
}

}  // namespace duet
