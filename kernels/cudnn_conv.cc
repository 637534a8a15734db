// One convolution a graph, and after it, while the sum is still f32, the bias or the writing of f32: a gradient of w that is
// f32 itself is taken by no engine of cuDNN 9.19.
#include "kernels/cudnn_plan.h"

#ifdef DUET_CUDNN_HEADERS
#include <algorithm>

namespace duet::cuda {
namespace {

enum Id : int64_t { kX = 1, kW, kY, kBias };

class ConvBuilder : public Graph {
 public:
  explicit ConvBuilder(const ConvGraph& g) {
    const Value x = outside(kX, {g.B, g.C, g.H, g.W}, strides(g.H, g.W, g.C), kBf16);
    const Value w = outside(kW, {g.O, g.C, 3, 3}, strides(3, 3, g.C), g.pass == ConvPass::dw ? kF32 : kBf16);
    const Value y = outside(kY, {g.B, g.O, g.H, g.W}, strides(g.H, g.W, g.O), kBf16);
    if (g.pass == ConvPass::dx)
      convolve(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
               {{CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, x.desc},
                {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, w.desc},
                {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, y.desc},
                {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, same_size()}},
               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA);
    else if (g.pass == ConvPass::dw) {
      const Value sum = inside(w.dims, kF32, w.strides);
      convolve(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
               {{CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, x.desc},
                {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, sum.desc},
                {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, y.desc},
                {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, same_size()}},
               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA);
      pointwise_into(w, CUDNN_POINTWISE_IDENTITY, sum);
    } else {
      const Value sum = g.bias ? inside(y.dims, kF32, y.strides) : y;
      convolve(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
               {{CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x.desc},
                {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w.desc},
                {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, sum.desc},
                {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, same_size()}},
               CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA);
      if (g.bias) pointwise_into(y, CUDNN_POINTWISE_ADD, sum, outside(kBias, {1, g.O, 1, 1}, {g.O, 1, g.O, g.O}, kF32));
    }
  }

 private:
  static Dims strides(int64_t H, int64_t W, int64_t C) { return {H * W * C, 1, W * C, C}; }  // of (N,C,H,W), C innermost

  Desc same_size() {  // the result is as large as what goes in: one row and column of zeros on each side
    const Desc d = keep().make(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    const Dims one{1, 1};
    set(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, {kF32});
    set(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, {CUDNN_CROSS_CORRELATION});
    set(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, {int64_t(2)});
    for (const auto name : {CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES,
                            CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS})
      set(d, name, one);
    finish(d, "a convolution's sizes");
    return d;
  }
  void convolve(cudnnBackendDescriptorType_t type, const std::vector<std::pair<cudnnBackendAttributeName_t, Desc>>& parts,
                cudnnBackendAttributeName_t alpha, cudnnBackendAttributeName_t beta) {
    const Desc op = keep().make(type);
    for (const auto& [name, part] : parts) set(op, name, part);
    set(op, alpha, CUDNN_TYPE_FLOAT, {1.0f}), set(op, beta, CUDNN_TYPE_FLOAT, {0.0f});
    add(op, "a convolution");
  }
};

// Sums are to be f32, one product after another, as our products' are; a gradient of w, 9 C O sums over all pixels, in pieces
// of a few thousand.
Wish wish(const ConvGraph& g) {
  Wish w{{CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION, CUDNN_NUMERICAL_NOTE_FFT,
          CUDNN_NUMERICAL_NOTE_WINOGRAD}};
  if (g.fixed_order) w.refused.push_back(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC);
  if (g.pass == ConvPass::dw) w.pieces = std::clamp<int64_t>(g.B * g.H * g.W / 4096, 1, 64);
  return w;
}

}  // namespace

bool cudnn_conv3x3(const ConvGraph& g, const ConvData& d, void* stream) {
  static auto* plans = new Plans<ConvGraph>;  // the driver may be gone before static objects are
  return plans->use(
      g, join("a convolution of ", g.B, " x ", g.H, " x ", g.W),
      [&] { return make_plan(std::make_unique<ConvBuilder>(g), wish(g)); },
      [&](const Plan& p) {
        Given give;
        give(kX, d.x), give(kW, d.w), give(kY, d.y);
        if (g.bias) give(kBias, d.bias);
        run(p, give, stream, "a convolution");
      });
}

GraphAnswer ask_cudnn(const ConvGraph& g, const std::string& json) {
  ConvBuilder b(g);
  return ask(b, json, wish(g));
}

}  // namespace duet::cuda

#else

#include "kernels/error.h"

namespace duet::cuda {

bool cudnn_conv3x3(const ConvGraph&, const ConvData&, void*) { return false; }
GraphAnswer ask_cudnn(const ConvGraph&, const std::string&) { refuse(cudnn_missing()); }

}  // namespace duet::cuda

#endif
