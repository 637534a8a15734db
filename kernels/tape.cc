#include "kernels/tape.h"

#include <algorithm>
#include <unordered_set>

#include "kernels/device.h"

namespace duet {

static thread_local bool recording = true;
static thread_local int64_t next_order = 0;

NoGrad::NoGrad() : was(recording) { recording = false; }
NoGrad::~NoGrad() { recording = was; }

Var::Var(Tensor value, bool wants_grad) : node_(std::make_shared<Node>()) {
  node_->value = std::move(value);
  node_->wants_grad = wants_grad;
  node_->order = next_order++;
}

Tensor& Var::grad() const {
  if (!node_->grad) node_->grad = Tensor::zeros(shape(), value().dtype(), value().device());
  return node_->grad;
}

bool records(const std::vector<Var>& inputs) {
  return recording && std::any_of(inputs.begin(), inputs.end(), [](auto& v) { return v.wants_grad(); });
}

Var record(Tensor y, std::vector<Var> inputs, std::function<void(Var::Node&)> backward) {
  const bool wants = records(inputs);
  Var out(std::move(y), wants);
  if (wants) out.node_->inputs = std::move(inputs), out.node_->backward = std::move(backward);
  return out;
}

void Var::backward() const {
  CHECK(value().count() == 1, "backward() starts from a scalar, not ", shape());
  std::vector<std::shared_ptr<Node>> nodes;
  std::unordered_set<Node*> seen;
  for (std::vector<std::shared_ptr<Node>> todo{node_}; !todo.empty();) {
    auto n = todo.back();
    todo.pop_back();
    if (!n || !n->wants_grad || !seen.insert(n.get()).second) continue;
    for (auto& v : n->inputs) todo.push_back(v.node_);
    nodes.push_back(std::move(n));
  }
  std::sort(nodes.begin(), nodes.end(), [](auto& a, auto& b) { return a->order > b->order; });
  kernels(value()).fill(grad(), 1);
  for (auto& n : nodes) {
    if (!n->backward) continue;
    if (n->grad) n->backward(*n);
    n->backward = nullptr, n->inputs.clear(), n->grad = {};  // free saved tensors as we go
  }
}

}  // namespace duet
