// Modules: a struct of parameters and child modules plus a call operator. No base-class forward().
#pragma once
#include <functional>
#include <string>

#include "kernels/ops.h"
#include "kernels/random.h"

namespace duet {

// visit(name, Var&) is called for every parameter: saving, loading, optimising and counting are all visits.
using Visit = std::function<void(const std::string& name, Var&)>;

// Initial values: a stream of normals, one after another in the order modules are built.
struct Init {
  uint64_t seed = 1, next = 0;
  Var normal(Shape s, float std) {
    Tensor t(std::move(s));
    for (auto& x : t.floats()) x = std * duet::normal(seed, next++);
    return {t, true};
  }
  Var fill(Shape s, float v) {
    Tensor t(std::move(s));
    for (auto& x : t.floats()) x = v;
    return {t, true};
  }
};

struct Linear {
  Var w, b;  // (O,C), (O) or none
  Linear() = default;
  Linear(int64_t C, int64_t O, Init& i, float gain = 1, bool bias = false)
      : w(gain == 0 ? i.fill({O, C}, 0) : i.normal({O, C}, gain / std::sqrt(float(C)))) {
    if (bias) b = i.fill({O}, 0);
  }
  Var operator()(const Var& x) const { return linear(x, w, b); }
  void params(const std::string& at, const Visit& v) {
    v(at + ".weight", w);
    if (b) v(at + ".bias", b);
  }
};

// Pre-norm transformer block for packed sequences of text and picture tokens. Row 0 of `own` modulates text; row 1, shifted
// by the noise level's t, modulates pictures (adaLN-single, arXiv 2310.00426). W = 6C: scale, shift, gate of attention,
// then of the feed-forward. Gates start at 1 and the last linear of each branch at 0, so a new block is the identity.
struct Block {
  int64_t C, heads;
  float theta;
  Linear qkv, proj, up, down;
  Var gain_q, gain_k;  // (D)
  Var own;             // (1 or 2, 6C)
  Block(int64_t C, int64_t heads, int64_t F, float theta, bool pictures, Init& i);
  // x (N,C); t (R,6C) or none. With `cache` and how many tokens of each sequence it holds, x are the tokens that
  // follow; Layout::limit then counts from the start of the sequence. (With Layout::to, `used` is not asked for.)
  Var operator()(const Var& x, const Layout&, const Var& t, KvCache* cache = nullptr,
                 const std::vector<int32_t>* used = nullptr) const;
  void params(const std::string& at, const Visit& v) {
    qkv.params(at + ".qkv", v), proj.params(at + ".proj", v), up.params(at + ".up", v), down.params(at + ".down", v);
    v(at + ".gain_q", gain_q), v(at + ".gain_k", gain_k), v(at + ".own", own);
  }
};

// All parameters of a model in two flat buffers, values and gradients; the model's Vars become views of them.
struct Flat {
  struct Entry {
    std::string name;
    Shape shape;
    int64_t first;
  };
  std::vector<Entry> entries;
  Tensor values, grads;  // (n)
  int64_t n = 0;
  void changed() const;  // call after writing to values: refreshes their bf16 twin, which products on a card read
};
// Moves the parameters to `device`.
Flat flatten(const std::function<void(const Visit&)>& params, Device device = Device::cpu);

}  // namespace duet
