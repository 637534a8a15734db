// One matrix product on a card, as the library takes it: cublas.cu.
#pragma once
#include <cstdint>
#include <string>

#include "kernels/tensor.h"

namespace duet::cuda {

// c (M,N) = op(a) op(b), dense and row-major, `batch` of them one behind the other; a (M,K), or (K,M) when ta; b (K,N),
// or (N,K) when tb. Inputs are both f32 or both bf16, sums are f32, c is f32 or bf16; accumulate adds to c.
struct Product {
  void* c;
  const void *a, *b;
  DType in, out;
  bool ta, tb, accumulate;
  int64_t M, N, K, batch;
};
void multiply(const Product&);
std::string products_missing();  // why there are no products here; empty where there are

}  // namespace duet::cuda
