// Random numbers by counter: value i of stream `seed` is a function of (seed, i) alone, so that pictures, batches and
// initial weights are the same whatever the batch, the thread count or the machine. SplitMix64's mixing (Steele 2014).
#pragma once
#include <cmath>
#include <cstdint>

namespace duet {

constexpr uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}
constexpr uint64_t mix(uint64_t seed, uint64_t i) { return mix(mix(seed) ^ (i * 0xd1342543de82ef95ull + 1)); }

constexpr double uniform(uint64_t seed, uint64_t i) { return double(mix(seed, i) >> 11) * 0x1p-53; }  // [0, 1)

inline float normal(uint64_t seed, uint64_t i) {  // mean 0, variance 1: Box-Muller on one 64-bit draw
  const uint64_t r = mix(seed, i);
  const double u = (double(r >> 32) + 0.5) * 0x1p-32, v = double(r & 0xffffffffu) * 0x1p-32;
  return float(std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v));
}

}  // namespace duet
