#include "kernels/cuda.h"

namespace duet::cuda {
namespace {

// A block a row, read once: each thread keeps the largest logit so far and the sum of exponentials relative to it.
template <class T, int V>
__global__ void cross_entropy_kernel(float* __restrict__ nll, float* __restrict__ lse, const T* __restrict__ logits,
                                     const int32_t* __restrict__ target, int C) {
  const int n = blockIdx.x;
  const T* z = logits + int64_t(n) * C;
  float most = -INFINITY, sum = 0;
  for (int c = threadIdx.x * V; c < C; c += kThreads * V) {
    float v[V];
    load(v, z + c);
    float m = most;
#pragma unroll
    for (int i = 0; i < V; ++i) m = fmaxf(m, v[i]);
    sum *= __expf(most - m);
    most = m;
#pragma unroll
    for (int i = 0; i < V; ++i) sum += __expf(v[i] - m);
  }
  const float m = block_reduce<true>(most);
  sum = block_reduce(most == -INFINITY ? 0.0f : sum * __expf(most - m));
  if (threadIdx.x != 0) return;
  lse[n] = m + logf(sum);
  nll[n] = target[n] < 0 ? 0 : lse[n] - to_float(z[target[n]]);
}

template <class T, int V>
__global__ void cross_entropy_bwd_kernel(T* dlogits, const T* logits, const float* __restrict__ lse,
                                         const int32_t* __restrict__ target, const float* __restrict__ weight,
                                         const float* __restrict__ scale, int C) {
  const int n = blockIdx.x, t = target[n];
  const float w = t < 0 ? 0 : *scale * weight[n], l = lse[n];
  for (int c = threadIdx.x * V; c < C; c += kThreads * V) {
    float v[V];
    load(v, logits + int64_t(n) * C + c);
#pragma unroll
    for (int i = 0; i < V; ++i) v[i] = t < 0 ? 0 : w * __expf(v[i] - l) - (c + i == t ? w : 0);
    store(dlogits + int64_t(n) * C + c, v);
  }
}

template <class T>
__global__ void square_error_kernel(float* __restrict__ row, const T* __restrict__ x, const float* __restrict__ target,
                                    int N, int C) {
  const int n = blockIdx.x * kRows + threadIdx.y;
  if (n >= N) return;
  float s = 0;
  for (int c = threadIdx.x; c < C; c += 32) {
    const float d = to_float(x[int64_t(n) * C + c]) - target[int64_t(n) * C + c];
    s += d * d;
  }
  s = warp_sum(s);
  if (threadIdx.x == 0) row[n] = s;
}

template <class T>
__global__ void square_error_bwd_kernel(T* __restrict__ dx, const T* __restrict__ x, const float* __restrict__ target,
                                        const float* __restrict__ weight, const float* __restrict__ scale, int64_t n, int C) {
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i < n) set(dx[i], 2 * *scale * weight[i / C] * (to_float(x[i]) - target[i]));
}

// One block: y = k times the sum of x w, or of x without w
__global__ void total_kernel(float* y, const float* x, const float* w, int64_t n, float k) {
  float s = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) s += w ? x[i] * w[i] : x[i];
  s = block_reduce(s) * k;
  if (threadIdx.x == 0) *y = s;
}

// A block a row of s (B,B), which becomes the gradient; part (3,B): loss, and the gradients of log_scale and bias.
__global__ void contrastive_kernel(float* __restrict__ part, float* s, const int32_t* __restrict__ same,
                                   const float* __restrict__ log_scale, const float* __restrict__ bias, int B) {
  const int i = blockIdx.x;
  const float k = expf(*log_scale), b = *bias;
  float loss = 0, ds = 0, db = 0;
  for (int j = threadIdx.x; j < B; j += blockDim.x) {
    float& x = s[int64_t(i) * B + j];
    if (i != j && same[i] == same[j]) {
      x = 0;
      continue;
    }
    const float label = i == j ? 1.0f : -1.0f, z = label * (k * x + b);
    loss += z > 0 ? log1pf(expf(-z)) : log1pf(expf(z)) - z;
    const float g = -label / (1 + expf(z)) / float(B);  // dloss/d(k x + bias)
    ds += g * k * x, db += g;
    x = g * k;
  }
  loss = block_reduce(loss), ds = block_reduce(ds), db = block_reduce(db);
  if (threadIdx.x == 0) part[i] = loss, part[B + i] = ds, part[2 * B + i] = db;
}

__global__ void unit_rows_kernel(float* __restrict__ y, float* __restrict__ norm, const float* __restrict__ x, int N, int C) {
  const int n = blockIdx.x * kRows + threadIdx.y;
  if (n >= N) return;
  float s = 0;
  for (int c = threadIdx.x; c < C; c += 32) s += x[int64_t(n) * C + c] * x[int64_t(n) * C + c];
  s = sqrtf(warp_sum(s)) + 1e-12f;
  if (threadIdx.x == 0) norm[n] = s;
  for (int c = threadIdx.x; c < C; c += 32) y[int64_t(n) * C + c] = x[int64_t(n) * C + c] / s;
}

__global__ void unit_rows_bwd_kernel(float* __restrict__ dx, bool add, const float* __restrict__ dy,
                                     const float* __restrict__ y, const float* __restrict__ norm, int N, int C) {
  const int n = blockIdx.x * kRows + threadIdx.y;
  if (n >= N) return;
  const int64_t at = int64_t(n) * C;
  float m = 0;
  for (int c = threadIdx.x; c < C; c += 32) m += dy[at + c] * y[at + c];
  m = warp_sum(m);
  const float inv = 1 / norm[n];
  for (int c = threadIdx.x; c < C; c += 32) dx[at + c] = (add ? dx[at + c] : 0) + (dy[at + c] - y[at + c] * m) * inv;
}

void cross_entropy(const Tensor& nll, const Tensor& lse, const Tensor& logits, const Tensor& target) {
  const int64_t N = logits.shape().rows(), C = logits.shape().last();
  const Tensor t = on_card(target);
  with_words(logits.dtype(), C, {&logits}, [&](auto zero, auto v) {
    using T = decltype(zero);
    DUET_LAUNCH((cross_entropy_kernel<T, v()>), dim3(unsigned(N)), dim3(kThreads), 0, nll.data(), lse.data(),
                logits.data<T>(), t.data<int32_t>(), int(C));
  });
}

void cross_entropy_bwd(const Tensor& dlogits, const Tensor& logits, const Tensor& lse, const Tensor& target,
                       const Tensor& weight, const Tensor& scale) {
  const int64_t N = logits.shape().rows(), C = logits.shape().last();
  const Tensor t = on_card(target), w = on_card(weight);
  with_words(logits.dtype(), C, {&logits, &dlogits}, [&](auto zero, auto v) {
    using T = decltype(zero);
    DUET_LAUNCH((cross_entropy_bwd_kernel<T, v()>), dim3(unsigned(N)), dim3(kThreads), 0, dlogits.data<T>(),
                logits.data<T>(), lse.data(), t.data<int32_t>(), w.data(), scale.data(), int(C));
  });
}

void square_error(const Tensor& row, const Tensor& x, const Tensor& target) {
  const int64_t N = row.count(), C = x.count() / N;
  const Tensor t = on_card(target);
  with_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    DUET_LAUNCH((square_error_kernel<T>), dim3(blocks(N, kRows)), dim3(32, kRows), 0, row.data(), x.data<T>(), t.data(),
                int(N), int(C));
  });
}

void square_error_bwd(const Tensor& dx, const Tensor& x, const Tensor& target, const Tensor& weight, const Tensor& scale) {
  const int64_t C = x.shape().last();
  const Tensor t = on_card(target), w = on_card(weight);
  with_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    DUET_LAUNCH((square_error_bwd_kernel<T>), dim3(blocks(x.count(), kThreads)), dim3(kThreads), 0, dx.data<T>(),
                x.data<T>(), t.data(), w.data(), scale.data(), x.count(), int(C));
  });
}

void total(float* y, const float* x, const float* w, int64_t n, float k) {
  DUET_LAUNCH(total_kernel, dim3(1), dim3(1024), 0, y, x, w, n, k);
}

void weighted_total(const Tensor& y, const Tensor& x, const Tensor& weight) {
  const Tensor w = on_card(weight);
  total(y.data(), x.data(), w.data(), x.count(), 1);
}

void sigmoid_contrastive(const Tensor& loss, const Tensor& s, const Tensor& d, const Tensor& same, const Tensor& log_scale,
                         const Tensor& bias) {
  const int64_t B = s.dim(0);
  const Tensor same_there = on_card(same), part = card_floats({3, B});
  DUET_LAUNCH(contrastive_kernel, dim3(unsigned(B)), dim3(kThreads), 0, part.data(), s.data(), same_there.data<int32_t>(),
              log_scale.data(), bias.data(), int(B));
  total(loss.data(), part.data(), nullptr, B, 1 / float(B));
  total(d.data(), part.data() + B, nullptr, B, 1), total(d.data() + 1, part.data() + 2 * B, nullptr, B, 1);
}

void unit_rows(const Tensor& y, const Tensor& norm, const Tensor& x) {
  const int64_t N = x.shape().rows(), C = x.shape().last();
  DUET_LAUNCH(unit_rows_kernel, dim3(blocks(N, kRows)), dim3(32, kRows), 0, y.data(), norm.data(), x.data(), int(N), int(C));
}

void unit_rows_bwd(const Tensor& dx, bool add, const Tensor& dy, const Tensor& y, const Tensor& norm) {
  const int64_t N = y.shape().rows(), C = y.shape().last();
  DUET_LAUNCH(unit_rows_bwd_kernel, dim3(blocks(N, kRows)), dim3(32, kRows), 0, dx.data(), add, dy.data(), y.data(),
              norm.data(), int(N), int(C));
}

}  // namespace

void enter_loss(Kernels& k) {
  k.cross_entropy = cross_entropy, k.cross_entropy_bwd = cross_entropy_bwd, k.square_error = square_error;
  k.square_error_bwd = square_error_bwd, k.weighted_total = weighted_total, k.sigmoid_contrastive = sigmoid_contrastive;
  k.unit_rows = unit_rows, k.unit_rows_bwd = unit_rows_bwd;
}

}  // namespace duet::cuda
