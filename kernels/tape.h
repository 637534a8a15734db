// Var: a Tensor that remembers how it was made, so that backward() can fill the gradients of its inputs.
// Not thread-safe: one tape a thread.
#pragma once
#include <functional>

#include "kernels/tensor.h"

namespace duet {

class Var {
 public:
  struct Node {
    Tensor value, grad;  // grad is allocated, as zeros, when something first adds into it
    bool wants_grad = false;
    std::vector<Var> inputs;
    std::function<void(Node&)> backward;  // adds into the grads of inputs; empty for leaves
    int64_t order = 0;                    // creation order, which is a topological order
  };

  Var() = default;
  Var(Tensor value, bool wants_grad = false);
  const Tensor& value() const { return node_->value; }
  const Shape& shape() const { return value().shape(); }
  int64_t dim(size_t i) const { return value().dim(i); }
  float* data() const { return value().data(); }
  bool wants_grad() const { return node_ && node_->wants_grad; }
  Tensor& grad() const;  // allocates
  bool has_grad() const { return node_ && bool(node_->grad); }
  float* d() const { return wants_grad() ? grad().data() : nullptr; }  // what a *_bwd kernel adds into; null: not wanted
  void set_value(Tensor t) const { node_->value = std::move(t); }
  void set_grad(Tensor t) const { node_->grad = std::move(t); }
  void set_wants_grad(bool w) const { node_->wants_grad = w; }
  void backward() const;  // from a scalar: seeds with 1
  explicit operator bool() const { return node_ != nullptr; }

  friend Var record(Tensor, std::vector<Var>, std::function<void(Node&)>);

 private:
  std::shared_ptr<Node> node_;
};

// While one of these lives, ops record nothing: inference and evaluation.
struct NoGrad {
  bool was;
  NoGrad();
  ~NoGrad();
};

// Whether a result of these would be recorded: some want a gradient and no NoGrad lives.
bool records(const std::vector<Var>& inputs);

// Called by ops: the result `y` of `inputs`, and how to send its gradient back.
Var record(Tensor y, std::vector<Var> inputs, std::function<void(Var::Node&)> backward);

}  // namespace duet
