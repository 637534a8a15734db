// The trainer's noise. A step wants millions of normal numbers, and the C library's log and cos take them one at a time; here
// they are series, which the compiler does eight at a time.
#include <bit>
#include <cmath>

#include "kernels/random.h"
#include "kernels/rowwise.h"
#include "kernels/table.h"

namespace duet::cpu {
namespace {

// log(u) for 2^-33 <= u < 1, to 1e-13 of it or better: u = 2^e m with m in [1/sqrt 2, sqrt 2), log m = 2 artanh((m - 1) / (m +
// 1))
inline double log_of(double u) {
  const uint64_t bits = std::bit_cast<uint64_t>(u) + (0x3ff0000000000000ull - 0x3fe6a09e667f3bcdull);
  const double e = double(int64_t(bits >> 52) - 1023);
  const double m = std::bit_cast<double>((bits & 0xfffffffffffffull) + 0x3fe6a09e667f3bcdull);
  const double s = (m - 1) / (m + 1), z = s * s;
  double p = 1.0 / 17;
  p = p * z + 1.0 / 15, p = p * z + 1.0 / 13, p = p * z + 1.0 / 11, p = p * z + 1.0 / 9;
  p = p * z + 1.0 / 7, p = p * z + 1.0 / 5, p = p * z + 1.0 / 3;
  return e * 0.6931471805599453 + 2 * s * (p * z + 1);
}

// cos(2 pi v) for 0 <= v < 1 to 1e-12: the sine of what is left to the quarter turn
inline double cos_turn(double v) {
  const double x = 6.283185307179586 * (std::abs(v - 0.5) - 0.25), z = x * x;
  double p = 1 / 355687428096000.0;
  p = p * z - 1 / 1307674368000.0, p = p * z + 1 / 6227020800.0, p = p * z - 1 / 39916800.0, p = p * z + 1 / 362880.0;
  p = p * z - 1 / 5040.0, p = p * z + 1 / 120.0, p = p * z - 1 / 6.0;
  return x * (p * z + 1);
}

}  // namespace

void add_noise(float* z, const float* x, const float* t, uint64_t seed, int64_t each, int64_t n) {
  const uint64_t stream = mix(seed);
  for_pieces(n, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last;) {  // what one t is for
      const int64_t end = std::min(last, (i / each + 1) * each);
      const float ti = t[i / each], rest = 1 - ti;
      for (; i < end; ++i) {
        const uint64_t r = mix(stream ^ (uint64_t(i) * 0xd1342543de82ef95ull + 1));  // mix(seed, i)
        const double u = (double(uint32_t(r >> 32)) + 0.5) * 0x1p-32, v = double(uint32_t(r)) * 0x1p-32;
        z[i] = ti * x[i] + rest * float(std::sqrt(-2 * log_of(u)) * cos_turn(v));
      }
    }
  });
}

}  // namespace duet::cpu
