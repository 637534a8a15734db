#include "kernels/cublas.h"

#if __has_include(<cublasLt.h>) && __has_include(<cuda_runtime_api.h>)
#include <cublasLt.h>

#include <map>
#include <tuple>

#include "kernels/cudalib.h"
#include "kernels/error.h"

namespace duet::cuda {
namespace {

constexpr size_t kWorkspace = 32u << 20;  // what the library asks for on Hopper

// The functions we call, from the library as it is found when the program runs.
struct Lt {
  CudaLibrary library{{"libcublasLt.so.13", "libcublasLt.so.12"}};
#define DUET_LT(name) \
  decltype(&cublasLt##name) name = library ? library.get<decltype(&cublasLt##name)>("cublasLt" #name) : nullptr
  DUET_LT(Create);
  DUET_LT(GetStatusString);
  DUET_LT(Matmul);
  DUET_LT(MatmulAlgoGetHeuristic);
  DUET_LT(MatmulDescCreate);
  DUET_LT(MatmulDescDestroy);
  DUET_LT(MatmulDescGetAttribute);
  DUET_LT(MatmulDescSetAttribute);
  DUET_LT(MatmulPreferenceCreate);
  DUET_LT(MatmulPreferenceDestroy);
  DUET_LT(MatmulPreferenceSetAttribute);
  DUET_LT(MatrixLayoutCreate);
  DUET_LT(MatrixLayoutDestroy);
  DUET_LT(MatrixLayoutGetAttribute);
  DUET_LT(MatrixLayoutSetAttribute);
#undef DUET_LT
};
const Lt& lt() {
  static const Lt* l = new Lt;
  return *l;
}

void check(cublasStatus_t s, const char* what) {
  if (s != CUBLAS_STATUS_SUCCESS) refuse("cuBLASLt: ", what, ": ", lt().GetStatusString(s));
}

cudaDataType_t type_of(DType t) { return t == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

// The library reckons with matrices column by column, so ours, row by row, are their transposes: c^T = op(b)^T op(a)^T.
struct Plan {
  cublasLtMatmulDesc_t op = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
  cublasLtMatmulAlgo_t algo;
  bool found = false;  // an algorithm
};

cublasLtMatrixLayout_t layout(DType t, int64_t rows, int64_t cols, int64_t batch) {
  cublasLtMatrixLayout_t l;
  check(lt().MatrixLayoutCreate(&l, type_of(t), uint64_t(rows), uint64_t(cols), rows), "layout");
  const int32_t count = int32_t(batch);
  const int64_t stride = rows * cols;
  check(lt().MatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count), "batch");
  check(lt().MatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride), "stride");
  return l;
}

template <class T>
void set(cublasLtMatmulDesc_t op, cublasLtMatmulDescAttributes_t what, const T& value) {
  check(lt().MatmulDescSetAttribute(op, what, &value, sizeof value), "an attribute");
}
template <class T>
T get(cublasLtMatmulDesc_t op, cublasLtMatmulDescAttributes_t what) {
  T value{};
  check(lt().MatmulDescGetAttribute(op, what, &value, sizeof value, nullptr), "an attribute");
  return value;
}

// Of a plan and of each of its products: the algorithm is chosen for a pointer as aligned as this one.
void set_bias(const Plan& plan, const Product& p) {
  if (p.epilogue != Epilogue::none) set(plan.op, CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
}

Plan describe(const Product& p) {
  Plan plan;
  check(lt().MatmulDescCreate(&plan.op, CUBLAS_COMPUTE_32F, CUDA_R_32F), "description");
  set(plan.op, CUBLASLT_MATMUL_DESC_TRANSA, p.tb ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(plan.op, CUBLASLT_MATMUL_DESC_TRANSB, p.ta ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (p.epilogue != Epilogue::none) {
    // Our rows are its columns, and our a is its B.
    set(plan.op, CUBLASLT_MATMUL_DESC_EPILOGUE,
        p.epilogue == Epilogue::bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_BGRADB);
    set(plan.op, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, int32_t(type_of(p.out)));
  }
  set_bias(plan, p);
  plan.a = p.tb ? layout(p.in, p.K, p.N, p.batch) : layout(p.in, p.N, p.K, p.batch);
  plan.b = p.ta ? layout(p.in, p.M, p.K, p.batch) : layout(p.in, p.K, p.M, p.batch);
  plan.c = layout(p.out, p.N, p.M, p.batch);
  return plan;
}

std::string described(cublasLtMatrixLayout_t l, bool transposed) {
  const auto get = [&](cublasLtMatrixLayoutAttribute_t what, auto value) {
    check(lt().MatrixLayoutGetAttribute(l, what, &value, sizeof value, nullptr), "a layout's attribute");
    return value;
  };
  return join(get(CUBLASLT_MATRIX_LAYOUT_ROWS, uint64_t()), "x", get(CUBLASLT_MATRIX_LAYOUT_COLS, uint64_t()),
              get(CUBLASLT_MATRIX_LAYOUT_TYPE, uint32_t()) == CUDA_R_16BF ? " bf16" : " f32", transposed ? "^T" : "");
}

uint32_t alignment(const void* p) {  // up to 256, which the library would otherwise take for granted
  const auto u = reinterpret_cast<uintptr_t>(p);
  return u % 256 == 0 ? 256 : uint32_t(u & (~u + 1));
}

class Multiplier {
 public:
  Multiplier() { check(lt().Create(&handle_), "create"); }
  bool operator()(const Product& p, cudaStream_t stream) {
    const uint32_t al[] = {alignment(p.b), alignment(p.a), alignment(p.c), alignment(p.bias)};
    const Key key{p.M,   p.N,   p.K,   p.batch, int(p.in), int(p.out), p.ta, p.tb, p.accumulate, int(p.epilogue),
                  al[0], al[1], al[2], al[3]};
    auto it = plans_.find(key);
    if (it == plans_.end()) it = plans_.emplace(key, make(p, al)).first;
    Plan& plan = it->second;
    if (!plan.found) return false;
    set_bias(plan, p);
    const float one = 1, beta = p.accumulate ? 1 : 0;
    const cublasStatus_t s = lt().Matmul(handle_, plan.op, &one, p.b, plan.a, p.a, plan.b, &beta, p.c, plan.c, p.c, plan.c,
                                         &plan.algo, workspace_.data<void>(), kWorkspace, stream);
    if (s == CUBLAS_STATUS_NOT_SUPPORTED && p.epilogue != Epilogue::none) return plan.found = false;
    check(s, "product");
    return true;
  }

 private:
  using Key =
      std::tuple<int64_t, int64_t, int64_t, int64_t, int, int, bool, bool, bool, int, uint32_t, uint32_t, uint32_t, uint32_t>;

  Plan make(const Product& p, const uint32_t (&al)[4]) {
    Plan plan = describe(p);
    cublasLtMatmulPreference_t want;
    check(lt().MatmulPreferenceCreate(&want), "preference");
    check(lt().MatmulPreferenceSetAttribute(want, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kWorkspace, sizeof kWorkspace),
          "workspace");
    const cublasLtMatmulPreferenceAttributes_t align[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    for (int i = 0; i < 4; ++i)
      check(lt().MatmulPreferenceSetAttribute(want, align[i], &al[std::min(i, 2)], sizeof(uint32_t)), "alignment");
    cublasLtMatmulHeuristicResult_t best{};
    int found = 0;
    const cublasStatus_t s =
        lt().MatmulAlgoGetHeuristic(handle_, plan.op, plan.a, plan.b, plan.c, plan.c, want, 1, &best, &found);
    lt().MatmulPreferenceDestroy(want);
    plan.algo = best.algo, plan.found = s == CUBLAS_STATUS_SUCCESS && found > 0;
    if (!plan.found && p.epilogue == Epilogue::none)
      refuse("cuBLASLt has no product of (", p.M, ",", p.K, ") and (", p.K, ",", p.N, ") in ", name_of(p.in), " to ",
             name_of(p.out), ": ", lt().GetStatusString(s), "; sizes that are multiples of 8 work");
    return plan;
  }

  cublasLtHandle_t handle_ = nullptr;
  const Tensor workspace_{{int64_t(kWorkspace)}, DType::u8, Device::cuda};
  std::map<Key, Plan> plans_;
};

}  // namespace

std::string products_missing() { return lt().library.why(); }

bool multiply(const Product& p, void* stream) {
  static Multiplier* m = new Multiplier;  // lives as long as the program: the driver may be gone before static objects are
  return (*m)(p, static_cast<cudaStream_t>(stream));
}

std::string described(const Product& p) {
  const Plan plan = describe(p);
  const auto epilogue = get<uint32_t>(plan.op, CUBLASLT_MATMUL_DESC_EPILOGUE);
  int32_t count = 0;
  check(lt().MatrixLayoutGetAttribute(plan.c, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count, nullptr), "batch");
  std::string words = join(count > 1 ? join(count, " of ") : "",
                           described(plan.a, get<int32_t>(plan.op, CUBLASLT_MATMUL_DESC_TRANSA) == CUBLAS_OP_T), " ",
                           described(plan.b, get<int32_t>(plan.op, CUBLASLT_MATMUL_DESC_TRANSB) == CUBLAS_OP_T), " to ",
                           described(plan.c, false));
  if (epilogue != CUBLASLT_EPILOGUE_DEFAULT)
    words += join(epilogue == CUBLASLT_EPILOGUE_BIAS     ? ", bias "
                  : epilogue == CUBLASLT_EPILOGUE_BGRADB ? ", sums of B to "
                                                         : ", another epilogue with ",
                  get<int32_t>(plan.op, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE) == CUDA_R_16BF ? "bf16" : "f32", " at ",
                  get<void*>(plan.op, CUBLASLT_MATMUL_DESC_BIAS_POINTER));
  for (const auto l : {plan.a, plan.b, plan.c}) lt().MatrixLayoutDestroy(l);
  lt().MatmulDescDestroy(plan.op);
  return words;
}

}  // namespace duet::cuda

#else
#include "kernels/error.h"

namespace duet::cuda {
std::string products_missing() { return "this program was built without cuBLASLt's headers"; }
bool multiply(const Product&, void*) { refuse(products_missing()); }
std::string described(const Product&) { refuse(products_missing()); }
}  // namespace duet::cuda
#endif
