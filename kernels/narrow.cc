#include "kernels/narrow.h"

#include <bit>
#include <cstring>

#include "kernels/narrowscale.h"
#include "kernels/parallel.h"

namespace duet {

NarrowLayout::NarrowLayout(const Shape& s, DType t) {
  CHECK(is_narrow(t) && s.size() == 2, "weights (O,C) as int8, int4 or fp8, not ", s, " as ", name_of(t));
  const int64_t of_word = t == DType::int4 ? 32 : 16;
  rows = s[0], words = (s[1] + of_word - 1) / of_word;
  scales = t == DType::int4 ? rows * words : rows;
}

uint8_t to_e4m3(float x) {
  const uint8_t sign = std::signbit(x) ? 0x80 : 0;
  const float a = std::min(std::abs(x), 448.0f);
  // Below 2^-6 steps of 2^-9; 8 of them are the code of 2^-6.
  if (a < 0x1p-6f) return sign | uint8_t(std::lrint(a * 0x1p9f));
  const uint32_t u = std::bit_cast<uint32_t>(a), nearest = u + 0x7ffff + ((u >> 20) & 1);
  return sign | uint8_t((nearest >> 20) - ((127 - 7) << 3));
}

Tensor narrowed(const Tensor& w, DType type) {
  CHECK(w.dtype() == DType::f32 && w.device() == Device::cpu, "F32 weights on the host, not ", name_of(w.dtype()));
  const Tensor out = Tensor::zeros(w.shape(), type);
  const NarrowLayout l(w.shape(), type);
  const int64_t C = w.dim(1);
  auto* bytes = out.data<uint8_t>();
  auto* scales = reinterpret_cast<float*>(bytes + l.scales_at());
  parallel_for(l.rows, [&](int64_t o) {
    const float* from = w.data() + o * C;
    uint8_t* to = bytes + o * l.words * 16;
    if (type == DType::int8) {
      const auto s = Int8Scale::of(from, C);
      scales[o] = s.scale;
      for (int64_t c = 0; c < C; ++c) to[c] = uint8_t(s(from[c]));
    } else if (type == DType::fp8) {
      const auto s = NarrowScale<448>::of(from, C);
      scales[o] = s.scale;
      for (int64_t c = 0; c < C; ++c) to[c] = to_e4m3(from[c] * s.step);
    } else {
      std::memset(to, 0x88, size_t(l.words * 16));
      for (int64_t word = 0; word < l.words; ++word) {
        const int64_t first = word * 32, end = std::min(C, first + 32);
        const auto s = Int4Scale::of(from + first, end - first);
        scales[o * l.words + word] = s.scale;
        for (int64_t c = first; c < end; ++c) {
          const int shift = c % 2 * 4;
          to[c / 2] = uint8_t((to[c / 2] & ~(0xf << shift)) | (s(from[c]) + 8) << shift);
        }
      }
    }
  });
  return out;
}

}  // namespace duet
