// Attention by cuDNN's graphs: cudnn.cc. The library is loaded when first asked for; without it, or where it takes no
// graph, a card uses our own kernel (attention.cu).
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

// Whether cuDNN is asked for bf16 attention: at start as DUET_CUDNN says, 0 never, 1 always, else where the work is
// worth the second that a plan takes to make.
enum class UseCudnn { never, where_it_pays, always };
UseCudnn use_cudnn();
void set_use_cudnn(UseCudnn);

// Asks for the graph on a stream (a cudaStream_t). False, and nothing done, where cuDNN is missing or has no plan for
// it; why is said once on stderr.
bool cudnn_attention(const AttentionGraph&, const AttentionData&, void* stream);

// For tests without a card: how many engines cuDNN offers for this graph on the card whose properties are given as
// JSON, and what stopped it from making a plan of the first: without a driver, the loading of the kernel it has
// compiled. Throws where it refuses the graph itself.
struct GraphAnswer {
  int engines = 0;
  std::string stopped;
};
GraphAnswer ask_cudnn(const AttentionGraph&, const std::string& device_json);
std::string cudnn_missing();  // why there is no cuDNN here; empty where there is

}  // namespace duet::cuda
