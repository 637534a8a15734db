// Drawings that share the model's passes while they last: each has its own size, steps, guidance and time, and may join
// or leave between two passes. draw() of infer/sampler.h is the same sampler for requests that begin and end together;
// its pictures are the same, bit for bit.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "infer/flowpass.h"
#include "infer/sampler.h"

namespace duet {

// A picture to start from, of the size that is drawn.
struct Given {
  std::vector<float> pixels;    // (H,W,4), see vision/patch.h
  std::vector<uint8_t> change;  // (H,W): 0 stays as given, anything else is drawn anew; empty: all of it
  double strength = 1;          // (0, 1]: share of the way from noise that is walked; 1: `pixels` matter only where they stay
};

// One picture on its way. Made on any thread; taken further by one FlowBatch.
class Drawing {
 public:
  // Refuses a size that is no multiple of the patch and a Given of another size.
  Drawing(const Model&, const Tokenizer&, const DrawRequest&, const DrawOptions&, const Given* = nullptr);
  bool done() const { return step_ >= options_.steps; }
  int step() const { return step_; }  // steps taken, those left out by Given::strength counted
  int steps() const { return options_.steps; }
  int first_step() const { return first_; }  // those left out
  int width() const { return options_.width; }
  int height() const { return options_.height; }
  int64_t rows() const { return P_ * (options_.guidance != 1 ? 2 : 1); }  // of a model's pass, at most: what it costs
  std::vector<float> guess() const;                                       // (H,W,4): the model's present one; after a step
  std::vector<float> pixels() const;                                      // (H,W,4): the picture, when done

 private:
  friend class FlowBatch;
  struct Words {  // of every fusion block, (used, C)
    std::vector<Tensor> k, v;
    int32_t used = 0;
  };
  float time() const { return step_time(options_, step_ + second_); }  // of the next evaluation
  bool guided() const { return guided_at(options_, time()); }
  int64_t next_rows() const { return P_ * (guided() ? 2 : 1); }  // of the next pass
  void take(const float* with, const float* without);

  uint64_t id_;
  DrawRequest request_;
  DrawOptions options_;
  int64_t patch_, P_, V_;
  Tensor z_, guess_;            // (P,V)
  Tensor end_, velocity_;       // of a Heun step between its two evaluations
  Tensor given_;                // (P,V); none: nothing stays
  std::vector<uint8_t> stays_;  // (P V)
  Words words_[2];              // with, without (where there is guidance at any time)
  int step_ = 0, first_ = 0;
  bool second_ = false;  // the next evaluation is the second of a Heun step
};

// Takes drawings further, together: each call is one evaluation of the model for each of them. Sizes, steps, guidance
// and times may differ, and any drawing may join or leave between calls: what becomes of it depends on itself alone,
// bit for bit.
class FlowBatch {
 public:
  FlowBatch(const Model&, const Tokenizer&);
  void advance(std::span<Drawing* const>);  // none of them done

 private:
  void read_words(std::span<Drawing* const>);
  void arrange(std::span<Drawing* const>);
  const Model& model_;
  const Tokenizer& tokenizer_;
  std::vector<std::pair<uint64_t, bool>> members_;  // ids, and whether guided, that the rest is arranged for
  std::vector<KvCache> caches_;                     // words of every sequence, and room for its picture
  std::vector<int32_t> used_;
  std::unique_ptr<FlowPass> pass_;
  int64_t rows_ = 0;  // of the stem
};

}  // namespace duet
