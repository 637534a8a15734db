// Draws pictures: integrates the flow from noise (t = 0) to the picture (t = 1) under the words.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fusion/model.h"
#include "text/tokenizer.h"

namespace duet {

struct DrawOptions {
  int steps = 24;          // evaluations along the way (Heun: twice as many)
  double guidance = 3;     // x = without + guidance (with - without); 1: no second pass
  double shift = 3;        // > 1: more of the steps near noise, where the words decide what goes where (arXiv 2403.03206, 5.3.2)
  bool heun = false;       // second-order steps
  int width = 0, height = 0;  // 0: the size the model was trained at; multiples of the patch
};
struct DrawRequest {
  std::vector<int> prompt;    // language mark and caption, no end: see prompt_ids
  std::vector<int> negative;  // what to steer away from; empty: the text of no words
  uint64_t seed = 0;
};

// A picture to start from, of the size that is drawn.
struct Given {
  std::vector<float> pixels;    // (H,W,4), see vision/patch.h
  std::vector<uint8_t> change;  // (H,W): 0 stays as given, anything else is drawn anew; empty: all of it
  double strength = 1;          // (0, 1]: share of the way from noise that is walked; 1: `pixels` matter only where they stay
};

// <|en|> or <|ko|> (where it holds Hangul) and the cleaned caption's tokens, at most `most`
std::vector<int> prompt_ids(const Tokenizer&, const std::string& text, int most = 64);

// One picture on its way. Made on any thread; taken further by one FlowBatch.
class Drawing {
 public:
  // Refuses a size that is no multiple of the patch and a Given of another size.
  Drawing(const Model&, const Tokenizer&, const DrawRequest&, const DrawOptions&, const Given* = nullptr);
  bool done() const { return step_ >= options_.steps; }
  int step() const { return step_; }    // steps taken, those left out by Given::strength counted
  int steps() const { return options_.steps; }
  int width() const { return options_.width; }
  int height() const { return options_.height; }
  int64_t rows() const { return P_ * (guided() ? 2 : 1); }  // rows of the model's pass: what it costs
  std::vector<float> guess() const;                         // (H,W,4): the model's present one; after a step
  std::vector<float> pixels() const;                        // (H,W,4): the picture, when done

 private:
  friend class FlowBatch;
  struct Words {  // of every fusion block, (used, C)
    std::vector<Tensor> k, v;
    int32_t used = 0;
  };
  bool guided() const { return options_.guidance != 1; }
  float time(int s) const;  // 0 .. 1
  void take(const float* with, const float* without);

  uint64_t id_;
  DrawRequest request_;
  DrawOptions options_;
  int64_t patch_, P_, V_;
  Tensor z_, guess_;                // (P,V)
  Tensor end_, velocity_;           // of a Heun step between its two evaluations
  Tensor given_;                    // (P,V); none: nothing stays
  std::vector<uint8_t> stays_;      // (P V)
  Words words_[2];                  // with, without
  int step_ = 0;
  bool second_ = false;             // the next evaluation is the second of a Heun step
};

// Takes drawings further, together: each call is one evaluation of the model for each of them. Sizes, steps, guidance and
// times may differ, and any drawing may join or leave between calls: what becomes of it depends on itself alone, bit for bit.
class FlowBatch {
 public:
  FlowBatch(const Model&, const Tokenizer&);
  void advance(std::span<Drawing* const>);  // none of them done

 private:
  void read_words(std::span<Drawing* const>);
  void arrange(std::span<Drawing* const>);
  const Model& model_;
  const Tokenizer& tokenizer_;
  std::vector<uint64_t> members_;  // ids that the rest is arranged for
  std::vector<Tensor> room_;       // keys and values of every fusion block
  std::vector<KvCache> caches_;    // in it: words of every sequence, and place for its picture
  std::vector<int32_t> used_;
  Layout stem_, joint_;
  Tensor twins_, heads_;  // row of the stem, row of the modulation, for every row of the pass
  int64_t rows_ = 0;      // of the stem
};

// (B, height, width, 4) values of pixels, see vision/patch.h; each depends on its own request alone, bit for bit.
// progress(step, pictures so far), if given, is called after each step with the model's present guess.
std::vector<float> draw(const Model&, const Tokenizer&, const std::vector<DrawRequest>&, const DrawOptions&,
                        const std::function<void(int step, const float* guess)>& progress = {});

}  // namespace duet
