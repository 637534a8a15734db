// The optimizer over the flat buffer: Muon for the matrices of the blocks, AdamW for all else; clipping; EMA.
#pragma once
#include "kernels/module.h"

namespace duet {

struct OptimizerConfig {
  double lr = 1e-3;     // Muon's step is scaled to AdamW's size, 0.2 sqrt(max(rows, cols)) (arXiv 2502.16982)
  double adam = 1;      // AdamW's share of lr: embeddings, first and last layers want smaller steps than the blocks
  double decay = 0.02;  // of matrices
  double beta1 = 0.9, beta2 = 0.98, eps = 1e-8;
  double momentum = 0.95;  // Muon's, Nesterov
  double clip = 1.0;       // norm of the whole gradient
  double ema = 0.999;      // EMA of the weights, shorter at the start
  bool muon = true;
  template <class V>
  void fields(V&& v) {
    v("lr", lr), v("adam", adam), v("decay", decay), v("beta1", beta1), v("beta2", beta2), v("eps", eps),
        v("momentum", momentum);
    v("clip", clip), v("ema", ema), v("muon", muon);
  }
};

class Optimizer {
 public:
  Optimizer(Flat&, const OptimizerConfig&);
  // Applies f.grads with learning rate lr and clears them; step counts from 1. A non-finite gradient is not applied.
  struct Result {
    double norm;
    bool applied;
  };
  Result step(int64_t step, double lr);
  // The same without waiting for the device: returns (2), the gradient's norm and 0 where it was not applied. A loss (1) that
  // is not finite is not applied either. scale: the gradients are those of the loss times so much, a power of two.
  Tensor apply(int64_t step, double lr, const Tensor& loss = {}, float scale = 1);

  Tensor m, v, ema;  // (n) each; v of Muon's matrices stays 0

 private:
  struct Matrices {  // of equal shape
    int64_t rows, cols;
    Tensor at;  // where each starts in the flat buffer
  };
  Flat& f_;
  OptimizerConfig c_;
  std::vector<Matrices> matrices_;
  struct Range {
    int64_t first, n;
    bool decay;
  };
  std::vector<Range> rest_;
};

}  // namespace duet
