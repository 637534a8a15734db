// What the graphs of cuDNN are made of and run by: tensors, operations, engines, plans. Only cudnn_*.cc include it.
#pragma once
#include "kernels/cudnn.h"

#if __has_include(<cudnn_graph.h>) && __has_include(<cuda_runtime_api.h>)
#define DUET_CUDNN_HEADERS
#include <cudnn_graph.h>

#include <cstdio>
#include <map>
#include <memory>
#include <vector>

#include "kernels/cudalib.h"
#include "kernels/error.h"

namespace duet::cuda {

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
const Dnn& dnn();

struct CudnnError : Error {
  using Error::Error;
};
void check(cudnnStatus_t, const char* what);  // throws CudnnError unless it went well, with the library's own words

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
void set(Desc, cudnnBackendAttributeName_t, const Dims&);
void set(Desc, cudnnBackendAttributeName_t, Desc);
void finish(Desc, const char* what);

constexpr auto kBf16 = CUDNN_DATA_BFLOAT16;
constexpr auto kF32 = CUDNN_DATA_FLOAT;

Dims dense_strides(const Dims&);

struct Value {
  Desc desc;
  Dims dims, strides;
  cudnnDataType_t type;
};

// Tensors and the operations on them. Tensors from outside have names, below kInside.
class Graph {
 public:
  virtual ~Graph() = default;
  Desc finished(cudnnHandle_t);  // all of it; without a handle for a card that is described
  Descriptors& keep() { return keep_; }

 protected:
  static constexpr int64_t kInside = 100;
  Value outside(int64_t id, const Dims& dims, const Dims& strides, cudnnDataType_t t, const Value* ragged = nullptr) {
    return tensor(id, dims, strides, t, ragged, false, false);
  }
  Value by_value(int64_t id, cudnnDataType_t t) { return tensor(id, {1, 1, 1, 1}, {1, 1, 1, 1}, t, nullptr, false, true); }
  Value inside(const Dims& dims, cudnnDataType_t t, const Dims& strides = {}, const Value* ragged = nullptr) {
    return tensor(next_++, dims, strides.empty() ? dense_strides(dims) : strides, t, ragged, true, false);
  }
  void pointwise_into(const Value& y, cudnnPointwiseMode_t mode, const Value& x, const Value& b = {}, const Value& choose = {},
                      cudnnDataType_t compute = kF32, int64_t axis = -1);
  void add(Desc op, const char* what) { finish(op, what), ops_.push_back(op); }

 private:
  Value tensor(int64_t id, const Dims& dims, const Dims& strides, cudnnDataType_t type, const Value* ragged, bool is_virtual,
               bool value);
  Descriptors keep_;
  std::vector<Desc> ops_;
  int64_t next_ = kInside;
};

// Of the engine that is to run a graph: which notes it must not have, and into how many pieces it should cut a long sum over
// few results, which the heuristics leave to one processor.
struct Wish {
  std::vector<cudnnBackendNumericalNote_t> refused;
  int64_t pieces = 1;
};

// A graph and the plan that runs it.
struct Plan {
  std::unique_ptr<Graph> graph;
  Desc plan = nullptr;  // none: cuDNN has none
  int64_t workspace = 0;
};
// Of the first engine that has one; throws CudnnError where none has.
Plan make_plan(std::unique_ptr<Graph>, const Wish&);

// The tensors from outside, by name: where they lie on the card, or on the host for what is given by value.
class Given {
 public:
  void operator()(int64_t id, const void* p) { ids_.push_back(id), pointers_.push_back(const_cast<void*>(p)); }
  const Dims& ids() const { return ids_; }
  const std::vector<void*>& pointers() const { return pointers_; }

 private:
  Dims ids_;
  std::vector<void*> pointers_;
};
void run(const Plan&, const Given&, void* stream, const char* what);

bool cudnn_answers();  // the library is there, new enough and finds a card

// Plans by what they are for, each made when first asked for.
template <class Key>
class Plans {
 public:
  // run(plan) with the plan of make(). False, and nothing done, where there is none; why is said once, and that `what` goes on
  // without it. A card that is out of memory says so as ever: doing without cuDNN would take more.
  template <class Make, class Run>
  bool use(const Key& key, const std::string& what, Make make, Run run) {
    if (!cudnn_answers()) return false;
    const auto [it, fresh] = plans_.try_emplace(key);
    Plan& p = it->second;
    try {
      if (fresh) p = make();
      if (!p.plan) return false;
      run(p);
      return true;
    } catch (const CudnnError& e) {
      std::fprintf(stderr, "duet: %s; %s goes on without it\n", e.what(), what.c_str());
      p.plan = nullptr;
      return false;
    }
  }

 private:
  std::map<Key, Plan> plans_;
};

GraphAnswer ask(Graph&, const std::string& device_json, const Wish&);

}  // namespace duet::cuda

#endif
