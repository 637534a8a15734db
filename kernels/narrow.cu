// Products with weights of few bits: a few rows at once from the narrow weights, which is reading them and little else, and the
// widening of whole weights for the library's product of many rows.
#include "kernels/cuda.h"
#include "kernels/gemm.h"
#include "kernels/narrow.h"

namespace duet::cuda {
namespace {

constexpr int kNarrowThreads = 64;  // of a block: small, so that few outputs fill a card
constexpr int kShort = 4;           // words of a thread in a short row, all asked for at once
constexpr int kPiece = 8;           // numbers that are made floats at once

using Word = Pack<uint32_t, 4>;

// A byte of u behind the bits of 2^23: 2^23 + the byte, with one instruction, where a conversion has a fraction of its rate.
__device__ __forceinline__ float beyond_2_23(uint32_t u, int byte) {
  return __uint_as_float(__byte_perm(u, 0x4b000000u, 0x7650u | uint32_t(byte)));
}

// How kPiece numbers lie in kBits bytes, and what they are before their scale.
struct Int8 {
  static constexpr int kBits = 8;
  static constexpr bool kScaleAWord = false;
  static __device__ __forceinline__ void expand(float (&q)[kPiece], const uint32_t* u) {
#pragma unroll
    for (int i = 0; i < kPiece; ++i) q[i] = beyond_2_23(u[i / 4] ^ 0x80808080u, i % 4) - (0x1p23f + 128);
  }
};
struct Int4 {
  static constexpr int kBits = 4;
  static constexpr bool kScaleAWord = true;
  static __device__ __forceinline__ void expand(float (&q)[kPiece], const uint32_t* u) {
#pragma unroll
    for (int i = 0; i < kPiece; ++i) q[i] = beyond_2_23(*u >> i % 2 * 4 & 0x0f0f0f0fu, i / 2) - (0x1p23f + 8);
  }
};
struct Fp8 {
  static constexpr int kBits = 8;
  static constexpr bool kScaleAWord = false;
  static __device__ __forceinline__ void expand(float (&q)[kPiece], const uint32_t* u) {
    // Exponent and mantissa where f32 has them mean 2^-120 of the number, subnormal ones too.
#pragma unroll
    for (int i = 0; i < kPiece; ++i) {
      const uint32_t top = u[i / 4] << (24 - i % 4 * 8);
      q[i] = __uint_as_float((top & 0x80000000u) | (top & 0x7f000000u) >> 4) * 0x1p120f;
    }
  }
};

// Columns c .. c + 8 of a row of C, zeros beyond it. kWhole: rows are whole words of 16 bytes.
template <bool kWhole, class T>
__device__ __forceinline__ void load_piece(float (&out)[kPiece], const T* row, int c, int C) {
  if constexpr (kWhole) {
    constexpr int V = kWide<T>;
#pragma unroll
    for (int i = 0; i < kPiece; i += V) {
      float v[V] = {};
      if (c < C) load(v, row + c + i);
#pragma unroll
      for (int j = 0; j < V; ++j) out[i + j] = v[j];
    }
  } else {
#pragma unroll
    for (int i = 0; i < kPiece; ++i) out[i] = c + i < C ? to_float(row[c + i]) : 0;
  }
}

// An output for kR rows by `lanes` threads, 8 or 32, which take its words in turn: the order of its sum hangs on C alone.
template <class F, class T, int kR, bool kWhole>
__global__ void __launch_bounds__(kNarrowThreads, 6)
    few_rows_kernel(T* __restrict__ y, const T* __restrict__ x, const Word* __restrict__ w, const float* __restrict__ scales,
                    const float* __restrict__ bias, int N, int O, int C, int words, int lanes) {
  constexpr int kNumbers = 128 / F::kBits;                 // of a word
  constexpr int kAhead = kR * sizeof(T) > 4 ? 2 : kShort;  // words asked for at a time; many rows leave registers for few
  const int lane = threadIdx.x % lanes, n = blockIdx.y * kR;
  const int mine = blockIdx.x * (kNarrowThreads / lanes) + threadIdx.x / lanes, o = min(mine, O - 1);
  const Word* row = w + int64_t(o) * words;
  float sum[kR] = {};
  for (int first = lane; first < words; first += kAhead * lanes) {
    Word word[kAhead];
#pragma unroll
    for (int a = 0; a < kAhead; ++a)
      if (first + a * lanes < words) word[a] = row[first + a * lanes];
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const int at = first + a * lanes;
      if (at >= words) continue;
      float part[kR] = {};
#pragma unroll
      for (int p = 0; p < kNumbers; p += kPiece) {
        float q[kPiece], v[kPiece];
        F::expand(q, word[a].v + p * F::kBits / 32);
#pragma unroll
        for (int r = 0; r < kR; ++r) {
          load_piece<kWhole>(v, x + min(n + r, N - 1) * C, at * kNumbers + p, C);
#pragma unroll
          for (int i = 0; i < kPiece; ++i) part[r] += q[i] * v[i];
        }
      }
      const float scale = F::kScaleAWord ? scales[int64_t(o) * words + at] : 1;
#pragma unroll
      for (int r = 0; r < kR; ++r) sum[r] += part[r] * scale;
    }
  }
  for (int step = lanes / 2; step; step /= 2)
#pragma unroll
    for (int r = 0; r < kR; ++r) sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], step);
  if (lane != 0 || mine >= O) return;
  const float scale = F::kScaleAWord ? 1 : scales[o], start = bias ? bias[o] : 0;
#pragma unroll
  for (int r = 0; r < kR; ++r)
    if (n + r < N) set(y[int64_t(n + r) * O + o], sum[r] * scale + start);
}

// A thread makes kPiece numbers: what it writes, which is most of what moves, is in whole words side by side.
template <class F, class T, bool kWhole>
__global__ void widen_kernel(T* __restrict__ y, const char* __restrict__ w, const float* __restrict__ scales, unsigned n,
                             int pieces, int C, int words) {
  const unsigned i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= n) return;
  const int64_t o = i / unsigned(pieces);
  const int p = int(i % unsigned(pieces)), c = p * kPiece;
  const auto bytes = *reinterpret_cast<const Pack<uint32_t, F::kBits / 4>*>(w + o * words * 16 + p * F::kBits);
  float q[kPiece];
  F::expand(q, bytes.v);
  const float scale = scales[F::kScaleAWord ? o * words + c / 32 : o];
  T* to = y + o * C + c;
  if constexpr (kWhole) {
    constexpr int V = kWide<T>;
#pragma unroll
    for (int first = 0; first < kPiece; first += V) {
      float v[V];
#pragma unroll
      for (int j = 0; j < V; ++j) v[j] = q[first + j] * scale;
      store(to + first, v);
    }
  } else {
    for (int j = 0; j < min(kPiece, C - c); ++j) set(to[j], q[j] * scale);
  }
}

struct Parts {
  NarrowLayout layout;
  const char* rows;
  const float* scales;
  explicit Parts(const Tensor& w)
      : layout(w.shape(), w.dtype()), rows(w.data<char>()), scales(reinterpret_cast<const float*>(rows + layout.scales_at())) {}
};

template <class F>
void with_format(DType t, F f) {
  if (t == DType::int8) f(Int8());
  else if (t == DType::int4) f(Int4());
  else f(Fp8());
}

}  // namespace

void few_rows(const Tensor& y, const Tensor& x, const Tensor& w, const Tensor& bias) {
  const int64_t N = x.shape().rows(), C = x.shape().last(), O = w.dim(0);
  CHECK(w.dim(1) == C && y.count() == N * O && y.dtype() == x.dtype(), "rows ", x.shape(), " by ", w.shape(), " into ",
        y.shape());
  CHECK(N * C < int64_t(1) << 31, N, " rows of ", C, " are not few");
  if (N == 0 || O == 0) return;
  const Parts p(w);
  // A short row is read by 8 threads, all of it at once, while others read other outputs; a long one by a warp.
  const int words = int(p.layout.words), lanes = words <= 8 * kShort ? 8 : 32;
  const bool whole = C % kPiece == 0 && reinterpret_cast<uintptr_t>(x.data<char>()) % 16 == 0;
  with_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    with_format(w.dtype(), [&](auto format) {
      using F = decltype(format);
      const auto run = [&](auto rows, auto aligned) {
        DUET_LAUNCH((few_rows_kernel<F, T, rows(), aligned()>), dim3(blocks(O, kNarrowThreads / lanes), blocks(N, rows())),
                    dim3(kNarrowThreads), 0, y.data<T>(), x.data<T>(), reinterpret_cast<const Word*>(p.rows), p.scales,
                    ptr<float>(bias), int(N), int(O), int(C), words, lanes);
      };
      using std::integral_constant, std::true_type, std::false_type;
      if (!whole) run(integral_constant<int, 1>(), false_type());
      else if (N == 1) run(integral_constant<int, 1>(), true_type());
      else if (N == 2) run(integral_constant<int, 2>(), true_type());
      else if (N <= 4) run(integral_constant<int, 4>(), true_type());
      else run(integral_constant<int, 16 / sizeof(T)>(), true_type());  // eight of f32 would spill
    });
  });
  count_flops(2 * N * O * C);
}

Tensor widened(const Tensor& w, DType type) {
  const Tensor y(w.shape(), type, Device::cuda);
  const Parts p(w);
  const int64_t O = w.dim(0), C = w.dim(1), pieces = (C + kPiece - 1) / kPiece, n = O * pieces;
  CHECK(n <= int64_t(1) << 31, "weights ", w.shape(), " fit one launch");
  with_type(type, [&](auto zero) {
    using T = decltype(zero);
    with_format(w.dtype(), [&](auto format) {
      using F = decltype(format);
      const auto run = [&](auto aligned) {
        DUET_LAUNCH((widen_kernel<F, T, aligned()>), dim3(blocks(n, kThreads)), dim3(kThreads), 0, y.data<T>(), p.rows,
                    p.scales, unsigned(n), int(pieces), int(C), int(p.layout.words));
      };
      if (C % kPiece == 0) run(std::true_type());
      else run(std::false_type());
    });
  });
  return y;
}

}  // namespace duet::cuda
