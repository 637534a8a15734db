// One matrix product on a card, as the library takes it: cublas.cc.
#pragma once
#include <cstdint>
#include <string>

#include "kernels/tensor.h"

namespace duet::cuda {

// What a product does besides, with `bias` in the type of c, as the library demands; in a batch none of it:
//   bias       adds bias (N) to every row of c
//   row_sums   overwrites bias (M) with the sums of op(a)'s rows: of a linear layer's dy^T, the gradient of its bias
enum class Epilogue { none, bias, row_sums };

// c (M,N) = op(a) op(b), dense and row-major, `batch` of them one behind the other; a (M,K), or (K,M) when ta; b (K,N),
// or (N,K) when tb. Inputs are both f32 or both bf16, sums are f32, c is f32 or bf16; accumulate adds to c.
struct Product {
  void* c;
  const void *a, *b;
  DType in, out;
  bool ta, tb, accumulate;
  int64_t M, N, K, batch;
  Epilogue epilogue = Epilogue::none;
  void* bias = nullptr;
};
// On a stream (a cudaStream_t). False, and nothing done, where the library has no such product with this epilogue;
// refuses one without.
bool multiply(const Product&, void* stream);
std::string products_missing();  // why there are no products here; empty where there are

// Whether products are asked for epilogues: DUET_EPILOGUES=0: not.
bool use_epilogues();
void set_use_epilogues(bool);

// For tests without a card: the library's descriptors of this product, in words.
std::string described(const Product&);

}  // namespace duet::cuda
