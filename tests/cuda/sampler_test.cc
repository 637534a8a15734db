// Steps of the sampler and its noise, and a KV cache's work, on both devices.
#include "infer/sampler.h"

#include "fusion/patchify.h"
#include "infer/flowpass.h"
#include "kernels/replay.h"
#include "tests/cuda/both.h"
#include "tests/fusion/tiny.h"

namespace duet {
namespace {

TEST(CudaSampler, NoiseIsTheCpus) {
  const CardNow now;
  const Tensor seeds = ints({5, 0, -7, 3});
  const Tensor a({2, 333}), b({2, 333}, DType::f32, Device::cuda);
  kernels(Device::cpu).normals(a, seeds), kernels(Device::cuda).normals(b, seeds);
  expect_close(a, b.to(Device::cpu), 0x1p-24, "normals");
  const Tensor t = normals({6}, 3, 0.2f, 0.5f), clean = normals({6, 111}, 4);
  const Tensor za({6, 111}), zb({6, 111}, DType::f32, Device::cuda);
  kernels(Device::cpu).add_noise(za, clean, t, 9), kernels(Device::cuda).add_noise(zb, clean.to(Device::cuda), t, 9);
  expect_close(za, zb.to(Device::cpu), 0x1p-24, "add_noise");
}

TEST(CudaSampler, PatchesAreTheCpus) {
  const CardNow now;
  struct {
    int64_t B, H, W, patch;
  } const cases[] = {{1, 1, 1, 1}, {3, 6, 4, 2}, {2, 35, 14, 7}, {2, 64, 96, 8}};
  for (const auto& c : cases) {
    const Tensor pixels = normals({c.B, c.H, c.W, 4}, 6);
    const Tensor here = patchify(pixels.data(), c.B, c.H, c.W, c.patch);
    // By hand: the value of each place of each patch.
    for (int64_t i = 0; i < here.count(); ++i) {
      const int64_t g = i % 4, x = i / 4 % c.patch, y = i / 4 / c.patch % c.patch, n = i / 4 / c.patch / c.patch;
      const int64_t across = c.W / c.patch, down = c.H / c.patch, px = n % across, py = n / across % down,
                    b = n / across / down;
      ASSERT_EQ(here.data()[i], pixels.data()[((b * c.H + py * c.patch + y) * c.W + px * c.patch + x) * 4 + g]) << i;
    }
    for (const int order : kOrders) {
      set_thread_order(order);
      EXPECT_TRUE(same_bits(here, patchify(pixels.data(), c.B, c.H, c.W, c.patch, Device::cuda).to(Device::cpu)));
    }
    set_thread_order(0);
  }
  EXPECT_THROW(patchify(nullptr, 1, 6, 5, 2, Device::cuda), Error);
}

TEST(CudaSampler, StepsAreTheCpus) {
  const CardNow now;
  const auto run = [&](Device d) {
    const Kernels& k = kernels(d);
    const Tensor x = normals({2, 700}, 1).to(d), z = normals({700}, 2).to(d).clone(), guess({700}, DType::f32, d),
                 end = z.clone();
    k.guide(guess, x, 3), k.euler(end, z, guess, 0.25f, 0.5f), k.heun(z, guess, end, x.slice(0, {700}), 0.25f, 0.5f);
    k.lerp(z, guess, {}, 0.3f);
    return z.to(Device::cpu);
  };
  expect_close(run(Device::cpu), run(Device::cuda), 0x1p-23, "steps");
}

// Words through the blocks at once, and words then a picture by way of the cache, as the sampler does.
TEST(CudaSampler, CachedAttentionIsTheCpus) {
  const CardNow now;
  Tensor out[2];
  for (const Device d : {Device::cpu, Device::cuda}) {
    const NoGrad off;
    Model m(tiny_config());
    shake(m);
    flatten([&](const Visit& v) { m.params(v); }, d);
    const std::vector<Sequence> said{{Segment::text(3)}, {Segment::text(5)}};
    const std::vector<Sequence> seen{{Segment::image(4, 4, 1)}, {Segment::image(4, 4, 2)}};
    auto caches = m.fusion_caches(2, 5 + 16);
    const std::vector<int32_t> none{0, 0}, used{3, 5};
    m.fuse(m.text_stem(ints({1, 20, 21, 1, 30, 31, 32, 33}), make_layout(said)), make_layout(said), {}, &caches, &none);
    const auto times = m.times({0.3f, 0.3f});
    const Var x = m.vision_stem(normals({32, m.patch_values()}, 5), make_layout(seen), times);
    out[d == Device::cuda] = host_floats(m.fuse(x, make_layout(seen, used), times, &caches, &used).value());
  }
  expect_close(out[0], out[1], 0x1p-21, "cached attention");
}

TEST(CudaSampler, RowsMove) {
  const CardNow now;
  const Tensor from = normals({5, 7}, 1), pairs = ints({0, 4, 2, 1, 3, 3});
  const Tensor a = Tensor::zeros({4, 7}), b = Tensor::zeros({4, 7}, DType::f32, Device::cuda);
  kernels(Device::cpu).copy_rows(a, from, pairs), kernels(Device::cuda).copy_rows(b, from.to(Device::cuda), pairs);
  EXPECT_TRUE(same_bits(a, b.to(Device::cpu)));
  EXPECT_EQ(a.data()[0], from.data()[28]);
}

// A recording does each time what its work would do, with the values that its tensors then have.
TEST(CudaReplay, DoesTheSameAgain) {
  const CardNow now;
  const Kernels& k = kernels(Device::cuda);
  const Tensor x({50}, DType::f32, Device::cuda), y({50}, DType::f32, Device::cuda);
  Replay replay;
  for (int i = 0; i < 5; ++i) {
    const Tensor in = normals({50}, uint64_t(i)), add = normals({50}, 77);
    copy_values(x, in);
    replay([&] {
      const Tensor twice({50}, DType::f32, Device::cuda), there = normals({50}, 77).to(Device::cuda);
      k.add(twice, x, x), k.add(y, twice, there);
    });
    EXPECT_EQ(replay.replays(), i > 0);
    const Tensor other = normals({50}, 5).to(Device::cuda);  // may take memory that the work gave back
    const Tensor want({50});
    for (int64_t j = 0; j < 50; ++j) want.data()[j] = in.data()[j] + in.data()[j] + add.data()[j];
    EXPECT_TRUE(same_bits(want, y.to(Device::cpu))) << "call " << i;
    EXPECT_TRUE(same_bits(normals({50}, 5), other.to(Device::cpu))) << "call " << i;
  }
}

TEST(CudaReplay, WhatReadsFromTheCardIsDonePlainly) {
  const CardNow now;
  const Tensor x = normals({9}, 1).to(Device::cuda);
  Replay replay;
  for (int i = 0; i < 3; ++i) {
    Tensor got;
    replay([&] { got = x.to(Device::cpu); });
    EXPECT_FALSE(replay.replays());
    EXPECT_TRUE(same_bits(normals({9}, 1), got));
  }
}

// The sampler, whose passes are replayed, against the CPU's.
TEST(CudaReplay, DrawingsAreTheCpus) {
  const CardNow now;
  std::vector<float> out[2];
  for (const Device d : {Device::cpu, Device::cuda}) {
    set_device(d);
    Model m(tiny_config());
    shake(m);
    flatten([&](const Visit& v) { m.params(v); }, d);
    out[d == Device::cuda] = draw(m, 1, {{{1, 20, 21}, {}, 5}}, {.steps = 3});
  }
  const int64_t n = int64_t(out[0].size());
  expect_close(Tensor::copy_of({n}, out[0]), Tensor::copy_of({n}, out[1]), 0x1p-19, "drawings");
}

}  // namespace
}  // namespace duet
