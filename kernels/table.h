// The table of kernels: what each numeric operation means. One row here, one NAME.cc with the CPU version (forward and
// backward adjacent), one wrapper in ops.cc that makes it differentiable, one test in tests/kernels.
// Conventions: outputs first, then inputs, then sizes; N rows (tokens), C channels, H heads, D head size, V vocabulary.
// Gradient of x is dx. `add`: the gradient is added to what is there; otherwise it is overwritten. Parameter gradients
// always add. A null gradient pointer means: not wanted. All arrays dense, row-major. Results never depend on threads().
#pragma once
#include <cstdint>

#include "kernels/sample.h"
#include "kernels/tensor.h"

namespace duet {
namespace cpu {

// --- norm.cc: RMSNorm followed by a modulation that each row picks from a table (adaptive norm, arXiv 2212.09748)
// y[n] = x[n] * rstd[n] * (1 + mod[row[n], scale..]) + mod[row[n], shift..];  rstd = 1 / sqrt(mean x^2 + 1e-6)
// mod (R, W): W wide, `scale` and `shift` are column offsets into it. row (N).
void norm_mod(float* y, float* rstd, const float* x, const float* mod, const int32_t* row, int64_t W, int64_t scale,
              int64_t shift, int64_t N, int64_t C);
void norm_mod_bwd(float* dx, bool add, float* dmod, const float* dy, const float* x, const float* rstd, const float* mod,
                  const int32_t* row, int64_t W, int64_t scale, int64_t shift, int64_t N, int64_t C);

// --- gate.cc: residual with a gate picked the same way: y[n] = x[n] + h[n] * mod[row[n], gate..]
void gate_add(float* y, const float* x, const float* h, const float* mod, const int32_t* row, int64_t W, int64_t gate,
              int64_t N, int64_t C);
void gate_add_bwd(float* dh, bool add, float* dmod, const float* dy, const float* h, const float* mod, const int32_t* row,
                  int64_t W, int64_t gate, int64_t N, int64_t C);

// --- rope.cc: QK-norm and rotary positions on the q and k parts of qkv (N, 3HD), v copied; y has the same layout.
// q and k heads: RMS-normalised, times gain (D) of q or k, then rotated: the head's first half by pos[n,0] (row), the
// second by pos[n,1] (column); in a half of D/2, pair (i, i + D/4) turns by pos * theta^(-i / (D/4)) (arXiv 2104.09864).
// rstd (N, 2H). D a multiple of 4.
void qk_rope(float* y, float* rstd, const float* qkv, const float* gain_q, const float* gain_k, const int32_t* pos, float theta,
             int64_t N, int64_t H, int64_t D);
void qk_rope_bwd(float* dqkv, float* dgain_q, float* dgain_k, const float* dy, const float* qkv, const float* rstd,
                 const float* gain_q, const float* gain_k, const int32_t* pos, float theta, int64_t N, int64_t H, int64_t D);

// --- attention.cc: softmax(q k^T / sqrt(D)) v for packed sequences, each query seeing a prefix of its keys.
// Sequence b has queries q_at[b] .. q_at[b+1] and keys k_at[b] .. k_at[b+1]; query n sees the first limit[n] (>= 1) keys.
// q rows have stride ldq, k and v rows ldkv (heads side by side, D each); o (Nq, HD), lse (Nq, H) = log sum exp of scores.
struct Spans {
  const int32_t *q_at, *k_at, *limit;
  int64_t B;
};
void attention(float* o, float* lse, const float* q, int64_t ldq, const float* k, const float* v, int64_t ldkv, Spans spans,
               int64_t H, int64_t D);
// For q, k, v and gradients side by side in (N, 3HD), q_at == k_at. Overwrites dqkv.
void attention_bwd(float* dqkv, const float* dout, const float* o, const float* lse, const float* qkv, Spans spans, int64_t H,
                   int64_t D);

// --- block.cc: a transformer block over packed sequences, a few sequences at a time, so that what one step makes the next
// finds in the cache. Its steps are the kernels of this table and gemm(): the same bits as calling them one by one.
//   a = attention(qk_rope(norm_mod(x) Wqkv^T));  x1 = gate_add(x, a Wproj^T);  y = gate_add(x1, swiglu(norm_mod(x1) Wup^T)
//   Wdown^T)
// mod (R, 6C): scale, shift, gate of attention, then of the feed-forward. Weights (3C,C), (C,C), (2F,C), (C,F); gains (D).
struct BlockSizes {
  int64_t C, H, F;
  float theta;
};
struct BlockWeights {
  const float *qkv, *proj, *up, *down, *gain_q, *gain_k;
};
struct BlockGrads {  // any may be null: not wanted
  float *qkv, *proj, *up, *down, *gain_q, *gain_k, *mod;
};
// For the backward pass: qkv (N,3C), o, h1, h2 (N,C), lse (N,H), up (N,2F); all null: not wanted. With o and lse alone the
// backward pass makes the others again, which where products are cheap (AMX) costs less than writing and reading them.
struct BlockSaved {
  float *o, *lse, *qkv, *h1, *up, *h2;
};
struct BlockTokens {
  const int32_t *at, *limit, *row, *pos;  // as Layout; at (B+1)
  int64_t B;
};
// A cache that earlier tokens were put into: sequence b owns rows b * capacity ... of k and v. The block's token n goes to row
// to[n], and sees it.
struct BlockCache {
  float *k, *v;
  int64_t capacity;
  const int32_t* to;
};
void block(float* y, const BlockSaved&, const float* x, const float* mod, const BlockTokens&, const BlockWeights&,
           const BlockSizes&, const BlockCache* = nullptr);
// dx may be null. Gradients of what tokens share are summed in the order of the tokens.
void block_bwd(float* dx, bool add, const BlockGrads&, const float* dy, const float* x, const BlockSaved&, const float* mod,
               int64_t R, const BlockTokens&, const BlockWeights&, const BlockSizes&);

// --- swiglu.cc: y (N,F) = silu(x[:, :F]) * x[:, F:] for x (N,2F) (arXiv 2002.05202); silu(x) = x sigmoid(x)
void swiglu(float* y, const float* x, int64_t N, int64_t F);
void swiglu_bwd(float* dx, const float* dy, const float* x, int64_t N, int64_t F);  // overwrites dx
void silu(float* y, const float* x, int64_t n);
void silu_bwd(float* dx, bool add, const float* dy, const float* x, int64_t n);

// --- rows.cc: moving rows
// y[n] = from[n] >= 0 ? a[from[n]] : b[-from[n] - 1];  backward adds, in the order of n
void gather(float* y, const float* a, const float* b, const int32_t* from, int64_t N, int64_t C);
void gather_bwd(float* da, float* db, const float* dy, const int32_t* from, int64_t N, int64_t C);
// y (B,C) = mean of rows at[b] .. at[b+1] of x
void segment_mean(float* y, const float* x, const int32_t* at, int64_t B, int64_t C);
void segment_mean_bwd(float* dx, bool add, const float* dy, const int32_t* at, int64_t B, int64_t C);
void column_sum(float* y, const float* x, int64_t N, int64_t C);  // y (C) += sum over rows
void add(float* y, const float* a, const float* b, int64_t n);    // y = a + b; y may be a

// --- conv.cc: a 3x3 convolution with zeros beyond the picture: x (N,C), w (O, 9 C) by neighbours, then channels; y (N,O).
// near (N,9): see Around of device.h
void conv3x3(float* y, const float* x, const float* w, const float* bias, const int32_t* near, int64_t N, int64_t C, int64_t O);
void conv3x3_dx(float* dx, const float* dy, const float* w, const int32_t* near, int64_t N, int64_t C,
                int64_t O);  // overwrites dx
void conv3x3_dw(float* dw, const float* dy, const float* x, const int32_t* near, int64_t N, int64_t C, int64_t O);

// --- noise.cc: z[i] = t x[i] + (1 - t) e, t = t[i / each], e = normal(seed, i) of random.h but for a last bit here and there
void add_noise(float* z, const float* x, const float* t, uint64_t seed, int64_t each, int64_t n);

// --- outer.cc: patches as sums of K outer products of a mask and a colour: x (N, K (A + G)), per k first A mask values, then G
// of a colour; y (N, A G): y[n, a G + g] = sum over k of mask[k,a] colour[k,g]. G at most 16.
void outer_sum(float* y, const float* x, int64_t N, int64_t K, int64_t A, int64_t G);
void outer_sum_bwd(float* dx, const float* dy, const float* x, int64_t N, int64_t K, int64_t A, int64_t G);  // overwrites dx

// --- loss.cc
// nll (N) = -log softmax(logits[n])[target[n]], 0 where target < 0; lse (N)
void cross_entropy(float* nll, float* lse, const float* logits, const int32_t* target, int64_t N, int64_t V);
// dlogits[n] = scale * weight[n] * (softmax - onehot), zeros where target < 0; overwrites; may be logits itself
void cross_entropy_bwd(float* dlogits, const float* logits, const float* lse, const int32_t* target, const float* weight,
                       float scale, int64_t N, int64_t V);
// row[n] = sum over c of (x - target)^2
void square_error(float* row, const float* x, const float* target, int64_t N, int64_t C);
void square_error_bwd(float* dx, const float* x, const float* target, const float* scale, int64_t N, int64_t C);
// Sigmoid contrastive loss (arXiv 2303.15343). s (B,B) = u v^T. z = exp(log_scale) s + bias; label +1 on the diagonal, -1
// elsewhere, pairs with same[i] == same[j], i != j, left out. Returns mean over B of the sum over j of -log sigmoid(label z);
// s becomes dloss/ds, and d_log_scale, d_bias are set.
float sigmoid_contrastive(float* s, float* d_log_scale, float* d_bias, const int32_t* same, float log_scale, float bias,
                          int64_t B);
// y[n] = x[n] / |x[n]|, norm (N)
void unit_rows(float* y, float* norm, const float* x, int64_t N, int64_t C);
void unit_rows_bwd(float* dx, bool add, const float* dy, const float* y, const float* norm, int64_t N, int64_t C);

// --- sample.cc: the next token from a row of V logits. -inf forbids a token, and so does 0 in `allowed`, where it is there.
// Among equals the smaller token is the likelier. Log-probabilities are those of the softmax over what is allowed, whatever the
// options.
// Log of the sum of exp; NaN where one is NaN or +inf, or none is allowed.
double log_sum(const float* logits, const uint8_t* allowed, int64_t V);
// The n likeliest, likeliest first. Where there are fewer: token 0 and -inf; where log_sum is NaN: token 0 and NaN.
void best_tokens(int32_t* token, double* log_prob, const float* logits, const uint8_t* allowed, int64_t V, int64_t n);
// As sample_token of text/sampling.h, which checks what this takes for granted.
int32_t draw_token(const float* logits, const uint8_t* allowed, int64_t V, const SampleOptions&, uint64_t counter);

// --- optimize.cc: steps over flat buffers
// AdamW (arXiv 1711.05101) with decoupled decay; step >= 1
void adamw(float* w, float* m, float* v, const float* g, float lr, float beta1, float beta2, float eps, float decay,
           int64_t step, int64_t n);
double square_sum(const float* x, int64_t n);  // fixed order
bool all_finite(const float* x, int64_t n);
void lerp(float* y, const float* x, float weight, int64_t n);  // y += weight (x - y): EMA
// Muon's orthogonalisation (Keller Jordan 2024): five Newton-Schulz steps on g (rows, cols) / |g|; g is overwritten.
void newton_schulz(float* g, int64_t rows, int64_t cols);

}  // namespace cpu
}  // namespace duet
