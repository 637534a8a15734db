#include "kernels/cudnn_plan.h"

#ifdef DUET_CUDNN_HEADERS
#include <algorithm>

#include "kernels/tensor.h"

namespace duet::cuda {

const Dnn& dnn() {
  static const Dnn* d = new Dnn;
  return *d;
}

static std::string last_words() {
  char text[1024] = {};
  dnn().GetLastErrorString(text, sizeof text);
  return text;
}
void check(cudnnStatus_t s, const char* what) {
  if (s != CUDNN_STATUS_SUCCESS) throw CudnnError(join("cuDNN: ", what, ": ", dnn().GetErrorString(s), "; ", last_words()));
}

void set(Desc d, cudnnBackendAttributeName_t name, const Dims& v) {
  check(dnn().BackendSetAttribute(d, name, CUDNN_TYPE_INT64, int64_t(v.size()), v.data()), "dimensions");
}
void set(Desc d, cudnnBackendAttributeName_t name, Desc v) { set(d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, {v}); }
void finish(Desc d, const char* what) { check(dnn().BackendFinalize(d), what); }

Dims dense_strides(const Dims& d) {
  Dims s(d.size(), 1);
  for (size_t i = d.size() - 1; i-- > 0;) s[i] = s[i + 1] * d[i + 1];
  return s;
}

Value Graph::tensor(int64_t id, const Dims& dims, const Dims& strides, cudnnDataType_t type, const Value* ragged,
                    bool is_virtual, bool value) {
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

void Graph::pointwise_into(const Value& y, cudnnPointwiseMode_t mode, const Value& x, const Value& b, const Value& choose,
                           cudnnDataType_t compute, int64_t axis) {
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

Desc Graph::finished(cudnnHandle_t handle) {
  const Desc g = keep_.make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  check(dnn().BackendSetAttribute(g, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, int64_t(ops_.size()),
                                  ops_.data()),
        "operations");
  if (handle) set(g, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, {handle});
  finish(g, "the graph");
  return g;
}

static bool has_note(Descriptors& keep, Desc config, const std::vector<cudnnBackendNumericalNote_t>& refused) {
  Desc engine = keep.make(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  int64_t n = 0;
  check(dnn().BackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &n, &engine),
        "an engine");
  cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  check(dnn().BackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                  CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &n, notes),
        "notes of an engine");
  return std::find_first_of(notes, notes + n, refused.begin(), refused.end()) != notes + n;
}

// Configurations of the engines that cut the sum into so many pieces.
static std::vector<Desc> in_pieces(Descriptors& keep, Desc graph, Desc device, int64_t pieces) {
  int64_t n = 0, engines = 0;
  check(dnn().BackendGetAttribute(graph, CUDNN_ATTR_OPERATIONGRAPH_ENGINE_GLOBAL_COUNT, CUDNN_TYPE_INT64, 1, &n, &engines),
        "the number of engines");
  const Desc choice = keep.make(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
  set(choice, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, {CUDNN_KNOB_TYPE_SPLIT_K_SLC});
  set(choice, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, {pieces});
  finish(choice, "a number of pieces");
  std::vector<Desc> found;
  for (int64_t i = 0; i < engines; ++i) {
    const Desc engine = keep.make(CUDNN_BACKEND_ENGINE_DESCRIPTOR), config = keep.make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    set(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph);
    set(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, {i});
    if (device) set(engine, CUDNN_ATTR_ENGINE_DEVICEPROP, device);
    if (dnn().BackendFinalize(engine) != CUDNN_STATUS_SUCCESS) continue;
    set(config, CUDNN_ATTR_ENGINECFG_ENGINE, engine), set(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, choice);
    if (dnn().BackendFinalize(config) == CUDNN_STATUS_SUCCESS) found.push_back(config);
  }
  return found;
}

// Engine configurations for a graph, best first: those that cut its sum, where that is wished, then what the heuristics offer.
static std::vector<Desc> offers(Descriptors& keep, Desc graph, cudnnBackendHeurMode_t mode, Desc device, const Wish& wish) {
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
  if (wish.pieces > 1 && mode == CUDNN_HEUR_MODE_A) {
    const auto cut = in_pieces(keep, graph, device, wish.pieces);
    found.insert(found.begin(), cut.begin(), cut.end());
  }
  if (!wish.refused.empty()) std::erase_if(found, [&](Desc config) { return has_note(keep, config, wish.refused); });
  return found;
}

static cudnnHandle_t handle() {
  static const cudnnHandle_t made = [] {
    cudnnHandle_t h = nullptr;
    // Older ones want the sum of attention's dq zeroed.
    if (!cudnn_missing().empty() || dnn().GetVersion() < 90600 || dnn().Create(&h) != CUDNN_STATUS_SUCCESS) h = nullptr;
    return h;
  }();
  return made;
}
bool cudnn_answers() { return handle() != nullptr; }

Plan make_plan(std::unique_ptr<Graph> g, const Wish& wish) {
  Plan p;
  p.graph = std::move(g);
  const Desc graph = p.graph->finished(handle());
  std::string why = "no engine is offered";
  for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK})
    for (const Desc engine : offers(p.graph->keep(), graph, mode, nullptr, wish)) {
      const Desc plan = p.graph->keep().make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      set(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, {handle()});
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
  throw CudnnError(join("cuDNN: no plan; ", why));
}

void run(const Plan& p, const Given& given, void* stream, const char* what) {
  const Tensor workspace({std::max<int64_t>(p.workspace, 16)}, DType::u8, Device::cuda);
  const int64_t n = int64_t(given.ids().size());
  Descriptors keep;
  const Desc pack = keep.make(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  check(dnn().BackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, n, given.ids().data()), "names");
  check(dnn().BackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, n, given.pointers().data()),
        "pointers");
  set(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, {workspace.data<void>()});
  finish(pack, "a variant pack");
  check(dnn().SetStream(handle(), static_cast<cudaStream_t>(stream)), "the stream");
  check(dnn().BackendExecute(handle(), p.plan, pack), what);
}

std::string cudnn_missing() { return dnn().library.why(); }

GraphAnswer ask(Graph& g, const std::string& json, const Wish& wish) {
  const Desc device = g.keep().make(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  check(dnn().BackendSetAttribute(device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, int64_t(json.size() + 1),
                                  json.c_str()),
        "the card's properties");
  finish(device, "the card's properties");
  const auto engines = offers(g.keep(), g.finished(nullptr), CUDNN_HEUR_MODE_A, device, wish);
  GraphAnswer a{int(engines.size()), ""};
  if (engines.empty()) return a;
  const Desc plan = g.keep().make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  set(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, engines[0]);
  set(plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, device);
  if (dnn().BackendFinalize(plan) != CUDNN_STATUS_SUCCESS) a.stopped = last_words();
  return a;
}

}  // namespace duet::cuda

#else

namespace duet::cuda {

std::string cudnn_missing() { return "this duet was built without cuDNN's headers"; }

}  // namespace duet::cuda

#endif
