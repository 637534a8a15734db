// Differentiable ops: check shapes, allocate, run the kernel, record its backward. What each means is in table.h.
#pragma once
#include <utility>
#include <vector>

#include "kernels/device.h"
#include "kernels/tape.h"

namespace duet {

// How packed sequences lie in memory, for one forward pass: N tokens in all, B sequences.
struct Layout {
  // All on the host, whatever the device of the model: it keeps copies of its own (kept_on). Work that is recorded once and
  // goes on from step to step (infer/decodepass.h) has all but `at` on the card instead, and writes new values there; nobody
  // checks those, and of `pos` a bound must be told (positions_below of rope.h).
  Tensor at;     // (B+1) i32: first token of each sequence
  Tensor limit;  // (N) i32: how many keys of its sequence a token sees
  Tensor row;    // (N) i32: the row of the modulation table a token uses
  Tensor pos;    // (N,2) i32: rotary positions
  Tensor to{};   // (N) i32, or empty: rows of a KV cache that take the tokens, in place of those after `used`
  int64_t N() const { return limit.count(); }
  int64_t B() const { return at.count() - 1; }
};

// An op runs where its parameters lie; what comes from the host beside them goes over. Index tensors, targets and
// weights of losses are on the host.
Var activation(const Var& x);  // x as blocks take it: bf16 on a card in bf16 precision, else as it is
Var linear(const Var& x, const Var& w, const Var& b = {});  // (N,C) (O,C) (O) -> (N,O)
Var norm_mod(const Var& x, const Var& mod, const Tensor& row, int64_t scale, int64_t shift);
Var gate_add(const Var& x, const Var& h, const Var& mod, const Tensor& row, int64_t gate);
// gate_add(), and norm_mod() of its result: on a card one pass over the rows.
std::pair<Var, Var> gate_norm(const Var& x, const Var& h, const Var& mod, const Tensor& row, int64_t gate, int64_t scale,
                              int64_t shift);
Var qk_rope(const Var& qkv, const Var& gain_q, const Var& gain_k, const Tensor& pos, int64_t heads, float theta);
Var attention(const Var& qkv, const Layout&, int64_t heads);  // (N,3C) -> (N,C)
// A whole transformer block: table.h. mod (R,6C); weights (3C,C) (C,C) (2F,C) (C,F); gains (C / heads).
struct BlockParams {
  Var qkv, proj, up, down, gain_q, gain_k;
};
Var block(const Var& x, const Var& mod, const Layout&, const BlockParams&, int64_t heads, float theta);

DType activation_type(Device);  // in the present precision

// Keys and values of a layer for tokens that later ones look back on. Sequence b owns rows b * capacity ... of k and v.
// A pass writes its tokens after the first used[b] and sees them; only the caller moves `used` on, so the sampler can
// run the picture again and again after the same words.
struct KvCache {
  Tensor k, v;  // (B, capacity, C)
  int64_t capacity = 0;
  KvCache(int64_t B, int64_t capacity, int64_t C, Device = Device::cpu);
  KvCache(const Tensor& k, const Tensor& v) : k(k), v(v), capacity(k.dim(1)) {}
};
// The block over tokens that follow those in the cache; Layout::limit counts from the start of the sequence. No gradient.
// With Layout::to, `used` is not asked for.
Var block(const Var& x, const Var& mod, const Layout&, const BlockParams&, int64_t heads, float theta, KvCache&,
          const std::vector<int32_t>& used);
// Whether block() on a card keeps its input alone and makes the rest again in the backward pass: a tenth of the memory for a
// third more products. (The CPU's keeps what its precision makes worth keeping: kernels/block.cc.) Off at start.
void set_recompute(bool);
Var swiglu(const Var& x);  // (N,2F) -> (N,F)
Var silu(const Var& x);
Var reshape(const Var& x, Shape s);                          // the same values in other rows
Var add(const Var& a, const Var& b);                         // same shape
Var gather(const Var& a, const Var& b, const Tensor& from);  // rows; b may be empty
inline Var embed(const Var& table, const Tensor& ids) { return gather(table, {}, ids); }
// A 3x3 convolution with zeros beyond the picture: x (N,C), w (O, 9 C) by rows of neighbours from the top left, then by
// channels, b (O) or none -> (N,O). On a card in bf16 by cuDNN, where it has such a convolution and the order of the rows is
// known, else by the neighbours' rows, gathered, and a product.
Var conv3x3(const Var& x, const Var& w, const Var& b, const Around&);
Var segment_mean(const Var& x, const Tensor& at);  // (N,C) -> (B,C)
Var unit_rows(const Var& x);
Var outer_sum(const Var& x, int64_t K, int64_t A, int64_t G);  // (N, K (A + G)) -> (N, A G)
// mod (R+1, W) of a block: row 0 = own[0] (text), row r = t[r-1] + own[1] (pictures); t empty: row 0 alone. own (2,W)
// or (1,W)
Var mod_table(const Var& own, const Var& t);

// Losses: scalars (1).
Var cross_entropy(const Var& logits, const Tensor& target, const Tensor& weight);  // sum of weight * nll
Var square_error(const Var& x, const Tensor& target, const Tensor& weight);        // sum over rows of weight * |x - target|^2
Var sigmoid_contrastive(const Var& u, const Var& v, const Var& log_scale, const Var& bias, const std::vector<uint64_t>& same);
Var weighted_sum(const std::vector<std::pair<Var, float>>& parts);

}  // namespace duet
