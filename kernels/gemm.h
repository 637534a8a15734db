// Matrix products on the CPU: C = A B, accumulated in f32, in one of three precisions:
//   f32   our AVX-512/AVX2 tile (kernels/gemm_f32.cc)
//   bf16  inputs rounded to bf16 as they are packed: AMX tiles (kernels/gemm_amx.cc), or AVX-512's dot product of pairs
//         (kernels/gemm_bf16.cc); only where the CPU has one of them
//   fp16  inputs rounded to fp16 as they are packed; sums of 64 products in fp16, those in f32 (kernels/gemm_fp16.cc);
//         only where the CPU has AVX-512 FP16. Gradients must come scaled
// and, with weights that do not change and are named to be so (Frozen), in a fourth, whose sums are exact integers:
//   int8  a scale an output and one a row of A (kernels/gemm_int8.cc); only where the CPU has AVX-512 VNNI
// Every element of C is the same chain of additions whatever M, N, the batch or the number of threads, so a picture drawn
// alone equals the same picture drawn in a batch, bit for bit. That is why this is not a library call: BLAS libraries
// pick another order of sums for another shape.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/tensor.h"

namespace duet {

enum class Precision { f32, bf16, fp16 };
enum class Bf16Unit { none, avx512, amx };
Bf16Unit bf16_unit();  // what multiplies bf16 on this CPU
bool has_fp16();       // it has AVX-512 FP16, and that is compiled in
bool has_int8();       // it has AVX-512 VNNI, and that is compiled in
void refuse_without_int8();
bool bf16_is_fast();                                  // and it is faster than f32: AMX, or AVX-512 BF16 of AMD
const char* precision_name(Precision, bool on_card);  // "f32", "fp16", "bf16", "bf16 (AMX)", "bf16 (AVX-512)"
Precision precision();                                // what products use now; f32 at start
void set_precision(Precision);                        // bf16 without such a CPU or a card is refused
// By name: bf16, fp16, f32, or auto: bf16 on a card and where it is fast on the CPU, else fp16, else f32. Refuses any other.
// After choose_device().
void choose_precision(const std::string& name);

// A matrix in memory: element (r, c) at p[r * ld + c], or p[c * ld + r] when transposed.
struct Mat {
  const float* p;
  int64_t ld;
  bool transposed = false;
};

// B packed for the tiles once, for weights that do not change: see Frozen.
struct PackedB;
std::shared_ptr<const PackedB> pack_b(Mat b, int64_t N, int64_t K);
// W (N,K) as int8. Products with it take A as it lies, not transposed.
std::shared_ptr<const PackedB> pack_int8(const float* w, int64_t N, int64_t K);

struct GemmOptions {
  bool accumulate = false;      // add to C
  const float* bias = nullptr;  // (N) added to every row; not together with accumulate
  const PackedB* packed = nullptr;
  // C has room for with_room(M) rows of whole_columns(N), and what is beyond M and N is nobody's: blocks at the edges need
  // no detour.
  bool room = false;
  bool counted = true;  // in gemm_flops(); what is computed a second time to save memory is not
};
constexpr int64_t with_room(int64_t rows) { return rows + 31; }
constexpr int64_t whole_columns(int64_t n) { return (n + 31) / 32 * 32; }
// C (M,N) with leading dimension ldc; A (M,K); B (K,N). On all threads; serial when called inside parallel_for.
void gemm(float* C, int64_t ldc, Mat A, Mat B, int64_t M, int64_t N, int64_t K, const GemmOptions& = {});

// The gradient of a weight, dW (O,C) += sum over tokens of dy[n]^T x[n], where the tokens come a few at a time: add() packs
// a piece while it is still in the cache, and finish() multiplies all of them at once, in the order of their places.
class WeightSum {
 public:
  static int64_t round_up(int64_t tokens);  // places a piece of so many tokens takes
  WeightSum(int64_t O, int64_t C, int64_t places);
  // dy (n,O) and x (n,C) with leading dimensions O and C; `at` is the sum of round_up over earlier pieces. Each place must
  // be filled; pieces may come from any thread, in any order.
  void add(const float* dy, const float* x, int64_t n, int64_t at);
  struct Job {
    const WeightSum* sum;
    float* dw;
  };
  static void finish(const std::vector<Job>&);  // on all threads

 private:
  int64_t O_, C_, places_;
  Tensor a_, b_;  // packed
};

void count_flops(int64_t);  // of products done elsewhere: on a card
int64_t gemm_flops();       // floating-point operations all products of this process have done so far
double measure_peak();  // FLOP/s of the current precision's tile on all threads, fed from the first cache: the machine's limit
double measure_int8_peak();

// While one lives, linear() keeps the packed form of every weight it meets. Weights must not change meanwhile.
struct Frozen {
  explicit Frozen(const std::vector<const float*>& int8 = {});  // weights that are packed as int8; refused without has_int8()
  explicit Frozen(DType on_card);                               // for a model whose weights lie on a card as this: arithmetic()
  ~Frozen();
};
bool frozen();
std::string arithmetic();  // what decides the bits of a result: "f32", "bf16", with narrow weights "int8+f32", "fp8+bf16"
std::shared_ptr<const PackedB> packed_weight(const float* w, int64_t N, int64_t K);  // of W (N,K), as B = W^T

}  // namespace duet
