// 3x3 convolutions on the card: cuDNN's, where it has a graph for them (cudnn.h). Elsewhere conv3x3() of ops.h does without.
#include "kernels/cuda.h"
#include "kernels/cudnn.h"
#include "kernels/gemm.h"

namespace duet::cuda {
namespace {

// x and y bf16; w as parameter or its gradient.
bool convolve(ConvPass pass, const Tensor& x, const Tensor& w, const Tensor& y, const Tensor& bias, const Around& at) {
  const Raster& p = at.order;
  const int64_t C = x.shape().last(), O = y.shape().last(), flops = 2 * x.count() * 9 * O;
  if (!p.B || x.dtype() != DType::bf16 || C % 8 || O % 8) return false;  // words of eight channels
  if (!worth_cudnn(double(flops))) return false;
  const bool dw = pass == ConvPass::dw;
  const Tensor weight = dw ? card_floats(w.shape()) : as_input(w);
  for (const Tensor* t : {&x, &weight, &y})
    if (reinterpret_cast<uintptr_t>(t->data<void>()) % 16) return false;
  if (!cudnn_conv3x3({pass, bool(bias), deterministic(), p.B, p.H, p.W, C, O},
                     {x.data<void>(), weight.data<void>(), y.data<void>(), ptr<void>(bias)}, stream()))
    return false;
  if (dw) kernels(Device::cuda).add(w, w, weight);
  count_flops(flops);
  return true;
}

bool conv3x3(const Tensor& y, const Tensor& x, const Tensor& w, const Tensor& bias, const Around& at) {
  return convolve(ConvPass::forward, x, w, y, bias, at);
}
bool conv3x3_dx(const Tensor& dx, const Tensor& dy, const Tensor& w, const Around& at) {
  return convolve(ConvPass::dx, dx, w, dy, {}, at);
}
bool conv3x3_dw(const Tensor& dw, const Tensor& dy, const Tensor& x, const Around& at) {
  return convolve(ConvPass::dw, x, dw, dy, {}, at);
}

}  // namespace

void enter_conv(Kernels& k) { k.conv3x3 = conv3x3, k.conv3x3_dx = conv3x3_dx, k.conv3x3_dw = conv3x3_dw; }

}  // namespace duet::cuda
