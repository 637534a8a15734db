#include "kernels/stretch.cuh"

namespace duet::cuda {
namespace {

template <class T, int V>
__global__ void gate_add_kernel(T* __restrict__ y, const T* __restrict__ x, const T* __restrict__ h,
                                const float* __restrict__ mod, const int32_t* __restrict__ row, int64_t W, int64_t gate,
                                int N, int C) {
  const int n = blockIdx.x * kRows + threadIdx.y;
  if (n >= N) return;
  const float* g = mod + row[n] * W + gate;
  for (int c = threadIdx.x * V; c < C; c += 32 * V) {
    float xv[V], hv[V], gv[V];
    load(xv, x + int64_t(n) * C + c), load(hv, h + int64_t(n) * C + c), load_f32(gv, g + c);
#pragma unroll
    for (int i = 0; i < V; ++i) xv[i] += hv[i] * gv[i];
    store(y + int64_t(n) * C + c, xv);
  }
}

// A stretch's tokens have one row of gates, so one pass gives dh and the stretch's part of the gates' gradient.
template <class T, int V>
__global__ void gate_add_bwd_kernel(T* __restrict__ dh, bool add, float* __restrict__ partial, const T* __restrict__ dy,
                                    const T* __restrict__ h, const float* __restrict__ mod,
                                    const int32_t* __restrict__ row, const int32_t* __restrict__ at, int64_t W,
                                    int64_t gate, int C) {
  const int c = (blockIdx.y * blockDim.x + threadIdx.x) * V, s = blockIdx.x;
  if (c >= C) return;
  float gv[V], sum[V] = {};
  load_f32(gv, mod + row[at[s]] * W + gate + c);
  for (int n = at[s]; n < at[s + 1]; ++n) {
    const int64_t i0 = int64_t(n) * C + c;
    float dv[V], hv[V], d[V] = {};
    load(dv, dy + i0);
    if (partial) {
      load(hv, h + i0);
#pragma unroll
      for (int i = 0; i < V; ++i) sum[i] += dv[i] * hv[i];
    }
    if (!dh) continue;
    if (add) load(d, dh + i0);
#pragma unroll
    for (int i = 0; i < V; ++i) d[i] += dv[i] * gv[i];
    store(dh + i0, d);
  }
  if (partial) store_f32(partial + int64_t(s) * C + c, sum);
}

void gate_add(const Tensor& y, const Tensor& x, const Tensor& h, const Tensor& mod, const Tensor& row, int64_t gate) {
  const int64_t C = x.shape().last(), N = x.shape().rows();
  const Tensor r = on_card(row);
  with_words(x.dtype(), C | gate | mod.dim(1), {&y, &x, &h, &mod}, [&](auto zero, auto v) {
    using T = decltype(zero);
    DUET_LAUNCH((gate_add_kernel<T, v()>), dim3(blocks(N, kRows)), dim3(32, kRows), 0, y.data<T>(), x.data<T>(),
                h.data<T>(), mod.data(), r.data<int32_t>(), mod.dim(1), gate, int(N), int(C));
  });
}

void gate_add_bwd(const Tensor& dh, bool add, const Tensor& dmod, const Tensor& dy, const Tensor& h, const Tensor& mod,
                  const Tensor& row, int64_t gate) {
  const int64_t C = h.shape().last();
  const Tensor r = on_card(row);
  const auto s = stretches(row);
  const Tensor partial = dmod ? card_floats({s->n, C}) : Tensor();
  with_words(h.dtype(), C | gate | mod.dim(1), {&dh, &dy, &h, &mod}, [&](auto zero, auto v) {
    using T = decltype(zero);
    DUET_LAUNCH((gate_add_bwd_kernel<T, v()>), dim3(unsigned(s->n), blocks(C, 128 * v())), dim3(128), 0, ptr<T>(dh), add,
                ptr<float>(partial), dy.data<T>(), h.data<T>(), mod.data(), r.data<int32_t>(),
                s->at.template data<int32_t>(), mod.dim(1), gate, int(C));
  });
  if (dmod) sum_stretches(dmod, partial, s->by_row, gate, 0, C);
}

}  // namespace

void enter_gate(Kernels& k) { k.gate_add = gate_add, k.gate_add_bwd = gate_add_bwd; }

}  // namespace duet::cuda
