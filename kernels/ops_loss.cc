// Losses: a number each, on the device.
#include <unordered_map>

#include "kernels/record.h"

namespace duet {

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

}  // namespace duet
