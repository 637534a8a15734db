// A small model whose every part does something, and a batch for it.
#pragma once
#include <gtest/gtest.h>

#include <cstring>

#include "fusion/joint.h"
#include "kernels/gemm.h"
#include "kernels/parallel.h"
#include "tests/kernels/settings.h"

namespace duet {

inline ModelConfig tiny_config() {
  ModelConfig c;
  c.patch = 4, c.size = 16, c.vocab = 300, c.width = 32, c.head = 16, c.hidden = 48, c.embed = 16;
  c.vision_depth = 1, c.text_depth = 1, c.fusion_depth = 2, c.refine = 8, c.whole_prompt = true;
  return c;
}

// A new model is the identity in many places (gates, heads, modulation at zero); here all of them are at work.
inline void shake(Model& m, uint64_t seed = 7, float by = 0.1f) {
  uint64_t k = 0;
  m.params([&](const std::string&, Var& v) {
    for (auto& x : v.value().floats()) x += by * normal(seed, k++);
  });
}

struct TinyBatch {
  std::vector<float> pixels;
  JointBatch batch;
  explicit TinyBatch(int64_t B = 5, int64_t size = 16, uint64_t seed = 3) : pixels(size_t(B * size * size * 4)) {
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = std::tanh(normal(seed, i));
    batch.B = B, batch.size = size, batch.pixels = pixels.data(), batch.seed = 11;
    for (int64_t b = 0; b < B; ++b) {
      std::vector<int> text{3 + int(b % 2)};
      for (int64_t i = 0; i < 2 + b; ++i) text.push_back(20 + int(mix(5, uint64_t(b * 100 + i)) % 200));
      text.push_back(2);
      batch.text.push_back(text), batch.same.push_back(uint64_t(b));
    }
  }
};

inline bool equal_bits(const float* a, const float* b, int64_t n) { return std::memcmp(a, b, size_t(n) * 4) == 0; }

}  // namespace duet
