// A model on disk: DIR/model.safetensors (F32 or BF16; config, provenance and tokenizer hash in __metadata__) beside
// DIR/tokenizer.json. The safetensors file alone may be named too; the tokenizer is then looked for beside it.
#pragma once
#include <map>
#include <memory>
#include <string>

#include "fusion/model.h"
#include "kernels/device.h"
#include "text/tokenizer.h"

namespace duet {

using Provenance = std::map<std::string, std::string>;  // "training": JSON and the like

void save_weights(const std::string& dir, Model&, const Tokenizer&, DType, const Provenance& = {});

// How a model draws where nobody says otherwise; "sampling" in __metadata__, where it is not the usual way.
struct Sampling {
  int steps = 24;       // 1..1000
  double guidance = 5;  // 0..100
  double shift = 3;     // 0.05..20, see step_time() of fusion/flow.h
  template <class V>
  void fields(V&& v) {
    v("steps", steps), v("guidance", guidance), v("shift", shift);
  }
};

struct Loaded {
  std::unique_ptr<Model> model;
  Tokenizer tokenizer;
  Provenance metadata;
  std::string path;
  uint64_t hash = 0;  // of the weights file
  Sampling sampling = {};
};
// Refuses a file that is not ours, is damaged, lacks a tensor or has another shape, or belongs to another tokenizer.
Loaded load_weights(const std::string& path, Device = device());

}  // namespace duet
