// What the host works out from index tensors so that a card can sum in one fixed order without atomics: made once an
// index tensor and kept with it.
#pragma once
#include <memory>

#include "kernels/cudnn.h"
#include "kernels/device.h"

namespace duet {

// Places with equal keys, in order of first appearance; within a group places keep their order. All i32 on the card.
struct Groups {
  int64_t n = 0;
  Tensor keys;  // (n)
  Tensor at;    // (n+1): into list
  Tensor list;  // places
};
Groups group_by(const std::vector<int32_t>& key);

// Runs of neighbouring tokens, at most kStretch, that use one row of the modulation.
inline constexpr int kStretch = 32;
struct Stretches {
  int64_t n = 0;
  Tensor at;      // (n+1): first token of each, on the card
  Groups by_row;  // stretches by their row of the modulation
};
std::shared_ptr<const Stretches> stretches(const Tensor& row);

std::shared_ptr<const Groups> by_value(const Tensor& index);

// Pieces of at most `rows` tokens of one sequence: (n,2) i32 on the card: sequence, first token.
struct Tiles {
  int64_t n = 0;
  Tensor list;
};
std::shared_ptr<const Tiles> tiles(const Tensor& at, int rows);

// Packed sequences as cuDNN's attention takes them: cudnn.h. Their number and lengths are rounded up, with empty
// sequences at the end, so that few graphs serve many batches.
struct Packed {
  cuda::AttentionGraph graph;                                                // as forward
  Tensor q_offset, k_offset, o_offset, lse_offset, q_count, k_count, limit;  // on the card
  std::vector<int32_t> k_at;                                                 // what it was made for
};
// Tokens of q lie ldq values apart, of k and v ldk; H heads of D. Null where an offset would not fit in 32 bits.
std::shared_ptr<const Packed> packed(const Tensor& at, const Tensor& k_at, const Tensor& limit, int64_t H, int64_t D,
                                     int64_t ldq, int64_t ldk);

}  // namespace duet
