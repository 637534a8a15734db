// Loader: the batches of train/samples.h, decoded ahead on threads of its own. A run resumed at step k sees what the
// uninterrupted run saw.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "train/samples.h"

namespace duet {

class Loader {
 public:
  struct Stats {
    std::map<std::string, int64_t> bad;  // distinct samples skipped so far, by reason
    int64_t batches = 0;                 // given by next()
    double wait_s = 0;                   // time next() stood waiting
    int64_t cached = 0;                  // pictures held decoded
    int64_t captions = 0, cut = 0;       // as BatchMaker's
    int longest = 0;
  };
  Loader(DataConfig, Tokenizer, uint64_t seed);
  ~Loader();
  Batch next();                    // the batch of the current step, then one step on
  void seek(int64_t step);         // the step that next() gives next
  Batch make(int64_t step) const;  // what next() gives at that step
  Stats stats() const;
  int64_t samples() const;                  // in all dirs
  std::vector<std::string> styles() const;  // that any of them are said to have (Meta::style), the commonest first

 private:
  struct State;
  std::unique_ptr<State> s_;
};

}  // namespace duet
