// The graphs are the long form of attention, products and what lies between them, in the order in which cuDNN 9 knows
// it again as one kernel (as cudnn-frontend 1.x writes them, node/scaled_dot_product_flash_attention.h).
#include "kernels/cudnn_plan.h"

#ifdef DUET_CUDNN_HEADERS
#include <cmath>
#include <limits>

#include "kernels/tensor.h"

namespace duet::cuda {
namespace {

// Names of the tensors that come from outside.
enum Id : int64_t {
  kQ = 1,
  kK,
  kV,
  kO,
  kLse,
  kScale,
  kLeast,
  kQOffset,
  kKOffset,
  kOOffset,
  kLseOffset,
  kQCount,
  kKCount,
  kLimit,
  kDq,
  kDk,
  kDv,
  kDout,
  kDqSum,
  kRowSum,
  kOne
};

constexpr auto kI32 = CUDNN_DATA_INT32;
constexpr auto kBool = CUDNN_DATA_BOOLEAN;

Dims swapped(Dims d) {
  std::swap(d[2], d[3]);
  return d;
}

class AttentionBuilder : public Graph {
 public:
  explicit AttentionBuilder(const AttentionGraph& g) : g_(g) {
    const int64_t B = g.B, H = g.H, D = g.D;
    scores_ = {B, H, g.q, g.k}, rows_ = {B, H, g.q, 1};
    q_offset_ = offset(kQOffset), k_offset_ = offset(kKOffset), o_offset_ = offset(kOOffset), lse_offset_ = offset(kLseOffset);
    q_count_ = outside(kQCount, {B, 1, 1, 1}, {1, 1, 1, 1}, kI32),
    k_count_ = outside(kKCount, {B, 1, 1, 1}, {1, 1, 1, 1}, kI32);
    q_dims_ = {B, H, g.q, D}, k_dims_ = {B, H, g.k, D};
    q_strides_ = {g.q * g.ldq, D, g.ldq, 1}, k_strides_ = {g.k * g.ldk, D, g.ldk, 1};
    o_strides_ = {g.q * H * D, D, H * D, 1}, lse_strides_ = {g.q * H, 1, H, 1};
    q_ = outside(kQ, q_dims_, q_strides_, kBf16, &q_offset_);
    kt_ = outside(kK, swapped(k_dims_), swapped(k_strides_), kBf16, &k_offset_);
    lse_ = outside(kLse, rows_, lse_strides_, kF32, &lse_offset_);
    scale_ = by_value(kScale, kF32), least_ = by_value(kLeast, kF32);
    if (g.mask == AttentionMask::limit) limit_ = outside(kLimit, {B, 1, g.q, 1}, {g.q, g.q, 1, 1}, kI32);
    if (g.backward) backward();
    else forward();
  }

 private:
  void forward() {
    const Value v = outside(kV, k_dims_, k_strides_, kBf16, &k_offset_);
    const Value o = outside(kO, q_dims_, o_strides_, kBf16, &o_offset_);
    const Value s = masked(pointwise(CUDNN_POINTWISE_MUL, product(q_, kt_, scores_, kF32, q_count_, k_count_, {}), scale_));
    const Value most = reduce(CUDNN_REDUCE_TENSOR_MAX, s, inside(rows_, kF32));
    const Value e = pointwise(CUDNN_POINTWISE_EXP, pointwise(CUDNN_POINTWISE_SUB, s, most));
    const Value sum = reduce(CUDNN_REDUCE_TENSOR_ADD, e, inside(rows_, kF32));
    pointwise_into(lse_, CUDNN_POINTWISE_ADD, most, pointwise(CUDNN_POINTWISE_LOG, sum));
    const Value p = inside(scores_, kBf16);
    pointwise_into(p, CUDNN_POINTWISE_DIV, e, sum);
    product_into(o, p, v, q_count_, {}, k_count_);
  }

  void backward() {
    const Value vt = outside(kV, swapped(k_dims_), swapped(k_strides_), kBf16, &k_offset_);
    const Value o = outside(kO, q_dims_, o_strides_, kBf16, &o_offset_),
                g = outside(kDout, q_dims_, o_strides_, kBf16, &o_offset_);
    const Value dq = outside(kDq, q_dims_, q_strides_, kBf16, &q_offset_);
    const Value dk = outside(kDk, k_dims_, k_strides_, kBf16, &k_offset_),
                dv = outside(kDv, k_dims_, k_strides_, kBf16, &k_offset_);
    const Value row_sum = outside(kRowSum, rows_, dense_strides(rows_), kF32),
                dq_sum = outside(kDqSum, q_dims_, dense_strides(q_dims_), kF32);
    const Value one = by_value(kOne, kF32);

    const Value go = inside(q_dims_, kF32);
    pointwise_into(go, CUDNN_POINTWISE_MUL, g, o);
    pointwise_into(row_sum, CUDNN_POINTWISE_MUL, reduce(CUDNN_REDUCE_TENSOR_ADD, go, inside(rows_, kF32)), one);

    const Value s = padded(pointwise(CUDNN_POINTWISE_MUL, product(q_, kt_, scores_, kF32, q_count_, k_count_, {}), scale_));
    const Value p = pointwise(CUDNN_POINTWISE_EXP, limited(pointwise(CUDNN_POINTWISE_SUB, s, lse_)));
    product_into(dv, turned(p), g, k_count_, {}, q_count_);

    const Value dp = product(g, vt, scores_, kF32, q_count_, k_count_, {});
    const Value ds =
        pointwise(CUDNN_POINTWISE_MUL, pointwise(CUDNN_POINTWISE_MUL, pointwise(CUDNN_POINTWISE_SUB, dp, row_sum), p), scale_);
    product_into(dk, turned(ds), q_, k_count_, {}, q_count_);

    const Value k = inside(k_dims_, kBf16, k_strides_, &k_offset_);
    reshape_into(k, kt_);
    product_into(dq_sum, ds, k, q_count_, {}, k_count_);
    pointwise_into(dq, CUDNN_POINTWISE_IDENTITY, dq_sum);
  }

  Value offset(Id id) { return outside(id, {g_.B + 1, 1, 1, 1}, {1, 1, 1, 1}, kI32); }
  Value pointwise(cudnnPointwiseMode_t mode, const Value& x, const Value& b = {}, const Value& choose = {}) {
    const Value y = inside(x.dims, kF32);
    pointwise_into(y, mode, x, b, choose);
    return y;
  }
  Value index(const Value& like, int64_t axis) {
    const Value y = inside(like.dims, kI32);
    pointwise_into(y, CUDNN_POINTWISE_GEN_INDEX, like, {}, {}, kI32, axis);
    return y;
  }
  Value compare(cudnnPointwiseMode_t mode, const Value& a, const Value& b) {
    const Value y = inside(a.dims, kBool);
    pointwise_into(y, mode, a, b, {}, kBool);
    return y;
  }
  // s where it counts, the least number elsewhere
  Value padded(const Value& s) {
    const Value both = compare(CUDNN_POINTWISE_LOGICAL_AND, compare(CUDNN_POINTWISE_CMP_LT, index(s, 2), q_count_),
                               compare(CUDNN_POINTWISE_CMP_LT, index(s, 3), k_count_));
    return pointwise(CUDNN_POINTWISE_BINARY_SELECT, s, least_, both);
  }
  Value limited(const Value& s) {
    if (g_.mask == AttentionMask::full) return s;
    if (g_.mask == AttentionMask::limit)
      return pointwise(CUDNN_POINTWISE_BINARY_SELECT, s, least_, compare(CUDNN_POINTWISE_CMP_LT, index(s, 3), limit_));
    const Value row = index(s, 2);
    return pointwise(CUDNN_POINTWISE_BINARY_SELECT, s, least_, compare(CUDNN_POINTWISE_CMP_GE, row, index(s, 3)));
  }
  Value masked(const Value& s) { return limited(padded(s)); }

  void product_into(const Value& c, const Value& a, const Value& b, const Value& m, const Value& n, const Value& k) {
    const Desc how = keep().make(CUDNN_BACKEND_MATMUL_DESCRIPTOR), op = keep().make(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
    set(how, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, {kF32});
    if (n.desc) set(how, CUDNN_ATTR_MATMUL_PADDING_VALUE, CUDNN_TYPE_DOUBLE, {0.0});
    finish(how, "a product's type");
    set(op, CUDNN_ATTR_OPERATION_MATMUL_ADESC, a.desc), set(op, CUDNN_ATTR_OPERATION_MATMUL_BDESC, b.desc);
    set(op, CUDNN_ATTR_OPERATION_MATMUL_CDESC, c.desc), set(op, CUDNN_ATTR_OPERATION_MATMUL_DESC, how);
    if (m.desc) set(op, CUDNN_ATTR_OPERATION_MATMUL_GEMM_M_OVERRIDE_DESC, m.desc);
    if (n.desc) set(op, CUDNN_ATTR_OPERATION_MATMUL_GEMM_N_OVERRIDE_DESC, n.desc);
    if (k.desc) set(op, CUDNN_ATTR_OPERATION_MATMUL_GEMM_K_OVERRIDE_DESC, k.desc);
    add(op, "a product");
  }
  Value product(const Value& a, const Value& b, const Dims& dims, cudnnDataType_t t, const Value& m, const Value& n,
                const Value& k) {
    const Value c = inside(dims, t);
    product_into(c, a, b, m, n, k);
    return c;
  }
  Value reduce(cudnnReduceTensorOp_t what, const Value& x, const Value& y) {
    const Desc how = keep().make(CUDNN_BACKEND_REDUCTION_DESCRIPTOR),
               op = keep().make(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
    set(how, CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, {what});
    set(how, CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, {kF32});
    finish(how, "a reduction's type");
    set(op, CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x.desc), set(op, CUDNN_ATTR_OPERATION_REDUCTION_YDESC, y.desc);
    set(op, CUDNN_ATTR_OPERATION_REDUCTION_DESC, how);
    add(op, "a reduction");
    return y;
  }
  void reshape_into(const Value& y, const Value& x) {
    const Desc op = keep().make(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
    set(op, CUDNN_ATTR_OPERATION_RESHAPE_XDESC, x.desc), set(op, CUDNN_ATTR_OPERATION_RESHAPE_YDESC, y.desc);
    add(op, "a reshape");
  }
  Value turned(const Value& x) {  // rows and columns exchanged, as bf16
    const Value y = inside(swapped(x.dims), kBf16, swapped(x.strides));
    reshape_into(y, x);
    return y;
  }

  const AttentionGraph g_;
  Dims scores_, rows_, q_dims_, k_dims_, q_strides_, k_strides_, o_strides_, lse_strides_;
  Value q_offset_, k_offset_, o_offset_, lse_offset_, q_count_, k_count_, limit_{}, q_, kt_, lse_, scale_, least_;
};

void run_attention(const Plan& p, const AttentionGraph& g, const AttentionData& d, void* stream) {
  const float scale = 1 / std::sqrt(float(g.D)), least = -std::numeric_limits<float>::infinity(), one = 1;
  Given give;
  give(kQ, d.q), give(kK, d.k), give(kV, d.v), give(kO, d.o), give(kLse, d.lse), give(kScale, &scale), give(kLeast, &least);
  give(kQOffset, d.q_offset), give(kKOffset, d.k_offset), give(kOOffset, d.o_offset), give(kLseOffset, d.lse_offset);
  give(kQCount, d.q_count), give(kKCount, d.k_count);
  if (g.mask == AttentionMask::limit) give(kLimit, d.limit);
  Tensor dq_sum, row_sum;
  if (g.backward) {
    dq_sum = Tensor({g.B, g.H, g.q, g.D}, DType::f32, Device::cuda),
    row_sum = Tensor({g.B, g.H, g.q}, DType::f32, Device::cuda);
    give(kDq, d.dq), give(kDk, d.dk), give(kDv, d.dv), give(kDout, d.dout);
    give(kDqSum, dq_sum.data()), give(kRowSum, row_sum.data()), give(kOne, &one);
  }
  run(p, give, stream, "attention");
}

}  // namespace

bool cudnn_attention(const AttentionGraph& g, const AttentionData& d, void* stream) {
  static auto* plans = new Plans<AttentionGraph>;  // the driver may be gone before static objects are
  return plans->use(
      g, join("attention of up to ", g.k, " tokens"), [&] { return make_plan(std::make_unique<AttentionBuilder>(g), {}); },
      [&](const Plan& p) { run_attention(p, g, d, stream); });
}

GraphAnswer ask_cudnn(const AttentionGraph& g, const std::string& json) {
  AttentionBuilder b(g);
  return ask(b, json, {});
}

}  // namespace duet::cuda

#else

#include "kernels/error.h"

namespace duet::cuda {

bool cudnn_attention(const AttentionGraph&, const AttentionData&, void*) { return false; }
GraphAnswer ask_cudnn(const AttentionGraph&, const std::string&) { refuse(cudnn_missing()); }

}  // namespace duet::cuda

#endif
