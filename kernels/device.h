// What a device can do: its memory, and every kernel of table.h on tensors. One table a device; ops.cc asks for the
// table of its inputs' device. The CPU's is made in device_cpu.cc; CUDA's in device_cuda.cu, or, in a build without the
// toolkit, nowhere (no_cuda.cc). What a kernel means, its shapes and sources stand in table.h; here only what differs
// is said.
//
// Types: parameters, their gradients, statistics (rstd, lse, norm) and losses are f32. Activations and their gradients,
// T below, are f32, or bf16 on a card in bf16 precision. Index tensors (i32) and weights of losses stay on the host,
// where ops check them; a card keeps a copy of each (Tensor::memo), so they must not change after first use. (Forward kernels
// also take indices that lie on the card and do change.) An empty output tensor means: not wanted. No kernel waits.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "kernels/sample.h"
#include "kernels/tensor.h"

namespace duet {

struct DeviceMemory {
  void* (*take)(size_t& bytes);  // rounds bytes up; refuses when out of memory
  void (*give)(void*, size_t bytes);
  void (*copy)(void* to, Device, const void* from, Device, size_t bytes);  // waits only when it ends on the host
  void (*zero)(void*, size_t bytes);
  MemoryStats (*stats)();
};

// The order of some rows: those of B pictures of H x W, one behind the other, each row by row from the top left. B 0: another.
struct Raster {
  int64_t B = 0, H = 0, W = 0;
};
// What lies around each of N rows that are the pixels or cells of pictures.
struct Around {
  Tensor near;   // (9 N) row of each neighbour, from the top left; -1 beyond the picture. The k-th of a row has it as its (8 -
                 // k)-th
  Raster order;  // of the rows
};

struct Kernels {
  using T = const Tensor&;
  DeviceMemory memory;
  void (*wait)();  // until all that was asked for is done
  // What f asks of the device, written down and not done: replay() then does it, as one. Null where the device keeps no
  // such recordings or f does what cannot be recorded. Memory that f takes and gives back stays the recording's own;
  // what it copies from the host is copied again as it was. See replay.h.
  std::shared_ptr<void> (*record)(const std::function<void()>& f);
  void (*replay)(void*);
  std::string (*name)();  // of the device, for a person

  void (*convert)(T y, T x);  // y = x in y's type
  void (*fill)(T y, float);
  void (*linear)(T y, T x, T w, T bias);         // y = x w^T + bias
  void (*linear_bwd)(T dw, T dbias, T dy, T x);  // dw += dy^T x, dbias += sum over rows of dy
  // c = op(a) op(b), transposed where at, bt say; c += with accumulate. Three dimensions: a product of each first
  // index.
  void (*gemm)(T c, T a, bool at, T b, bool bt, bool accumulate);

  // A 3x3 convolution without gathering all neighbours: see conv3x3() of ops.h. False, and nothing done, where the device has
  // none for these sizes or this order. dx is overwritten, dw added to.
  bool (*conv3x3)(T y, T x, T w, T bias, const Around&);
  bool (*conv3x3_dx)(T dx, T dy, T w, const Around&);
  bool (*conv3x3_dw)(T dw, T dy, T x, const Around&);

  void (*norm_mod)(T y, T rstd, T x, T mod, T row, int64_t scale, int64_t shift);
  void (*norm_mod_bwd)(T dx, bool add, T dmod, T dy, T x, T rstd, T mod, T row, int64_t scale, int64_t shift);
  void (*gate_add)(T y, T x, T h, T mod, T row, int64_t gate);
  // gate_add into y and norm_mod of that into normed, in one pass over the rows.
  void (*gate_norm)(T y, T normed, T rstd, T x, T h, T mod, T row, int64_t gate, int64_t scale, int64_t shift);
  void (*gate_add_bwd)(T dh, bool add, T dmod, T dy, T h, T mod, T row, int64_t gate);
  void (*qk_rope)(T y, T rstd, T qkv, T gain_q, T gain_k, T pos, float theta);
  void (*qk_rope_bwd)(T dqkv, T dgain_q, T dgain_k, T dy, T qkv, T rstd, T gain_q, T gain_k, T pos, float theta);
  // qkv (N,3C). k, v (rows,C) in place of qkv's own when they are there; k_at in place of at.
  void (*attention)(T o, T lse, T qkv, T k, T v, T at, T k_at, T limit);
  void (*attention_bwd)(T dqkv, T dout, T o, T lse, T qkv, T at, T limit);
  void (*cache_put)(T k, T v, T qkv, T to);  // k and v of row n to row to[n] of k and v (rows,C)
  // cache (L,S,rows,C) of S sequences: rows first .. first + count[0] of each sequence s become those that from[s] had.
  void (*cache_follow)(T cache, T from, T count, int64_t first);
  void (*swiglu)(T y, T x);
  void (*swiglu_bwd)(T dx, T dy, T x);
  void (*silu)(T y, T x);
  void (*silu_bwd)(T dx, bool add, T dy, T x);

  void (*gather)(T y, T a, T b, T from);
  void (*gather_bwd)(T da, T db, T dy, T from);
  void (*segment_mean)(T y, T x, T at);  // y f32
  void (*segment_mean_bwd)(T dx, bool add, T dy, T at);
  void (*column_sum)(T y, T x);
  void (*add)(T y, T a, T b);
  void (*add_scaled)(T y, T x, float k);  // y += k x
  void (*scale)(T y, T x, T k);           // y = x k; k (1)
  void (*mod_table)(T y, T own, T t);

  void (*cross_entropy)(T nll, T lse, T logits, T target);
  void (*cross_entropy_bwd)(T dlogits, T logits, T lse, T target, T weight, T scale);  // scale (1)
  void (*square_error)(T row, T x, T target);
  void (*square_error_bwd)(T dx, T x, T target, T weight, T scale);
  void (*weighted_total)(T y, T x, T weight);  // y (1) = sum of x weight
  void (*sigmoid_contrastive)(T loss, T s, T d, T same, T log_scale,
                              T bias);  // d (2): of log_scale and of bias; same i32
  void (*outer_sum)(T y, T x, int64_t K, int64_t A, int64_t G);
  void (*outer_sum_bwd)(T dx, T dy, T x, int64_t K, int64_t A, int64_t G);
  void (*unit_rows)(T y, T norm, T x);
  void (*unit_rows_bwd)(T dx, bool add, T dy, T y, T norm);

  // stats (2): the gradient's norm, and the factor the steps below take g by: 1, clip / norm (clip > 0), or 0, which
  // makes them leave all as it is, when the norm or the loss (1, may be empty) is not finite. The CPU scales g itself.
  void (*clip_factor)(T stats, T g, T loss, float clip);
  void (*adamw)(T w, T m, T v, T g, T stats, float lr, float beta1, float beta2, float eps, float decay, int64_t step);
  // Muon of `count` matrices of equal shape, at[i] being where matrix i starts in the flat w, m and g:
  // m = momentum m + g;  u = newton_schulz(g + momentum m);  w = keep w - lr u
  void (*muon)(T w, T m, T g, T stats, T at, int64_t rows, int64_t cols, float momentum, float lr, float keep);
  void (*lerp)(T y, T x, T stats, float weight);  // stats may be empty

  // The next token of each row of logits (N,V); allowed (V) u8, 0 forbids. As cpu::best_tokens and cpu::draw_token of table.h:
  // token (N,n) and log_prob (N,n,2), the latter the bits of doubles; counter (N).
  void (*best_tokens)(T token, T log_prob, T logits, T allowed);
  void (*draw_tokens)(T token, T log_prob, T logits, T allowed, const SampleOptions&, T counter);  // n = 1

  void (*patchify)(T patches, T pixels);  // of a card alone: (B,H,W,4) to (B P, p p 4), see patchlines.h
  // Row b P + i of patches (B P, V): t[b] x + (1 - t[b]) e, with e = normal(seed, (b P + i) V + j).
  void (*add_noise)(T patches, T clean, T t, uint64_t seed);
  void (*normals)(T z, T seed_words);                       // z (B,n): normal(seed[b], i); seed_words (B,2) i32, low word first
  void (*guide)(T guess, T x, float guidance);              // guess (n): x (2n) = with, then without; or x (n) with guidance 1
  void (*euler)(T end, T z, T guess, float t, float next);  // end = z + (next - t) (guess - z) / (1 - t)
  // z += (next - t) / 2 ((guess - z) / (1 - t) + (later - end) / (1 - next)): the second half of Heun's step
  void (*heun)(T z, T guess, T end, T later, float t, float next);
  void (*copy_rows)(T to, T from,
                    T pairs);  // pairs (n,2) i32: row of `to`, row of `from`; rows are as wide as `to`'s last dimension
};

// The table of a device; refuses one that is not there, saying why.
const Kernels& kernels(Device);
inline const Kernels& kernels(const Tensor& t) { return kernels(t.device()); }
const Kernels& cpu_kernels();
extern const bool kBuiltWithCuda;
// Null, and why, when this build or this machine has no CUDA.
const Kernels* cuda_kernels(std::string& why);

// Where models are put and computed: cpu at start.
Device device();
void set_device(Device);
// By name: cuda, cpu, or auto: cuda where a driver and a card answer. Refuses cuda without, saying why.
void choose_device(const std::string& name);

// Whether a card's results must be the same bits each time: at start as DUET_DETERMINISTIC=1 says. Costs cuDNN's
// attention backward, which sums by atomics, and those of its convolutions that do; the CPU's always are.
bool deterministic();
void set_deterministic(bool);

Tensor host_floats(const Tensor&);  // as F32 on the host; waits for the device
double measure_peak(Device);        // FLOP/s of its matrix products in the present precision

// `t` where it is, or its copy on `d`, made once and kept with it: for tensors that do not change.
Tensor kept_on(const Tensor& t, Device d);

}  // namespace duet
