// A model opened for use: found, loaded, its precision chosen, its weights packed once for the matrix products.
#pragma once
#include <memory>
#include <string>

#include "fusion/weights.h"
#include "kernels/gemm.h"

namespace duet {

inline constexpr const char* kVersion = "0.1.0";

struct OpenOptions {
  std::string weights;             // folder or safetensors file; empty: see find_weights
  std::string precision = "auto";  // f32, bf16, fp16, or auto: bf16 on a card; on a CPU what is fastest there
  std::string quantize = "none";   // the blocks' weights: int8, on a card or a CPU with AVX-512 VNNI; int4, fp8: on a card
  std::string device = "auto";     // cuda, cpu, or auto: cuda where a card answers
  int threads = 0;                 // 0: as many as the machine has (or DUET_THREADS)
};

struct Opened {
  Loaded loaded;
  std::unique_ptr<Frozen> frozen;  // the weights do not change while this lives
  std::string name;                // the weights' folder: "xs"
  const Model& model() const { return *loaded.model; }
  const Tokenizer& tokenizer() const { return loaded.tokenizer; }
  int size() const { return int(loaded.model->config.size); }
};

inline constexpr const char* kUsualWeights = "xs-128";
inline constexpr const char* kShippedWeights = "xs-128, xs, xs-fast";  // for a person
// `given`, else $DUET_WEIGHTS, else kUsualWeights: a path, or, where there is none of that name, the name of weights that ship,
// looked for as assets/NAME beside the program, above it and in the current folder. Refuses when there are not even the usual
// ones, saying where it looked and how to get some.
std::string find_weights(const std::string& given);

// Sets threads, device and precision for the whole program.
Opened open_model(const OpenOptions&);

}  // namespace duet
