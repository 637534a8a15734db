// Texts that follow pictures, a token of each a step: text stem and fusion blocks over the last tokens alone, the rest being in
// their caches, then the choice of the next tokens where the logits lie. On a card the step is recorded and replayed
// (kernels/replay.h): what differs from step to step lies in tensors that are written anew, and only the chosen tokens come
// back. It knows no words and no search.
#pragma once
#include <span>
#include <vector>

#include "fusion/model.h"
#include "kernels/replay.h"

namespace duet {

// Pictures after the vision stem, a sequence each: what the fusion blocks make of them at the start of each sequence of
// `caches`, which hold every picture in equally many, one after another.
void remember(const Model&, const Var& rows, const Layout& pictures, const Model::Times&, std::vector<KvCache>& caches);

class DecodePass {
 public:
  struct Choice {
    Tensor allowed;        // (V) u8: 0 forbids a token
    int64_t best = 1;      // how many of the likeliest tokens are wanted of each sequence
    SampleOptions sample;  // with a temperature above 0 one token is drawn instead
  };
  // What each sequence may go on with, likeliest first, and its log-probability: (S, best), or what was drawn. -inf: there are
  // no more; NaN: the logits are not finite, or all forbidden.
  struct Said {
    std::vector<int32_t> tokens;
    std::vector<double> log_probs;
  };
  // pictures as remember() takes them, each in `copies` sequences with room for `most` tokens of text.
  DecodePass(const Model&, const Var& rows, const Layout& pictures, const Model::Times&, int64_t copies, int64_t most, Choice);
  // ids (S): the next token of each sequence, after the text so far of sequence from[s], which holds the same picture.
  // Negative: the sequence rests, and what is said of it means nothing. Where tokens are drawn, those that go on do so with
  // what was drawn. Under NoGrad.
  Said operator()(std::span<const int32_t> ids, std::span<const int32_t> from);
  bool replays() const { return replay_.replays(); }

 private:
  // Caches of some blocks in one tensor (2 blocks, S, capacity, C), in which a text moves by one call.
  struct Memory {
    Tensor all;
    std::vector<KvCache> blocks;
    Memory(const Model&, int64_t blocks, int64_t S, int64_t capacity);
  };
  // What differs from step to step, and the layouts made of it.
  struct Numbers {
    Tensor all, from, said, ids;  // said (N): tokens of the text before this one
    Layout stem, joint;
    Numbers(Tensor all, const Tensor& at, int64_t N);
  };
  struct Chosen {
    Tensor all, token, log_prob;
    Chosen(int64_t N, int64_t n, Device);
  };
  Tensor numbers(std::span<const int32_t> ids, std::span<const int32_t> from, const std::vector<int32_t>& which) const;
  void pass(const Numbers&, const Chosen&);
  bool drawn() const { return choice_.sample.temperature > 0; }

  const Model& model_;
  const Choice choice_;
  const int64_t S_, patches_, room_;
  Memory text_, joint_;
  int32_t step_ = 0;
  std::vector<Numbers> now_;  // on a card: what the recording reads, and what it writes
  std::vector<Chosen> next_;
  Replay replay_;
};

}  // namespace duet
