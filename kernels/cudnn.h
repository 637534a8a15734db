// Attention and 3x3 convolutions by cuDNN's graphs: cudnn_attention.cc, cudnn_conv.cc. The library is loaded when first asked
// for; without it, or where it takes no graph, a card uses our own kernels (attention.cu; gather() and a product).
#pragma once
#include <compare>
#include <cstdint>
#include <string>

namespace duet::cuda {

enum class AttentionMask { full, causal, limit };  // within a sequence: all, those up to itself, the first limit[n] keys

// One graph: packed sequences of at most `q` queries and `k` keys; tokens of q lie ldq values apart, of k and v ldk.
struct AttentionGraph {
  bool backward;
  AttentionMask mask;
  int64_t B, H, D, q, k, ldq, ldk;
  auto operator<=>(const AttentionGraph&) const = default;
};

// On the card, bf16 but for what is said. Offsets (B+1) i32: where each sequence starts, in values of its tensor.
struct AttentionData {
  void *q, *k, *v, *o;
  float* lse;  // (N,H)
  int32_t *q_offset, *k_offset, *o_offset, *lse_offset;
  int32_t *q_count, *k_count;                                         // (B) tokens of each sequence
  int32_t* limit;                                                     // (B,q); for AttentionMask::limit alone
  void *dq = nullptr, *dk = nullptr, *dv = nullptr, *dout = nullptr;  // laid out as q, k, v and o
};

// A 3x3 convolution of B pictures of H x W with zeros around them, its channels together (NHWC): x (B,H,W,C),
// w (O,3,3,C), y (B,H,W,O). One graph makes y of x and w (and a bias), dx of dy and w, or dw of dy and x.
enum class ConvPass { forward, dx, dw };
struct ConvGraph {
  ConvPass pass;
  bool bias;         // of the forward pass alone
  bool fixed_order;  // the same bits every time
  int64_t B, H, W, C, O;
  auto operator<=>(const ConvGraph&) const = default;
};

// On the card, bf16 but for bias and dw, which are f32. What the graph makes is overwritten; x, w and y stand for their
// gradients too.
struct ConvData {
  void *x, *w, *y, *bias = nullptr;
};

// Whether cuDNN is asked for bf16 attention and convolutions: at start as DUET_CUDNN says, 0 never, 1 always, else where the
// work is worth the second that a plan takes to make.
enum class UseCudnn { never, where_it_pays, always };
UseCudnn use_cudnn();
void set_use_cudnn(UseCudnn);
bool worth_cudnn(double flops);  // of the work as a whole

// Asks for the graph on a stream (a cudaStream_t). False, and nothing done, where cuDNN is missing or has no plan for
// it; why is said once on stderr.
bool cudnn_attention(const AttentionGraph&, const AttentionData&, void* stream);
bool cudnn_conv3x3(const ConvGraph&, const ConvData&, void* stream);

// For tests without a card: how many engines cuDNN offers for this graph on the card whose properties are given as
// JSON, and what stopped it from making a plan of the first: without a driver, the loading of the kernel it has
// compiled. Throws where it refuses the graph itself.
struct GraphAnswer {
  int engines = 0;
  std::string stopped;
};
GraphAnswer ask_cudnn(const AttentionGraph&, const std::string& device_json);
GraphAnswer ask_cudnn(const ConvGraph&, const std::string& device_json);
std::string cudnn_missing();  // why there is no cuDNN here; empty where there is

}  // namespace duet::cuda
