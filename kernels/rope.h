// The angles of rotary positions, shared by the CPU's and the card's kernels so that both turn by the same numbers.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/tensor.h"

namespace duet {

// cos and sin of p * theta^(-i / Q) for p = 0 .. positions and i < Q: rows of 2 Q, Q cosines then Q sines. Kept for each
// theta and Q; a table that must grow is replaced, and those who hold the old one keep it.
std::shared_ptr<const std::vector<float>> rope_angles(int64_t positions, float theta, int64_t Q);

// One more than the largest of n positions; throws unless all are within 0 .. 65535.
int64_t count_positions(const int32_t* pos, int64_t n);
// The same of a tensor, counted once. Of positions on a card, which the host does not see, positions_below must have told.
int64_t count_positions(const Tensor& pos);
void positions_below(const Tensor& pos, int64_t n);

}  // namespace duet
