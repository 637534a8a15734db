// A model on disk: DIR/model.safetensors (F32 or BF16; config, provenance and tokenizer hash in __metadata__) beside
// DIR/tokenizer.json. The safetensors file alone may be named too; the tokenizer is then looked for beside it.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

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
  std::vector<std::string> styles = {};  // that its training pictures were said to have, the commonest first; {}: not known
};
// Styles as one line of __metadata__, "styles": "emoji, line icon"; and back. A comma ends a style, as in captions.
std::string styles_line(const std::vector<std::string>&);
std::vector<std::string> styles_of_line(const std::string&);  // up to kMostStyles, without spaces around and empty ones
constexpr size_t kMostStyles = 64;

// Refuses a file that is not ours, is damaged, lacks a tensor or has another shape, or belongs to another tokenizer.
Loaded load_weights(const std::string& path, Device = device());

}  // namespace duet
