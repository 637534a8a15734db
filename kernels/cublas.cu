#include "kernels/cublas.h"

#include <cublasLt.h>

#include <map>
#include <tuple>

#include "kernels/cuda.h"
#include "kernels/cudalib.h"

namespace duet::cuda {
namespace {

constexpr size_t kWorkspace = 32u << 20;  // what the library asks for on Hopper

// The functions we call, from the library as it is found when the program runs.
struct Lt {
  CudaLibrary library{{"libcublasLt.so.13", "libcublasLt.so.12"}};
#define DUET_LT(name) decltype(&cublasLt##name) name = library ? library.get<decltype(&cublasLt##name)>("cublasLt" #name) : nullptr
  DUET_LT(Create);
  DUET_LT(GetStatusString);
  DUET_LT(Matmul);
  DUET_LT(MatmulAlgoGetHeuristic);
  DUET_LT(MatmulDescCreate);
  DUET_LT(MatmulDescSetAttribute);
  DUET_LT(MatmulPreferenceCreate);
  DUET_LT(MatmulPreferenceDestroy);
  DUET_LT(MatmulPreferenceSetAttribute);
  DUET_LT(MatrixLayoutCreate);
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

uint32_t alignment(const void* p) {  // up to 256, which the library would otherwise take for granted
  const auto u = reinterpret_cast<uintptr_t>(p);
  return u % 256 == 0 ? 256 : uint32_t(u & (~u + 1));
}

class Multiplier {
 public:
  Multiplier() {
    check(lt().Create(&handle_), "create");
    must(cudaMalloc(&workspace_, kWorkspace), "the workspace of matrix products");
  }
  void operator()(const Product& p) {
    const uint32_t al[] = {alignment(p.b), alignment(p.a), alignment(p.c)};
    const Key key{p.M, p.N, p.K, p.batch, int(p.in), int(p.out), p.ta, p.tb, p.accumulate, al[0], al[1], al[2]};
    auto it = plans_.find(key);
    if (it == plans_.end()) it = plans_.emplace(key, make(p, al)).first;
    const Plan& plan = it->second;
    const float one = 1, beta = p.accumulate ? 1 : 0;
    check(lt().Matmul(handle_, plan.op, &one, p.b, plan.a, p.a, plan.b, &beta, p.c, plan.c, p.c, plan.c, &plan.algo,
                         workspace_, kWorkspace, stream()),
          "product");
  }

 private:
  using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, int, int, bool, bool, bool, uint32_t, uint32_t, uint32_t>;

  Plan make(const Product& p, const uint32_t (&al)[3]) {
    Plan plan;
    check(lt().MatmulDescCreate(&plan.op, CUBLAS_COMPUTE_32F, CUDA_R_32F), "description");
    const cublasOperation_t ob = p.tb ? CUBLAS_OP_T : CUBLAS_OP_N, oa = p.ta ? CUBLAS_OP_T : CUBLAS_OP_N;
    check(lt().MatmulDescSetAttribute(plan.op, CUBLASLT_MATMUL_DESC_TRANSA, &ob, sizeof ob), "transpose");
    check(lt().MatmulDescSetAttribute(plan.op, CUBLASLT_MATMUL_DESC_TRANSB, &oa, sizeof oa), "transpose");
    plan.a = p.tb ? layout(p.in, p.K, p.N, p.batch) : layout(p.in, p.N, p.K, p.batch);
    plan.b = p.ta ? layout(p.in, p.M, p.K, p.batch) : layout(p.in, p.K, p.M, p.batch);
    plan.c = layout(p.out, p.N, p.M, p.batch);
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
    if (s != CUBLAS_STATUS_SUCCESS || found == 0)
      refuse("cuBLASLt has no product of (", p.M, ",", p.K, ") and (", p.K, ",", p.N, ") in ", name_of(p.in), " to ",
             name_of(p.out), ": ", lt().GetStatusString(s), "; sizes that are multiples of 8 work");
    plan.algo = best.algo;
    return plan;
  }

  cublasLtHandle_t handle_ = nullptr;
  void* workspace_ = nullptr;
  std::map<Key, Plan> plans_;
};

}  // namespace

std::string products_missing() { return lt().library.why(); }

void multiply(const Product& p) {
  static Multiplier* m = new Multiplier;  // lives as long as the program: the driver may be gone before static objects are
  (*m)(p);
}

}  // namespace duet::cuda
