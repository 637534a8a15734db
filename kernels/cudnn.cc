// The graphs are the long form of attention, products and what lies between them, in the order in which cuDNN 9 knows
// it again as one kernel (as cudnn-frontend 1.x writes them, node/scaled_dot_product_flash_attention.h).
#include "kernels/cudnn.h"

#include <cstdlib>

#include "kernels/cudalib.h"
#include "kernels/error.h"

namespace duet::cuda {

static UseCudnn use = [] {
  const char* say = std::getenv("DUET_CUDNN");
  return !say || !*say ? UseCudnn::where_it_pays : *say == '1' ? UseCudnn::always : UseCudnn::never;
}();
UseCudnn use_cudnn() { return use; }
void set_use_cudnn(UseCudnn u) { use = u; }

}  // namespace duet::cuda

#if __has_include(<cudnn_graph.h>) && __has_include(<cuda_runtime_api.h>)
#include <cudnn_graph.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <memory>
#include <vector>

#include "kernels/tensor.h"

namespace duet::cuda {
namespace {

using Desc = cudnnBackendDescriptor_t;
using Dims = std::vector<int64_t>;

struct Dnn {
  CudaLibrary nvrtc{{"libnvrtc.so.13", "libnvrtc.so.12"}};  // which cuDNN asks the loader for by name
  CudaLibrary library{{"libcudnn.so.9"}};
#define DUET_DNN(name) decltype(&cudnn##name) name = library ? library.get<decltype(&cudnn##name)>("cudnn" #name) : nullptr
  DUET_DNN(BackendCreateDescriptor);
  DUET_DNN(BackendDestroyDescriptor);
  DUET_DNN(BackendExecute);
  DUET_DNN(BackendFinalize);
  DUET_DNN(BackendGetAttribute);
  DUET_DNN(BackendSetAttribute);
  DUET_DNN(Create);
  DUET_DNN(GetErrorString);
  DUET_DNN(GetLastErrorString);
  DUET_DNN(GetVersion);
  DUET_DNN(SetStream);
#undef DUET_DNN
};
const Dnn& dnn() {
  static const Dnn* d = new Dnn;
  return *d;
}

std::string last_words() {
  char text[1024] = {};
  dnn().GetLastErrorString(text, sizeof text);
  return text;
}
void check(cudnnStatus_t s, const char* what) {
  if (s != CUDNN_STATUS_SUCCESS) refuse("cuDNN: ", what, ": ", dnn().GetErrorString(s), "; ", last_words());
}

// All descriptors of a graph; freed together.
class Descriptors {
 public:
  ~Descriptors() {
    for (auto it = all_.rbegin(); it != all_.rend(); ++it) dnn().BackendDestroyDescriptor(*it);
  }
  Desc make(cudnnBackendDescriptorType_t t) {
    Desc d;
    check(dnn().BackendCreateDescriptor(t, &d), "a descriptor");
    all_.push_back(d);
    return d;
  }

 private:
  std::vector<Desc> all_;
};

template <class T>
void set(Desc d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::initializer_list<T> v) {
  check(dnn().BackendSetAttribute(d, name, type, int64_t(v.size()), v.begin()), "an attribute");
}
void set(Desc d, cudnnBackendAttributeName_t name, const Dims& v) {
  check(dnn().BackendSetAttribute(d, name, CUDNN_TYPE_INT64, int64_t(v.size()), v.data()), "dimensions");
}
void set(Desc d, cudnnBackendAttributeName_t name, Desc v) { set(d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, {v}); }
void finish(Desc d, const char* what) { check(dnn().BackendFinalize(d), what); }

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
  kOne,
  kInside = 100
};

constexpr auto kBf16 = CUDNN_DATA_BFLOAT16;
constexpr auto kF32 = CUDNN_DATA_FLOAT;
constexpr auto kI32 = CUDNN_DATA_INT32;
constexpr auto kBool = CUDNN_DATA_BOOLEAN;

Dims packed(const Dims& d) {
  Dims s(d.size(), 1);
  for (size_t i = d.size() - 1; i-- > 0;) s[i] = s[i + 1] * d[i + 1];
  return s;
}
Dims swapped(Dims d) {
  std::swap(d[2], d[3]);
  return d;
}

struct Value {
  Desc desc;
  Dims dims, strides;
  cudnnDataType_t type;
};

class Builder {
 public:
  explicit Builder(const AttentionGraph& g) : g_(g) {
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
  }

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
    const Value row_sum = outside(kRowSum, rows_, packed(rows_), kF32),
                dq_sum = outside(kDqSum, q_dims_, packed(q_dims_), kF32);
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

  Desc graph() {
    const Desc g = keep_.make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    check(dnn().BackendSetAttribute(g, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, int64_t(ops_.size()),
                                    ops_.data()),
          "operations");
    if (handle_) set(g, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, {handle_});
    finish(g, "the graph");
    return g;
  }
  Descriptors& keep() { return keep_; }
  void use(cudnnHandle_t h) { handle_ = h; }

 private:
  Value tensor(int64_t id, const Dims& dims, const Dims& strides, cudnnDataType_t type, const Value* ragged, bool is_virtual,
               bool value) {
    const Desc d = keep_.make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    set(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, {id});
    set(d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, {type});
    set(d, CUDNN_ATTR_TENSOR_DIMENSIONS, dims), set(d, CUDNN_ATTR_TENSOR_STRIDES, strides);
    set(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, {int64_t(16)});
    if (is_virtual) set(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, {true});
    if (value) set(d, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, {true});
    if (ragged) set(d, CUDNN_ATTR_TENSOR_RAGGED_OFFSET_DESC, ragged->desc);
    finish(d, "a tensor");
    return {d, dims, strides, type};
  }
  Value outside(Id id, const Dims& dims, const Dims& strides, cudnnDataType_t t, const Value* ragged = nullptr) {
    return tensor(id, dims, strides, t, ragged, false, false);
  }
  Value offset(Id id) { return outside(id, {g_.B + 1, 1, 1, 1}, {1, 1, 1, 1}, kI32); }
  Value by_value(Id id, cudnnDataType_t t) { return tensor(id, {1, 1, 1, 1}, {1, 1, 1, 1}, t, nullptr, false, true); }
  Value inside(const Dims& dims, cudnnDataType_t t, const Dims& strides = {}, const Value* ragged = nullptr) {
    return tensor(next_++, dims, strides.empty() ? packed(dims) : strides, t, ragged, true, false);
  }

  void pointwise_into(const Value& y, cudnnPointwiseMode_t mode, const Value& x, const Value& b = {}, const Value& choose = {},
                      cudnnDataType_t compute = kF32, int64_t axis = -1) {
    const Desc how = keep_.make(CUDNN_BACKEND_POINTWISE_DESCRIPTOR),
               op = keep_.make(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set(how, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, {mode});
    set(how, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, {compute});
    if (axis >= 0) set(how, CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, {axis});
    finish(how, "a pointwise mode");
    set(op, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
    set(op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x.desc);
    if (b.desc) set(op, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b.desc);
    if (choose.desc) set(op, CUDNN_ATTR_OPERATION_POINTWISE_TDESC, choose.desc);
    set(op, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y.desc);
    add(op, "a pointwise operation");
  }
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
    const Desc how = keep_.make(CUDNN_BACKEND_MATMUL_DESCRIPTOR), op = keep_.make(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
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
    const Desc how = keep_.make(CUDNN_BACKEND_REDUCTION_DESCRIPTOR),
               op = keep_.make(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
    set(how, CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, {what});
    set(how, CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, {kF32});
    finish(how, "a reduction's type");
    set(op, CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x.desc), set(op, CUDNN_ATTR_OPERATION_REDUCTION_YDESC, y.desc);
    set(op, CUDNN_ATTR_OPERATION_REDUCTION_DESC, how);
    add(op, "a reduction");
    return y;
  }
  void reshape_into(const Value& y, const Value& x) {
    const Desc op = keep_.make(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
    set(op, CUDNN_ATTR_OPERATION_RESHAPE_XDESC, x.desc), set(op, CUDNN_ATTR_OPERATION_RESHAPE_YDESC, y.desc);
    add(op, "a reshape");
  }
  Value turned(const Value& x) {  // rows and columns exchanged, as bf16
    const Value y = inside(swapped(x.dims), kBf16, swapped(x.strides));
    reshape_into(y, x);
    return y;
  }
  void add(Desc op, const char* what) { finish(op, what), ops_.push_back(op); }

  const AttentionGraph g_;
  Descriptors keep_;
  std::vector<Desc> ops_;
  int64_t next_ = kInside;
  cudnnHandle_t handle_ = nullptr;
  Dims scores_, rows_, q_dims_, k_dims_, q_strides_, k_strides_, o_strides_, lse_strides_;
  Value q_offset_, k_offset_, o_offset_, lse_offset_, q_count_, k_count_, limit_{}, q_, kt_, lse_, scale_, least_;
};

// What the heuristics offer for a graph, best first: engine configurations.
std::vector<Desc> offers(Descriptors& keep, Desc graph, cudnnBackendHeurMode_t mode, Desc device) {
  const Desc h = keep.make(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  set(h, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  set(h, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, {mode});
  if (device) set(h, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, device);
  finish(h, "heuristics");
  int64_t n = 0, got = 0;
  check(dnn().BackendGetAttribute(h, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &n, nullptr),
        "their number");
  std::vector<Desc> found;
  for (int64_t i = 0; i < n; ++i) found.push_back(keep.make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
  if (n)
    check(dnn().BackendGetAttribute(h, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, n, &got, found.data()),
          "engines");
  found.resize(size_t(got));
  return found;
}

void build(Builder& b, const AttentionGraph& g) {
  if (g.backward) b.backward();
  else b.forward();
}

// A graph and the plan that runs it.
struct Plan {
  std::unique_ptr<Builder> graph;
  Desc plan = nullptr;  // none: cuDNN has none
  int64_t workspace = 0;
};

Plan make_plan(const AttentionGraph& g, cudnnHandle_t handle) {
  Plan p;
  p.graph = std::make_unique<Builder>(g);
  p.graph->use(handle);
  build(*p.graph, g);
  const Desc graph = p.graph->graph();
  std::string why;
  for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK})
    for (const Desc engine : offers(p.graph->keep(), graph, mode, nullptr)) {
      const Desc plan = p.graph->keep().make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      set(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, {handle});
      set(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, engine);
      if (dnn().BackendFinalize(plan) != CUDNN_STATUS_SUCCESS) {
        why = last_words();
        continue;
      }
      int64_t n = 0;
      check(dnn().BackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &n, &p.workspace),
            "workspace");
      p.plan = plan;
      return p;
    }
  refuse("cuDNN: no plan; ", why);
}

void run(const Plan& p, const AttentionGraph& g, const AttentionData& d, cudnnHandle_t handle, void* stream) {
  const Tensor workspace({std::max<int64_t>(p.workspace, 16)}, DType::u8, Device::cuda);
  float scale = 1 / std::sqrt(float(g.D)), least = -std::numeric_limits<float>::infinity(), one = 1;
  std::vector<int64_t> ids;
  std::vector<void*> pointers;
  const auto give = [&](Id id, void* p) { ids.push_back(id), pointers.push_back(p); };
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
  Descriptors keep;
  const Desc pack = keep.make(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  check(dnn().BackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, int64_t(ids.size()), ids.data()),
        "names");
  check(dnn().BackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, int64_t(pointers.size()),
                                  pointers.data()),
        "pointers");
  set(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, {workspace.data<void>()});
  finish(pack, "a variant pack");
  check(dnn().SetStream(handle, static_cast<cudaStream_t>(stream)), "the stream");
  check(dnn().BackendExecute(handle, p.plan, pack), "attention");
}

}  // namespace

std::string cudnn_missing() { return dnn().library.why(); }

bool cudnn_attention(const AttentionGraph& g, const AttentionData& d, void* stream) {
  static bool off = false;
  static cudnnHandle_t handle = [] {
    cudnnHandle_t h = nullptr;
    // Older ones want the sum of dq zeroed.
    if (!cudnn_missing().empty() || dnn().GetVersion() < 90600 || dnn().Create(&h) != CUDNN_STATUS_SUCCESS) off = true;
    return h;
  }();
  if (off) return false;
  static auto* plans = new std::map<AttentionGraph, Plan>;  // the driver may be gone before static objects are
  auto it = plans->find(g);
  try {
    if (it == plans->end()) it = plans->emplace(g, Plan{}).first, it->second = make_plan(g, handle);
    if (!it->second.plan) return false;
    run(it->second, g, d, handle, stream);
    return true;
  } catch (const Error& e) {
    std::fprintf(stderr, "duet: %s; attention of up to %lld tokens goes on without it\n", e.what(), (long long)g.k);
    it->second.plan = nullptr;
    return false;
  }
}

GraphAnswer ask_cudnn(const AttentionGraph& g, const std::string& json) {
  Builder b(g);
  const Desc device = b.keep().make(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  check(dnn().BackendSetAttribute(device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, int64_t(json.size() + 1),
                                  json.c_str()),
        "the card's properties");
  finish(device, "the card's properties");
  build(b, g);
  const Desc graph = b.graph();
  const auto engines = offers(b.keep(), graph, CUDNN_HEUR_MODE_A, device);
  GraphAnswer a{int(engines.size()), ""};
  if (engines.empty()) return a;
  const Desc plan = b.keep().make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  set(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, engines[0]);
  set(plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, device);
  if (dnn().BackendFinalize(plan) != CUDNN_STATUS_SUCCESS) a.stopped = last_words();
  return a;
}

}  // namespace duet::cuda

#else

namespace duet::cuda {

std::string cudnn_missing() { return "this duet was built without cuDNN's headers"; }
bool cudnn_attention(const AttentionGraph&, const AttentionData&, void*) { return false; }
GraphAnswer ask_cudnn(const AttentionGraph&, const std::string&) { refuse(cudnn_missing()); }

}  // namespace duet::cuda

#endif
