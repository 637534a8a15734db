// 3x3 convolutions on the card, by cuDNN (on the host: by what stands in for it) and by gathered neighbours, and the refiner
// that is made of them, against the CPU's.
#include "fusion/refine.h"
#include "kernels/cudnn.h"
#include "kernels/replay.h"
#include "tests/cuda/both.h"
#include "tests/fusion/tiny.h"
#ifdef DUET_HOST_SHIM
#include <cudnn_host.h>
#endif

namespace duet {
namespace {

using cuda::ConvPass, cuda::UseCudnn;
using Vars = std::vector<Var>;

struct AsItWas {
  const SettingsBack settings;
  const Device device_was = device();
  const UseCudnn use = cuda::use_cudnn();
  const bool fixed_order = deterministic();
  ~AsItWas() {
    set_device(device_was), cuda::set_use_cudnn(use), set_deterministic(fixed_order);
#ifdef DUET_HOST_SHIM
    shim::convolutions = {};
#endif
  }
};

// Whether convolutions of a kind were done since the last call of forget(); on a card nobody counts them.
void forget() {
#ifdef DUET_HOST_SHIM
  shim::convolutions.done.clear();
#endif
}
void expect_done(ConvPass pass, bool some, const std::string& what) {
#ifdef DUET_HOST_SHIM
  int n = 0;
  for (const auto& g : shim::convolutions.done) n += g.pass == pass;
  EXPECT_EQ(n > 0, some) << what << ": pass " << int(pass);
#endif
  (void)pass, (void)some, (void)what;
}
void expect_all_done(bool some, const std::string& what) {
  for (const ConvPass p : {ConvPass::forward, ConvPass::dx, ConvPass::dw}) expect_done(p, some, what);
}

Around around(int64_t B, int64_t H, int64_t W) {
  std::vector<int32_t> near;
  for (int64_t b = 0; b < B; ++b)
    for (int64_t y = 0; y < H; ++y)
      for (int64_t x = 0; x < W; ++x)
        for (int64_t v = y - 1; v <= y + 1; ++v)
          for (int64_t u = x - 1; u <= x + 1; ++u)
            near.push_back(v < 0 || v >= H || u < 0 || u >= W ? -1 : int32_t((b * H + v) * W + u));
  return {ints(near), {B, H, W}};
}

struct Case {
  int64_t B, H, W, C, O;
};
std::vector<Tensor> inputs(const Case& c) {
  return {normals({c.B * c.H * c.W, c.C}, 1), normals({c.O, 9 * c.C}, 2, 1 / std::sqrt(9 * float(c.C))), normals({c.O}, 3)};
}

// Twice of one input, with and without a bias: gradients are added to those that are there.
TEST(CudaConv, IsTheCpusByEitherWay) {
  const AsItWas back;
  for (const Case& c :
       {Case{3, 1, 1, 16, 32}, {2, 1, 5, 16, 8}, {2, 7, 3, 32, 32}, {1, 32, 32, 16, 32}, {2, 7, 3, 1, 32}, {2, 7, 3, 16, 1}})
    for (const UseCudnn use : {UseCudnn::never, UseCudnn::always}) {
      cuda::set_use_cudnn(use), forget();
      const Around at = around(c.B, c.H, c.W);
      const std::string what =
          join("conv3x3 ", c.B, "x", c.H, "x", c.W, " ", c.C, " to ", c.O, use == UseCudnn::never ? "" : " by cuDNN");
      check_both(what, inputs(c), {true, false, false},
                 [&](const Vars& v) { return add(conv3x3(v[0], v[1], v[2], at), conv3x3(v[0], v[1], {}, at)); });
      expect_all_done(use == UseCudnn::always && c.C % 8 == 0 && c.O % 8 == 0, what);
    }
}

#ifdef DUET_HOST_SHIM
// A pass that cuDNN refuses goes by way of the neighbours, whatever becomes of the others.
TEST(CudaConv, EachPassMayBeRefused) {
  const AsItWas back;
  const Case c{2, 5, 4, 16, 8};
  const Around at = around(c.B, c.H, c.W);
  cuda::set_use_cudnn(UseCudnn::always);
  for (const ConvPass p : {ConvPass::forward, ConvPass::dx, ConvPass::dw}) {
    shim::convolutions.refused = {p}, forget();
    check_both(join("conv3x3 without pass ", int(p)), inputs(c), {true, false, false},
               [&](const Vars& v) { return add(conv3x3(v[0], v[1], v[2], at), conv3x3(v[0], v[1], {}, at)); });
    for (const ConvPass other : {ConvPass::dx, ConvPass::dw})
      expect_done(other, p != ConvPass::forward && p != other, "refused");
  }
}

TEST(CudaConv, IsAskedForWhereItPaysAndInTheOrderThatIsWanted) {
  const AsItWas back;
  set_device(Device::cuda), set_precision(Precision::bf16);
  const NoGrad off;
  const auto run = [](const Case& c) {
    forget();
    const auto in = inputs(c);
    conv3x3(Var(send(in[0], true)), Var(send(in[1], false)), Var(send(in[2], false)), around(c.B, c.H, c.W));
    return shim::convolutions.done.size();
  };
  cuda::set_use_cudnn(UseCudnn::where_it_pays);
  EXPECT_EQ(run({1, 8, 8, 16, 32}), 0u);
  EXPECT_EQ(run({110, 32, 32, 16, 32}), 1u) << "a GFLOP";
  cuda::set_use_cudnn(UseCudnn::always);
  for (const bool fixed : {false, true}) {
    set_deterministic(fixed);
    ASSERT_EQ(run({2, 3, 4, 16, 32}), 1u);
    EXPECT_TRUE((shim::convolutions.done[0] == cuda::ConvGraph{ConvPass::forward, true, fixed, 2, 3, 4, 16, 32}));
  }
}
#endif

// Planned in the first, plain round, recorded in the second.
TEST(CudaConv, IsRecorded) {
  const AsItWas back;
  set_device(Device::cuda), set_precision(Precision::bf16), cuda::set_use_cudnn(UseCudnn::always);
  const NoGrad off;
  const Case c{2, 5, 4, 16, 32};
  const Around at = around(c.B, c.H, c.W);
  const auto in = inputs(c);
  const Var x(send(in[0], true)), w(send(in[1], false)), b(send(in[2], false));
  const Tensor y({c.B * c.H * c.W, c.O}, DType::bf16, Device::cuda);
  Replay replay;
  Tensor first;
  for (int round = 0; round < 4; ++round) {
    kernels(Device::cuda).convert(x.value(), normals(in[0].shape(), uint64_t(round % 2 + 5)).to(Device::cuda));
    replay([&] { copy_values(y, conv3x3(x, w, b, at).value()); });
    const Tensor got = fetch(y);
    if (round == 0) first = got;
    EXPECT_EQ(same_bits(first, got), round % 2 == 0) << "round " << round;
  }
  EXPECT_TRUE(replay.replays() || std::getenv("DUET_GRAPHS"));
}

// --- the refiner

constexpr int64_t kWidth = 8, kPatch = 4, kChannels = 16, kValues = kPatch * kPatch * 4;

struct RefinerOn {
  Refiner refiner;
  Flat flat;
  explicit RefinerOn(Device d) {
    Init init{5};
    refiner = Refiner(kWidth, kChannels, kPatch, init);
    uint64_t k = 0;
    const auto params = [&](const Visit& v) { refiner.params(v); };
    params([&](const std::string&, Var& v) {
      for (float& x : v.value().floats()) x += 0.1f * normal(9, k++);
    });
    flat = flatten(params, d);
  }
};

struct Refined {
  Tensor y, dguess, dparams;
};
Refined refine(const RefinerOn& on, const Layout& at, const Tensor& guess, const Tensor& noisy, const Tensor& features,
               bool narrow) {
  const Device d = on.flat.values.device();
  const auto there = [&](const Tensor& t) { return d == Device::cuda ? send(t, narrow) : t; };
  const Var g(there(guess), true);
  const Var y = on.refiner(g, noisy.to(d), at.pos, at.row, on.refiner.time(Var(features.to(d))));
  const Tensor r = rounded_copy(normals(y.shape(), 99));
  (d == Device::cuda ? dot_on_card(y, r, narrow) : dot_with(y, r)).backward();
  return {fetch(y.value()), fetch(g.grad()), fetch(on.flat.grads)};
}

// Pictures of one size are convolved row by row; those of several sizes go by their neighbours. How far a precision may be off
// is seen from what one rounding of all that goes in does on the CPU.
TEST(CudaConv, TheRefinerIsTheCpus) {
  const AsItWas back;
  set_device(Device::cuda);
  for (const bool one_size : {true, false}) {
    const Layout at = one_size ? make_layout({{Segment::image(2, 3, 1)}, {Segment::image(2, 3, 2)}})
                               : make_layout({{Segment::image(2, 3, 1)}, {Segment::image(3, 2, 2)}});
    const Tensor guess = normals({12, kValues}, 1), noisy = normals({12, kValues}, 2), features = normals({2, kWidth}, 3);
    for (const Precision p : {Precision::f32, Precision::bf16}) {
      const bool narrow = p == Precision::bf16;
      set_precision(Precision::f32);
      const RefinerOn cpu(Device::cpu), twin(Device::cpu);
      const auto near = [&](const Tensor& t) {
        const Tensor n = t.clone();
        for (float& x : n.floats()) x = narrow ? round_bf16(x) : x * (1 + 0x1p-22f);
        return n;
      };
      copy_values(twin.flat.values, near(twin.flat.values));
      const Refined want = refine(cpu, at, guess, noisy, features, false),
                    naive = refine(twin, at, near(guess), near(noisy), near(features), false);
      set_precision(p);
      for (const UseCudnn use : {UseCudnn::never, UseCudnn::always}) {
        cuda::set_use_cudnn(use), forget();
        const std::string what =
            join(one_size ? "one size" : "two sizes", narrow ? ", bf16" : "", use == UseCudnn::never ? "" : ", by cuDNN");
        Refined first;
        for (const int order : kOrders) {
          set_thread_order(order);
          const Refined got = refine(RefinerOn(Device::cuda), at, guess, noisy, features, narrow);
          for (const auto part : {&Refined::y, &Refined::dguess, &Refined::dparams}) {
            EXPECT_LE(relative_error(want.*part, got.*part), 4 * relative_error(want.*part, naive.*part)) << what;
            EXPECT_TRUE(!(first.*part) || same_bits(first.*part, got.*part)) << what << ": threads in order " << order;
          }
          if (order == kOrders[0]) first = got;
        }
        set_thread_order(0);
        expect_all_done(use == UseCudnn::always && narrow && one_size, what);
      }
    }
  }
}

}  // namespace
}  // namespace duet
