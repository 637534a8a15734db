// The 3x3 convolution: by the device's own where it has one for what is asked, else as a product over gathered neighbours.
#include <algorithm>

#include "kernels/record.h"

namespace duet {

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
  const auto [least, most] = std::minmax_element(ints(at.near), ints(at.near) + 9 * N);
  CHECK(N == 0 || (*least >= -1 && *most < N), "neighbours ", *least, " to ", *most, " of ", N, " rows");
  Tensor y = like(x, {N, O});
  if (!k.conv3x3(y, x.value(), w.value(), b ? b.value() : Tensor(), at)) {
    y = {};
    return linear(reshape(gather(x, Var(zeros_row(x)), at.near), {N, 9 * C}), w, b);
  }
  return record(y, b ? std::vector<Var>{x, w, b} : std::vector<Var>{x, w}, [=, &k](Node& n) {
    if (x.wants_grad()) {
      if (const Tensor dx = like(x); k.conv3x3_dx(dx, n.grad, w.value(), at)) {
        pass(x, dx);
      } else {
        const Tensor near = like(x, {9 * N, C});
        k.gemm(near.reshape({N, 9 * C}), n.grad, false, w.value(), false, false);
        k.gather_bwd(x.grad(), {}, near, at.near);
      }
    }
    if (w.wants_grad() && !k.conv3x3_dw(w.grad(), n.grad, x.value(), at)) {
      const Tensor near = like(x, {9 * N, C});
      k.gather(near, x.value(), zeros_row(x), at.near);
      k.gemm(w.grad(), n.grad, true, near.reshape({N, 9 * C}), false, true);
    }
    if (b && b.wants_grad()) k.column_sum(b.grad(), n.grad);
  });
}

}  // namespace duet
