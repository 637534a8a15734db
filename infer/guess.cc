#include "infer/guess.h"

#include "fusion/patchify.h"
#include "infer/sampler.h"
#include "kernels/device.h"

namespace duet {

std::vector<float> guess_clean(const Model& m, const Tokenizer& tokenizer, std::span<const std::string> prompts,
                               const std::vector<float>& under, int64_t S, float t, std::span<const uint64_t> seeds) {
  const NoGrad off;
  const int64_t B = int64_t(prompts.size()), side = S / m.config.patch, P = side * side, V = m.patch_values();
  CHECK(S % m.config.patch == 0 && int64_t(under.size()) == B * S * S * 4 && int64_t(seeds.size()) == B, "pictures of ", S,
        " pixels a side, a seed for each");
  if (B == 0) return {};
  const Tensor clean = patchify(under.data(), B, S, S, m.config.patch).to(m.device());
  const Tensor noisy({B * P, V}, DType::f32, m.device());
  std::vector<int32_t> halves;
  for (const uint64_t seed : seeds) halves.push_back(int32_t(uint32_t(seed))), halves.push_back(int32_t(uint32_t(seed >> 32)));
  const Kernels& k = kernels(m.device());
  k.normals(noisy, Tensor::ints(halves));
  k.lerp(noisy, clean, {}, t);

  std::vector<int32_t> ids, from, heads, row;
  std::vector<Sequence> said, pictures, joint;
  for (int64_t b = 0; b < B; ++b) {
    const auto words = prompt_ids(tokenizer, prompts[size_t(b)]);
    const int n = int(words.size());
    const Segment image = Segment::image(int(side), int(side), int(b + 1));
    for (int i = 0; i < n; ++i) from.push_back(int32_t(ids.size()) + i);
    ids.insert(ids.end(), words.begin(), words.end());
    for (int64_t p = 0; p < P; ++p) {
      heads.push_back(int32_t(from.size())), row.push_back(int32_t(b + 1));
      from.push_back(int32_t(-(b * P + p) - 1));
    }
    said.push_back({Segment::text(n)}), pictures.push_back({image}), joint.push_back({m.prompt(n), image});
  }
  const Model::Times times = m.times(std::vector<float>(size_t(B), t));
  const Layout alone = make_layout(pictures);
  const Var words = m.text_stem(Tensor::ints(ids), make_layout(said)), seen = m.vision_stem(noisy, alone, times);
  const Var h = m.fuse(gather(words, seen, Tensor::ints(from)), make_layout(joint), times);
  const Var x = m.flow_head(gather(h, {}, Tensor::ints(heads)), noisy, alone.pos, Tensor::ints(row), times);
  std::vector<float> out(under.size());
  unpatchify(out.data(), host_floats(x.value()).data(), B, S, S, m.config.patch);
  return out;
}

}  // namespace duet
