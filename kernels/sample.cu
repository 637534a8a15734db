// The next token, a block a row of logits. What cpu::draw_token finds by sorting is found here digit by digit: tokens get keys
// whose order is theirs, and sums over all keys with one beginning lead to the token at which a sum is reached. Sums are double
// and in one fixed order, as draws are the same numbers as the CPU's.
#include "kernels/cuda.h"
#include "kernels/random.h"

namespace duet::cuda {
namespace {

constexpr int kDigit = 4, kBins = 1 << kDigit, kSampleWarps = kThreads / 32;

template <class V, class F>
__device__ V block_fold(V v, F f) {  // every thread gets it
  __shared__ V part[kSampleWarps];
  for (int o = 16; o; o >>= 1) v = f(v, __shfl_xor_sync(0xffffffffu, v, o));
  __syncthreads();  // part may still be read by an earlier call
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = v;
  __syncthreads();
  v = part[0];
  for (int w = 1; w < kSampleWarps; ++w) v = f(v, part[w]);
  return v;
}
__device__ double block_total(double v) {
  return block_fold(v, [](double a, double b) { return a + b; });
}

// Logits as they are compared: larger ones, and of equals the smaller token, have the larger key; 0 is not allowed. `bits`: of a
// token.
template <class T>
struct Row {
  const T* logits;
  const uint8_t* allowed;
  int V, bits;
  __device__ uint64_t place(int v) const { return (uint64_t(1) << bits) - 1 - uint64_t(v); }
  __device__ int token(uint64_t key) const { return int(place(0) - (key & place(0))); }
  __device__ uint64_t key(int v) const {
    const float x = to_float(logits[v]);
    if (!allowed[v] || x == -INFINITY) return 0;
    const uint32_t u = __float_as_uint(x == 0 ? 0.0f : x);  // -0 is 0
    return uint64_t(u >> 31 ? ~u : u | 0x80000000u) << bits | place(v);
  }
  __device__ uint64_t best(uint64_t below) const {  // of all threads; 0: none
    uint64_t most = 0;
    for (int v = threadIdx.x; v < V; v += kThreads) {
      const uint64_t k = key(v);
      if (k < below) most = max(most, k);
    }
    return block_fold(most, [](uint64_t a, uint64_t b) { return a > b ? a : b; });
  }
  template <class F>
  __device__ double sum(F f) const {  // of f(v) over what is allowed
    double s = 0;
    for (int v = threadIdx.x; v < V; v += kThreads)
      if (key(v)) s += f(v);
    return block_total(s);
  }
  // NaN where a logit is NaN or +inf, or none is allowed
  __device__ double log_sum(uint64_t first) const {
    float bad = 0;
    for (int v = threadIdx.x; v < V; v += kThreads)
      if (allowed[v] && !(to_float(logits[v]) < INFINITY)) bad = 1;
    if (block_reduce<true>(bad) > 0 || first == 0) return NAN;
    const double most = to_float(logits[token(first)]);
    return most + log(sum([&](int v) { return exp(double(to_float(logits[v])) - most); }));
  }
};

struct Reached {
  uint64_t key;
  double sum;  // of all before it and its own
};

// Going down from the largest of keys below 2^bits, the one with which the sum of f reaches `goal`, or with kBeyond passes it; the
// last one that adds anything where none does. f(v) is 0 for what does not count.
template <bool kBeyond, class Key, class F>
__device__ Reached reach(int V, int bits, double goal, double (*bins)[kThreads], Key key, F f) {
  __shared__ double total[kBins];
  Reached at{0, 0};
  for (int shift = bits - kDigit; shift >= 0; shift -= kDigit) {
    for (int d = 0; d < kBins; ++d) bins[d][threadIdx.x] = 0;  // a thread's own column
    for (int v = threadIdx.x; v < V; v += kThreads) {
      const uint64_t k = key(v);
      if (k >> shift >> kDigit == at.key) bins[(k >> shift) % kBins][threadIdx.x] += f(v);
    }
    __syncthreads();
    for (int d = threadIdx.x / 32; d < kBins; d += kSampleWarps) {
      double s = 0;
      for (int t = threadIdx.x % 32; t < kThreads; t += 32) s += bins[d][t];
      for (int o = 16; o; o >>= 1) s += __shfl_xor_sync(0xffffffffu, s, o);
      if (threadIdx.x % 32 == 0) total[d] = s;
    }
    __syncthreads();
    double before = at.sum, sum = at.sum;
    int digit = 0;
    for (int d = kBins - 1; d >= 0; --d) {
      if (total[d] == 0) continue;
      digit = d, before = sum, sum += total[d];
      if (kBeyond ? sum > goal : sum >= goal) break;
    }
    at.key = at.key << kDigit | uint64_t(digit), at.sum = shift == 0 ? sum : before;
    __syncthreads();  // total is written again
  }
  return at;
}

template <class T>
__global__ void best_tokens_kernel(int32_t* __restrict__ token, double* __restrict__ log_prob, const T* __restrict__ logits,
                                   const uint8_t* __restrict__ allowed, int V, int bits, int n) {
  const Row<T> row{logits + int64_t(blockIdx.x) * V, allowed, V, bits};
  uint64_t key = row.best(~uint64_t(0));
  const double sum = row.log_sum(key);
  const bool bad = sum != sum;
  for (int i = 0; i < n; ++i) {
    if (threadIdx.x == 0) {
      const int64_t at = int64_t(blockIdx.x) * n + i;
      token[at] = bad || key == 0 ? 0 : row.token(key);
      log_prob[at] = bad ? sum : key == 0 ? -INFINITY : double(to_float(row.logits[token[at]])) - sum;
    }
    if (i + 1 < n) key = row.best(key);
  }
}

template <class T>
__global__ void draw_tokens_kernel(int32_t* __restrict__ token, double* __restrict__ log_prob, const T* __restrict__ logits,
                                   const uint8_t* __restrict__ allowed, const int32_t* __restrict__ counter, SampleOptions o,
                                   int V, int bits) {
  __shared__ double bins[kBins][kThreads];
  const int n = blockIdx.x;
  const Row<T> row{logits + int64_t(n) * V, allowed, V, bits};
  const uint64_t best = row.best(~uint64_t(0));
  const double log_sum = row.log_sum(best);
  int chosen = log_sum != log_sum ? 0 : row.token(best);
  if (log_sum == log_sum && o.temperature != 0 && o.top_k != 1) {
    const auto key = [&](int v) { return row.key(v); };
    uint64_t least = 1;
    if (o.top_k > 0)
      least = reach<false>(V, 32 + bits, o.top_k, bins, key, [&](int v) { return row.key(v) ? 1.0 : 0.0; }).key;
    const double most = to_float(row.logits[chosen]);
    const auto weight = [&](int v) {
      return row.key(v) >= least ? exp((double(to_float(row.logits[v])) - most) / double(o.temperature)) : 0.0;
    };
    double sum = row.sum(weight);
    if (o.top_p < 1) {
      const Reached p = reach<false>(V, 32 + bits, double(o.top_p) * sum, bins, key, weight);
      least = p.key, sum = p.sum;
    }
    const double left = uniform(o.seed, uint64_t(counter[n])) * sum;
    const auto place = [&](int v) { return row.place(v); };
    chosen = row.token(o.top_p < 1 ? reach<true>(V, 32 + bits, left, bins, key, weight).key
                                   : reach<true>(V, bits, left, bins, place, weight).key);
  }
  if (threadIdx.x == 0) token[n] = chosen, log_prob[n] = double(to_float(row.logits[chosen])) - log_sum;
}

int token_bits(int64_t V) {  // whole digits
  int bits = kDigit;
  while (int64_t(1) << bits < V) bits += kDigit;
  CHECK(bits <= 28, V, " tokens");
  return bits;
}

void best_tokens(const Tensor& token, const Tensor& log_prob, const Tensor& logits, const Tensor& allowed) {
  const int64_t N = logits.shape().rows(), V = logits.shape().last();
  const Tensor may = on_card(allowed);
  with_type(logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    DUET_LAUNCH((best_tokens_kernel<T>), dim3(unsigned(N)), dim3(kThreads), 0, token.data<int32_t>(), log_prob.data<double>(),
                logits.data<T>(), may.data<uint8_t>(), int(V), token_bits(V), int(token.count() / N));
  });
}

void draw_tokens(const Tensor& token, const Tensor& log_prob, const Tensor& logits, const Tensor& allowed,
                 const SampleOptions& o, const Tensor& counter) {
  const int64_t N = logits.shape().rows(), V = logits.shape().last();
  const Tensor may = on_card(allowed), count = on_card(counter);
  with_type(logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    DUET_LAUNCH((draw_tokens_kernel<T>), dim3(unsigned(N)), dim3(kThreads), 0, token.data<int32_t>(), log_prob.data<double>(),
                logits.data<T>(), may.data<uint8_t>(), count.data<int32_t>(), o, int(V), token_bits(V));
  });
}

}  // namespace

void enter_sample(Kernels& k) { k.best_tokens = best_tokens, k.draw_tokens = draw_tokens; }

}  // namespace duet::cuda
