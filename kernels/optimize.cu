#include "kernels/cuda.h"
#include "kernels/gemm.h"

namespace duet::cuda {
namespace {

constexpr int kParts = 1024;

__global__ void square_sum_kernel(float* __restrict__ part, const float* __restrict__ x, int64_t n) {
  float s = 0;
  for (int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x; i < n; i += int64_t(gridDim.x) * kThreads) s += x[i] * x[i];
  s = block_reduce(s);
  if (threadIdx.x == 0) part[blockIdx.x] = s;
}

__global__ void clip_factor_kernel(float* __restrict__ stats, const float* __restrict__ part, int parts,
                                   const float* __restrict__ loss, float clip) {
  double s = 0;  // one warp
  for (int i = threadIdx.x; i < parts; i += 32) s += part[i];
#pragma unroll
  for (int o = 16; o; o >>= 1) s += __shfl_xor_sync(0xffffffffu, s, o);
  if (threadIdx.x != 0) return;
  const float norm = float(sqrt(s));
  const bool finite = norm <= 3.4e38f && (!loss || fabsf(*loss) <= 3.4e38f);  // false for NaN
  stats[0] = norm, stats[1] = !finite ? 0 : clip > 0 && norm > clip ? clip / norm : 1;
}

template <int V>
__global__ void adamw_kernel(float* __restrict__ w, float* __restrict__ m, float* __restrict__ v, const float* __restrict__ g,
                             const float* __restrict__ stats, float lr, float beta1, float beta2, float eps, float decay,
                             float c1, float c2, int64_t n) {
  const int64_t at = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * V;
  const float k = stats[1];
  if (at >= n || k == 0) return;
  float wv[V], mv[V], vv[V], gv[V];
  load(wv, w + at), load(mv, m + at), load(vv, v + at), load(gv, g + at);
#pragma unroll
  for (int i = 0; i < V; ++i) {
    const float gi = gv[i] * k;
    mv[i] += (1 - beta1) * (gi - mv[i]);
    vv[i] += (1 - beta2) * (gi * gi - vv[i]);
    wv[i] -= lr * (mv[i] * c1 / (sqrtf(vv[i] * c2) + eps) + decay * wv[i]);
  }
  store(w + at, wv), store(m + at, mv), store(v + at, vv);
}

template <int V>
__global__ void lerp_kernel(float* __restrict__ y, const float* __restrict__ x, const float* __restrict__ stats, float weight,
                            int64_t n) {
  const int64_t at = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * V;
  if (at >= n || (stats && stats[1] == 0)) return;
  float yv[V], xv[V];
  load(yv, y + at), load(xv, x + at);
#pragma unroll
  for (int i = 0; i < V; ++i) yv[i] += weight * (xv[i] - yv[i]);
  store(y + at, yv);
}

// u (count, n) = g + momentum m after m = momentum m + g
__global__ void momentum_kernel(float* __restrict__ u, float* m, const float* __restrict__ g,
                                const float* __restrict__ stats, const int32_t* __restrict__ at, float momentum, int n) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= n) return;
  const int64_t from = int64_t(at[blockIdx.y]) + i;
  const float k = stats[1], gi = k == 0 ? 0 : g[from] * k, mi = momentum * m[from] + gi;
  if (k != 0) m[from] = mi;
  u[int64_t(blockIdx.y) * n + i] = gi + momentum * mi;
}

// A block a matrix: x = u / |u|
template <class T>
__global__ void unit_matrix_kernel(T* __restrict__ x, const float* __restrict__ u, int n) {
  const float* from = u + int64_t(blockIdx.x) * n;
  float s = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) s += from[i] * from[i];
  const float inv = 1 / (sqrtf(block_reduce(s)) + 1e-7f);
  for (int i = threadIdx.x; i < n; i += blockDim.x) set(x[int64_t(blockIdx.x) * n + i], from[i] * inv);
}

template <class T>
__global__ void combine_kernel(T* y, float a, const T* x, float b, int64_t n) {  // y = a x + b y
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i < n) set(y[i], a * to_float(x[i]) + b * to_float(y[i]));
}

template <class T>
__global__ void muon_apply_kernel(float* __restrict__ w, const T* __restrict__ u, const float* __restrict__ stats,
                                  const int32_t* __restrict__ at, float lr, float keep, int n) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= n || stats[1] == 0) return;
  float& wi = w[int64_t(at[blockIdx.y]) + i];
  wi = wi * keep - lr * to_float(u[int64_t(blockIdx.y) * n + i]);
}

void clip_factor(const Tensor& stats, const Tensor& g, const Tensor& loss, float clip) {
  const unsigned parts = std::min(unsigned(kParts), blocks(g.count(), kThreads));
  const Tensor part = card_floats({int64_t(parts)});
  DUET_LAUNCH(square_sum_kernel, dim3(parts), dim3(kThreads), 0, part.data(), g.data(), g.count());
  DUET_LAUNCH(clip_factor_kernel, dim3(1), dim3(32), 0, stats.data(), part.data(), int(parts), ptr<float>(loss), clip);
}

void adamw(const Tensor& w, const Tensor& m, const Tensor& v, const Tensor& g, const Tensor& stats, float lr, float beta1,
           float beta2, float eps, float decay, int64_t step) {
  const float c1 = 1 / float(1 - std::pow(double(beta1), double(step)));
  const float c2 = 1 / float(1 - std::pow(double(beta2), double(step)));
  with_words(DType::f32, w.count(), {&w, &m, &v, &g}, [&](auto, auto words) {
    DUET_LAUNCH((adamw_kernel<words()>), dim3(blocks(w.count(), kThreads * words())), dim3(kThreads), 0, w.data(), m.data(),
                v.data(), g.data(), stats.data(), lr, beta1, beta2, eps, decay, c1, c2, w.count());
  });
}

void lerp(const Tensor& y, const Tensor& x, const Tensor& stats, float weight) {
  with_words(DType::f32, y.count(), {&y, &x}, [&](auto, auto words) {
    DUET_LAUNCH((lerp_kernel<words()>), dim3(blocks(y.count(), kThreads * words())), dim3(kThreads), 0, y.data(), x.data(),
                ptr<float>(stats), weight, y.count());
  });
}

// Five steps of X <- a X + (b A + c A^2) X with A = X X^T, on the side where A is smaller, for all matrices at once.
template <class T>
Tensor orthogonalised(Tensor x) {
  constexpr float a = 3.4445f, b = -4.7750f, c = 2.0315f;
  const int64_t count = x.dim(0), rows = x.dim(1), cols = x.dim(2), n = std::min(rows, cols);
  const bool wide = rows <= cols;
  const Kernels& k = kernels(Device::cuda);
  const Tensor A({count, n, n}, x.dtype(), Device::cuda), P({count, n, n}, x.dtype(), Device::cuda);
  Tensor y(x.shape(), x.dtype(), Device::cuda);
  const auto combine = [](const Tensor& y, float a, const Tensor& x, float b) {
    DUET_LAUNCH((combine_kernel<T>), dim3(blocks(y.count(), kThreads)), dim3(kThreads), 0, y.data<T>(), a, x.data<T>(), b,
                y.count());
  };
  for (int step = 0; step < 5; ++step) {
    k.gemm(A, x, !wide, x, wide, false);
    k.gemm(P, A, false, A, false, false);
    combine(P, b, A, c);
    if (wide)
      k.gemm(y, P, false, x, false, false);
    else
      k.gemm(y, x, false, P, false, false);
    combine(y, a, x, 1);
    std::swap(x, y);
  }
  return x;
}

void muon(const Tensor& w, const Tensor& m, const Tensor& g, const Tensor& stats, const Tensor& at, int64_t rows,
          int64_t cols, float momentum, float lr, float keep) {
  const int64_t count = at.count(), n = rows * cols;
  const Tensor starts = on_card(at), u = card_floats({count, rows, cols});
  const dim3 grid(blocks(n, kThreads), unsigned(count));
  DUET_LAUNCH(momentum_kernel, grid, dim3(kThreads), 0, u.data(), m.data(), g.data(), stats.data(), starts.data<int32_t>(),
              momentum, int(n));
  with_type(precision() == Precision::bf16 ? DType::bf16 : DType::f32, [&](auto zero) {
    using T = decltype(zero);
    const Tensor x({count, rows, cols}, sizeof(T) == 2 ? DType::bf16 : DType::f32, Device::cuda);
    DUET_LAUNCH((unit_matrix_kernel<T>), dim3(unsigned(count)), dim3(1024), 0, x.data<T>(), u.data(), int(n));
    const Tensor o = orthogonalised<T>(x);
    DUET_LAUNCH((muon_apply_kernel<T>), grid, dim3(kThreads), 0, w.data(), o.data<T>(), stats.data(),
                starts.data<int32_t>(), lr, keep, int(n));
  });
}

}  // namespace

void enter_optimize(Kernels& k) { k.clip_factor = clip_factor, k.adamw = adamw, k.lerp = lerp, k.muon = muon; }

}  // namespace duet::cuda
