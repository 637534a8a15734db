#include "fusion/quantize.h"

#include <deque>

#include "fusion/modelfile.h"
#include "fusion/narrow.h"
#include "kernels/narrowscale.h"

namespace duet {

void save_int8(const std::string& dir, Model& m, const Tokenizer& tokenizer, const Provenance& more) {
  std::vector<TensorOut> out;
  std::deque<std::vector<int8_t>> narrow;  // a deque: `out` points into them
  std::deque<std::vector<uint16_t>> halves;
  std::deque<std::vector<float>> scales;
  m.params([&](const std::string& name, Var& v) {
    const Tensor t = v.value().to(Device::cpu);
    const std::vector<int64_t> shape(t.shape().begin(), t.shape().end());
    if (!may_be_narrow(name)) {
      auto& h = halves.emplace_back();
      for (float x : t.floats()) h.push_back(to_bf16(x));
      out.push_back({name, "BF16", shape, {reinterpret_cast<const uint8_t*>(h.data()), h.size() * 2}});
      return;
    }
    auto& q = narrow.emplace_back();
    auto& s = scales.emplace_back();
    const int64_t O = shape[0], C = shape[1];
    for (int64_t o = 0; o < O; ++o) {
      const float* w = t.data() + o * C;
      const auto scale = Int8Scale::of(w, C);
      s.push_back(scale.scale);
      for (int64_t c = 0; c < C; ++c) q.push_back(scale(w[c]));
    }
    out.push_back({name, "I8", shape, {reinterpret_cast<const uint8_t*>(q.data()), q.size()}});
    out.push_back({name + ".scale", "F32", {O}, {reinterpret_cast<const uint8_t*>(s.data()), s.size() * 4}});
  });
  write_model(dir, m.config, tokenizer, out, more);
}

}  // namespace duet
