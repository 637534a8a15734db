// What makes pictures out of noise: the trainer's noisy patches, the sampler's start and its steps.
#include "kernels/cuda.h"
#include "kernels/random.h"

namespace duet::cuda {
namespace {

// As normal() of random.h, in the same double arithmetic, so that a picture starts from the same noise on every device.
__device__ float normal_at(uint64_t seed, uint64_t i) {
  const uint64_t r = mix(seed, i);
  const double u = (double(r >> 32) + 0.5) * 0x1p-32, v = double(r & 0xffffffffu) * 0x1p-32;
  return float(sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}

__global__ void add_noise_kernel(float* __restrict__ z, const float* __restrict__ x, const float* __restrict__ t,
                                 uint64_t seed, int64_t each, int64_t n) {
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= n) return;
  const float ti = t[i / each];
  z[i] = ti * x[i] + (1 - ti) * normal_at(seed, uint64_t(i));
}

// A thread a pixel, 16 bytes: written in order, read in lines of a patch.
__global__ void patchify_kernel(Pack<float, 4>* __restrict__ patches, const Pack<float, 4>* __restrict__ pixels, unsigned n,
                                unsigned H, unsigned W, unsigned p) {
  const unsigned i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= n) return;
  const unsigned x = i % p, y = i / p % p, patch = i / (p * p);
  const unsigned across = W / p, down = H / p, px = patch % across, py = patch / across % down, b = patch / (across * down);
  patches[i] = pixels[(b * H + py * p + y) * W + px * p + x];
}

__global__ void normals_kernel(float* __restrict__ z, const uint32_t* __restrict__ seed, int64_t each) {
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x, b = blockIdx.y;
  if (i < each) z[b * each + i] = normal_at(uint64_t(seed[2 * b + 1]) << 32 | seed[2 * b], uint64_t(i));
}

template <class T>
__global__ void guide_kernel(float* __restrict__ guess, const T* __restrict__ with, const T* __restrict__ without, float g,
                             int64_t n) {
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= n) return;
  const float a = to_float(with[i]), b = without ? to_float(without[i]) : 0;
  guess[i] = without ? b + g * (a - b) : a;
}

__global__ void euler_kernel(float* end, const float* z, const float* guess, float t, float next, int64_t n) {
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i < n) end[i] = z[i] + (next - t) * ((guess[i] - z[i]) / (1 - t));
}

__global__ void heun_kernel(float* z, const float* guess, const float* end, const float* later, float t, float next, int64_t n) {
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i < n) z[i] += (next - t) * 0.5f * ((guess[i] - z[i]) / (1 - t) + (later[i] - end[i]) / (1 - next));
}

void add_noise(const Tensor& patches, const Tensor& clean, const Tensor& t, uint64_t seed) {
  const Tensor there = on_card(t);
  DUET_LAUNCH(add_noise_kernel, dim3(blocks(patches.count(), kThreads)), dim3(kThreads), 0, patches.data(), clean.data(),
              there.data(), seed, patches.count() / t.count(), patches.count());
}

void patchify(const Tensor& patches, const Tensor& pixels) {
  const int64_t n = pixels.count() / 4, H = pixels.dim(1), W = pixels.dim(2), values = patches.shape().last();
  int64_t p = 1;
  while (p * p * 4 < values) ++p;
  CHECK(p * p * 4 == values && H % p == 0 && W % p == 0 && patches.count() == pixels.count() && n <= INT32_MAX, "pictures ",
        pixels.shape(), " as patches ", patches.shape());
  DUET_LAUNCH(patchify_kernel, dim3(blocks(n, kThreads)), dim3(kThreads), 0,
              reinterpret_cast<Pack<float, 4>*>(patches.data()), reinterpret_cast<const Pack<float, 4>*>(pixels.data()),
              unsigned(n), unsigned(H), unsigned(W), unsigned(p));
}

void normals(const Tensor& z, const Tensor& seeds) {
  const int64_t B = seeds.count() / 2, each = z.count() / B;
  const Tensor there = on_card(seeds);
  DUET_LAUNCH(normals_kernel, dim3(blocks(each, kThreads), unsigned(B)), dim3(kThreads), 0, z.data(),
              there.data<uint32_t>(), each);
}

void guide(const Tensor& guess, const Tensor& x, float guidance) {
  const int64_t n = guess.count();
  with_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    DUET_LAUNCH((guide_kernel<T>), dim3(blocks(n, kThreads)), dim3(kThreads), 0, guess.data(), x.data<T>(),
                x.count() == n ? static_cast<const T*>(nullptr) : x.data<T>() + n, guidance, n);
  });
}

void euler(const Tensor& end, const Tensor& z, const Tensor& guess, float t, float next) {
  DUET_LAUNCH(euler_kernel, dim3(blocks(z.count(), kThreads)), dim3(kThreads), 0, end.data(), z.data(), guess.data(), t, next,
              z.count());
}

void heun(const Tensor& z, const Tensor& guess, const Tensor& end, const Tensor& later, float t, float next) {
  DUET_LAUNCH(heun_kernel, dim3(blocks(z.count(), kThreads)), dim3(kThreads), 0, z.data(), guess.data(), end.data(),
              later.data(), t, next, z.count());
}

}  // namespace

void enter_noise(Kernels& k) {
  k.patchify = patchify, k.add_noise = add_noise, k.normals = normals, k.guide = guide, k.euler = euler, k.heun = heun;
}

}  // namespace duet::cuda
