#include "infer/sampler.h"

#include "fusion/patchify.h"
#include "infer/flowpass.h"
#include "kernels/device.h"

namespace duet {

std::vector<float> draw(const Model& m, int null_token, const std::vector<DrawRequest>& requests, const DrawOptions& o,
                        const std::function<void(int, const float*)>& progress) {
  const NoGrad off;
  const int64_t B = int64_t(requests.size()), p = m.config.patch;
  const int64_t W = o.width ? o.width : m.config.size, H = o.height ? o.height : m.config.size;
  CHECK(o.steps >= 1 && o.shift > 0, "steps ", o.steps, ", shift ", o.shift);
  if (W % p || H % p || W < p || H < p) refuse("size ", W, "x", H, " must be a multiple of ", p);
  if (B == 0) return {};
  const int rows = int(H / p), cols = int(W / p);
  const int64_t P = int64_t(rows) * cols, V = m.patch_values();
  bool guided = false;
  for (int s = 0; s < o.steps; ++s) guided = guided || guided_at(o, step_time(o, s));
  const int64_t twins = guided ? 2 * B : B;

  // The words once: stem, then keys and values of every fusion block.
  std::vector<std::vector<int>> texts;
  for (const auto& r : requests) texts.push_back(r.prompt);
  if (guided)
    for (const auto& r : requests) texts.push_back(r.negative.empty() ? std::vector<int>{null_token} : r.negative);
  std::vector<int32_t> ids, used;
  std::vector<Sequence> said, prompts;
  int32_t longest = 0;
  for (const auto& t : texts) {
    CHECK(!t.empty(), "a prompt has at least its language mark");
    ids.insert(ids.end(), t.begin(), t.end());
    said.push_back({Segment::text(int(t.size()))}), prompts.push_back({m.prompt(int(t.size()))});
    used.push_back(int32_t(t.size()));
    longest = std::max(longest, used.back());
  }
  auto caches = m.fusion_caches(twins, longest + P);
  const std::vector<int32_t> none(size_t(twins), 0);
  m.fuse(m.text_stem(Tensor::ints(ids), make_layout(said)), make_layout(prompts), {}, &caches, &none);

  // The pictures under the words, and after them, where there is guidance, under the negative ones; the first B alone
  // serve the steps without guidance.
  std::vector<Sequence> joint;
  std::vector<int32_t> twin, row;
  for (int64_t b = 0; b < twins; ++b) {
    joint.push_back({Segment::image(rows, cols, int(b % B) + 1)});
    for (int64_t i = 0; i < P; ++i) twin.push_back(int32_t(b % B * P + i)), row.push_back(int32_t(b % B) + 1);
  }
  const std::vector<Sequence> alone(joint.begin(), joint.begin() + B);
  const std::vector<int32_t> used_alone(used.begin(), used.begin() + B);
  const Layout stem_layout = make_layout(alone), joint_layout = make_layout(joint, used);
  const Layout alone_layout = make_layout(alone, used_alone);
  const Tensor twin_rows = Tensor::ints(twin), head_rows = Tensor::ints(row);
  const Tensor head_rows_alone = head_rows.slice(0, {B * P});
  auto caches_alone = caches;  // the same keys and values
  for (KvCache& c : caches_alone)
    c.k = c.k.slice(0, {B, c.capacity, m.config.width}), c.v = c.v.slice(0, {B, c.capacity, m.config.width});

  const Kernels& k = kernels(m.device());
  const auto pictures = [&] { return Tensor({B * P, V}, DType::f32, m.device()); };
  const Tensor z = pictures();
  std::vector<int32_t> seeds;
  for (const auto& r : requests) seeds.push_back(int32_t(uint32_t(r.seed))), seeds.push_back(int32_t(uint32_t(r.seed >> 32)));
  k.normals(z, Tensor::ints(seeds));
  FlowPass pass(m, stem_layout, joint_layout, twin_rows, head_rows, caches, used);
  FlowPass pass_alone(m, stem_layout, alone_layout, twin_rows.slice(0, {B * P}), head_rows_alone, caches_alone, used_alone);
  const auto predict = [&](const Tensor& at, float t) {  // the clean picture, guided
    const Tensor guess = pictures();
    const bool both = guided_at(o, t);
    k.guide(guess, (both ? pass : pass_alone)(at, std::vector<float>(size_t(B), t)), both ? float(o.guidance) : 1);
    return guess;
  };
  std::vector<float> pixels(size_t(B * H * W * 4));
  for (int s = 0; s < o.steps; ++s) {
    const float t = step_time(o, s), next = step_time(o, s + 1);
    Tensor guess = predict(z, t);
    if (o.heun && s + 1 < o.steps) {
      // v = (x - z) / (1 - t) here and at the end of an Euler step; the mean of both is taken
      const Tensor end = pictures();
      k.euler(end, z, guess, t, next);
      const Tensor later = predict(end, next);
      k.heun(z, guess, end, later, t, next);
      guess = later;
    } else {
      k.lerp(z, guess, {}, (next - t) / (1 - t));
    }
    if (progress) {
      unpatchify(pixels.data(), guess.to(Device::cpu).data(), B, H, W, p);
      progress(s + 1, pixels.data());
    }
  }
  unpatchify(pixels.data(), z.to(Device::cpu).data(), B, H, W, p);
  return pixels;
}

}  // namespace duet
