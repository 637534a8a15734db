// Weights of few bits, for products on a card: a tensor (O,C) of type int8, int4 or fp8, made once, when a model is opened.
// Nothing but a product reads it, so no f32 master is kept beside it.
//   int8  w = q scale, a scale an output: the numbers and the rounding of the CPU's int8 (kernels/narrowscale.h)
//   int4  w = q scale, q in -7 .. 7, a scale for each 32 of an output's numbers (the last ones may be fewer); stored as q + 8,
//         two a byte, the first in the low half
//   fp8   w = q scale, q in E4M3 (arXiv 2209.05433), a scale an output, so that its largest becomes 448, the largest there is
// In memory: O rows, each filled up with zeros to whole words of 16 bytes; then the scales, f32: (O), of int4 (O, words of a
// row), a word being 32 numbers.
#pragma once
#include <cstdint>

#include "kernels/tensor.h"

namespace duet {

constexpr bool is_narrow(DType t) { return t == DType::int8 || t == DType::int4 || t == DType::fp8; }

struct NarrowLayout {
  int64_t rows, words, scales;  // words of a row; scales in all
  NarrowLayout(const Shape&, DType);
  int64_t scales_at() const { return rows * words * 16; }  // bytes
  size_t bytes() const { return size_t(scales_at() + scales * 4); }
};

Tensor narrowed(const Tensor& w, DType);  // w (O,C) f32, both on the host

// To nearest even; beyond 448 to 448. x is a number.
uint8_t to_e4m3(float x);

namespace cuda {

// Up to so many rows few_rows() is the way, beyond them widened() and the library's product. Reckoned, not measured, for a
// weight of b bytes (1, of int4 0.63), in the time of moving bytes to or from memory: widening reads b and writes 2, and the
// product reads 2. few_rows() reads b (every 8 rows, the second time from the card's cache); but each row's activation beside
// each weight, 2 bytes from an SM's first cache, which gives 128 a clock where its share of memory gives 10 to 20, takes as
// long as a quarter of a byte. The two meet at 16 to 20 rows.
inline constexpr int64_t kFewRows = 16;

// y (N,O) = x (N,C) w^T + bias (may be empty); x and y f32 or bf16 alike. Sums are f32; a row's bits do not depend on N.
void few_rows(const Tensor& y, const Tensor& x, const Tensor& w, const Tensor& bias);
Tensor widened(const Tensor& w, DType);  // w as f32 or bf16

}  // namespace cuda
}  // namespace duet
