// What the host works out from index tensors so that a card can sum in one fixed order without atomics: made once an index
// tensor and kept with it.
#pragma once
#include <memory>

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

}  // namespace duet
