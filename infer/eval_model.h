// What an evaluation asks of a model, as functions: tests stand in for it with a painter and a reader that are known.
// Nothing here names a tensor: a stand-in needs none.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "fusion/shards.h"
#include "infer/bestof.h"
#include "vision/image.h"

namespace duet {

struct Opened;       // infer/open.h
struct DrawOptions;  // infer/sampler.h

using UnitRows = std::vector<std::vector<float>>;  // (N,E)

struct EvalModel {
  std::function<std::vector<Image>(std::span<const std::string> prompts, std::span<const uint64_t> seeds)> draw;
  std::function<std::vector<std::string>(std::span<const Image>, bool korean)> caption;
  // Of each picture the captions of all beams, best first
  std::function<std::vector<std::vector<std::string>>(std::span<const Image>, bool korean)> captions;
  std::function<UnitRows(std::span<const Image>)> embed_pictures;
  std::function<UnitRows(std::span<const std::string>)> embed_texts;
  int size = 64;  // pixels a side of the pictures it is shown
};
// The real one. `opened` must live as long as the result.
EvalModel eval_model(const Opened& opened, const DrawOptions&, int beam);

// Gives the best of n drawings (infer/bestof.h) of each that is asked for, from its seed and mix(seed, 1), mix(seed, 2) ...
// `opened` must live as long as the result.
EvalModel best_of(const EvalModel&, const Opened& opened, const DrawOptions&, int n, BestBy);

// A line on stderr that is written over where stderr is a terminal, else now and then a new one: what, share, time left.
class Progress {
 public:
  Progress(std::string what, int64_t total);
  ~Progress();
  void at(int64_t done);

 private:
  using Clock = std::chrono::steady_clock;
  std::string what_;
  int64_t total_;
  bool terminal_;
  Clock::time_point start_ = Clock::now(), last_ = start_;
  bool written_ = false;
};
double seconds();  // of a steady clock, to take differences

// A data set's pictures with their words, decoded and framed as the model sees them (model_view), `size` pixels a side.
// A sample that cannot be read is named on stderr, counted and left out.
struct EvalSet {
  std::string name;  // the folder's name
  std::vector<std::string> keys;
  std::vector<Image> pictures;
  std::vector<Meta> meta;
  int64_t bad = 0;
};
EvalSet load_set(const std::string& dir, const std::string& split, int size, SplitBy = SplitBy::verb);

// The caption in that language, cleaned; empty where there is none.
std::string caption_in(const Meta&, bool korean);
inline const char* language(bool korean) { return korean ? "ko" : "en"; }

}  // namespace duet
