// Tensor cores, a warp at a time: PTX's mma.sync and ldmatrix, and on the host the same by exchange between lanes. With
// g = lane / 4 and t = lane % 4 a lane holds of a product's sides, in words of two bf16 of which the first lies low:
//   a (16,16)  word i: row g + 8 (i % 2), columns 2 t + 8 (i / 2) and the next
//   b (16,8)   word i: rows 2 t + 8 i and the next, column g
//   d (16,8)   float i: row g + 8 (i / 2), column 2 t + i % 2
#pragma once
#include "kernels/cuda.h"

namespace duet::cuda {

__device__ __forceinline__ uint32_t two_bf16(float low, float high) {
#ifdef __CUDACC__
  const __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
  return reinterpret_cast<const uint32_t&>(both);
#else
  return uint32_t(__float2bfloat16(low).bits) | uint32_t(__float2bfloat16(high).bits) << 16;
#endif
}

#ifndef __CUDACC__
inline float half_of(uint32_t two, int high) { return __bfloat162float({uint16_t(high ? two >> 16 : two)}); }
#endif

// d += a b
__device__ __forceinline__ void multiply_add(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#ifdef __CUDACC__
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  const int g = shim::lane() / 4, t = shim::lane() % 4;
  float row[2][16], column[2][16];
  for (int from = 0; from < 4; ++from)
    for (int i = 0; i < 4; ++i) {
      const uint32_t in_a = shim::exchange_as(a[i], 4 * g + from);
      const uint32_t in_b = shim::exchange_as(b[i % 2], 4 * (2 * t + i / 2) + from);
      for (int high = 0; high < 2; ++high) {
        row[i % 2][2 * from + 8 * (i / 2) + high] = half_of(in_a, high);
        column[i / 2][2 * from + 8 * (i % 2) + high] = half_of(in_b, high);
      }
    }
  for (int i = 0; i < 4; ++i)
    for (int k = 0; k < 16; ++k) d[i] += row[i / 2][k] * column[i % 2][k];
#endif
}

// Four 8x8 matrices of shared memory: lane 8 i + r names row r of matrix i, 16 bytes. Word i: rows 2 t and 2 t + 1 of column g
// of matrix i, as a b that lies row by row wants it.
__device__ __forceinline__ void load_columns(uint32_t (&w)[4], const bf16* row) {
#ifdef __CUDACC__
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(w[0]), "=r"(w[1]), "=r"(w[2]), "=r"(w[3])
               : "r"(uint32_t(__cvta_generic_to_shared(row)))
               : "memory");
#else
  const int g = shim::lane() / 4, t = shim::lane() % 4;
  for (int i = 0; i < 4; ++i) {
    const bf16* even = shim::exchange_as(row, 8 * i + 2 * t);
    const bf16* odd = shim::exchange_as(row, 8 * i + 2 * t + 1);
    w[i] = uint32_t(even[g].bits) | uint32_t(odd[g].bits) << 16;
  }
#endif
}

}  // namespace duet::cuda
