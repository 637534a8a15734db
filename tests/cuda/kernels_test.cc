// The card's kernels against the CPU's: the same op on both devices, its value and every gradient. Compiled with
// tests/cuda/shim they run on the host, in three orders of threads; linked with the real table, on the card.
#include "kernels/cublas.h"
#include "kernels/module.h"
#include "kernels/plan.h"
#include "kernels/replay.h"
#include "tests/cuda/both.h"

namespace duet {
namespace {

using Vars = std::vector<Var>;

std::vector<int32_t> rows_below(int64_t N, int R) {  // stretches of equal rows, as in packed sequences
  std::vector<int32_t> r;
  for (int64_t n = 0; n < N; ++n) r.push_back(below(5, uint64_t(n / 3), R));
  return r;
}

const std::vector<std::pair<int64_t, int64_t>> kSizes{{1, 1}, {7, 13}, {50, 35}, {67, 64}, {40, 192}};

TEST(Cuda, NormMod) {
  auto sizes = kSizes;
  // Rows of every number of words a lane, and too wide for that.
  for (const int64_t C : {448, 904, 1096}) sizes.emplace_back(41, C);
  for (const auto& [N, C] : sizes) {
    const Tensor row = ints(rows_below(N, 3));
    check_both(join("norm_mod ", N, "x", C), {normals({N, C}, 1), normals({3, 2 * C}, 2)}, {true, false},
               [&, C = C](const Vars& v) { return norm_mod(v[0], v[1], row, 0, C); });
  }
}

TEST(Cuda, GateAdd) {
  for (const auto& [N, C] : kSizes) {
    const Tensor row = ints(rows_below(N, 3));
    check_both(join("gate_add ", N, "x", C), {normals({N, C}, 1), normals({N, C}, 2), normals({3, 2 * C}, 3)},
               {true, true, false}, [&, C = C](const Vars& v) { return gate_add(v[0], v[1], v[2], row, C); });
  }
}

TEST(Cuda, GateNorm) {
  for (const auto& [N, C] : kSizes) {
    const Tensor row = ints(rows_below(N, 3));
    const auto both = [&, C = C](const Vars& v) { return gate_norm(v[0], v[1], v[2], row, C, 0, 2 * C); };
    const std::vector<Tensor> in{normals({N, C}, 1), normals({N, C}, 2), normals({3, 3 * C}, 3)};
    check_both(join("gate_norm, sum ", N, "x", C), in, {true, true, false}, [&](const Vars& v) { return both(v).first; });
    check_both(join("gate_norm, normed ", N, "x", C), in, {true, true, false}, [&](const Vars& v) { return both(v).second; });
    check_both(join("gate_norm ", N, "x", C), in, {true, true, false}, [&](const Vars& v) {
      const auto [y, normed] = both(v);
      return add(y, normed);
    });
  }
}

TEST(Cuda, QkRope) {
  for (const auto& [N, H, D] : std::vector<std::array<int64_t, 3>>{{1, 1, 4}, {5, 3, 12}, {37, 2, 64}, {19, 1, 128}}) {
    std::vector<int32_t> pos;
    for (int64_t i = 0; i < 2 * N; ++i) pos.push_back(below(3, uint64_t(i), 40));
    check_both(join("qk_rope ", N, "x", H, "x", D),
               {normals({N, 3 * H * D}, 1), normals({D}, 2, 0.3f, 1), normals({D}, 3, 0.3f, 1)}, {true, false, false},
               [&, H = H](const Vars& v) { return qk_rope(v[0], v[1], v[2], ints(pos), H, 100); });
  }
}

// Sequences of text and pictures: text sees itself causally, a picture all of itself and what is before.
Layout mixed_layout(const std::vector<std::pair<int, int>>& sequences) {  // tokens of text, then of a picture
  std::vector<int32_t> at{0}, limit;
  for (auto [text, picture] : sequences) {
    for (int i = 0; i < text; ++i) limit.push_back(i + 1);
    for (int i = 0; i < picture; ++i) limit.push_back(text + picture);
    at.push_back(int32_t(limit.size()));
  }
  return {ints(at), ints(limit), {}, {}};
}

TEST(Cuda, Attention) {
  struct Case {
    int64_t H, D;
    std::vector<std::pair<int, int>> sequences;
  };
  for (const Case& c : {Case{1, 16, {{1, 0}}},
                        {2, 32, {{7, 0}, {3, 17}, {0, 5}}},
                        {1, 64, {{13, 64}, {70, 0}, {5, 100}}},
                        {1, 32, {{0, 66}}},
                        {1, 128, {{11, 40}, {1, 1}, {3, 70}}}}) {
    const Layout l = mixed_layout(c.sequences);
    const int64_t N = l.limit.count();
    check_both(join("attention ", N, "x", c.H, "x", c.D), {normals({N, 3 * c.H * c.D}, 1)}, {true},
               [&](const Vars& v) { return attention(v[0], l, c.H); });
  }
}

std::vector<int32_t> fetch_ints(const Tensor& t) {
  const Tensor host = t.to(Device::cpu);
  return {host.data<int32_t>(), host.data<int32_t>() + host.count()};
}

// What cuDNN is told of three sequences, of which it gets four, the last one empty.
TEST(Cuda, PackedSequences) {
  using V = std::vector<int32_t>;
  using cuda::AttentionMask;
  const Layout mixed = mixed_layout({{2, 3}, {1, 0}, {0, 2}});
  const auto p = packed(mixed.at, mixed.at, mixed.limit, 2, 16, 96, 96);
  EXPECT_TRUE((p->graph == cuda::AttentionGraph{false, AttentionMask::limit, 4, 2, 16, 64, 64, 96, 96}));
  EXPECT_TRUE(fetch_ints(p->q_offset) == V({0, 5 * 96, 6 * 96, 8 * 96, 8 * 96}));
  EXPECT_TRUE(fetch_ints(p->o_offset) == V({0, 5 * 32, 6 * 32, 8 * 32, 8 * 32}));
  EXPECT_TRUE(fetch_ints(p->lse_offset) == V({0, 10, 12, 16, 16}));
  EXPECT_TRUE(fetch_ints(p->q_count) == V({5, 1, 2, 0}) && fetch_ints(p->k_count) == V({5, 1, 2, 0}));
  const V limit = fetch_ints(p->limit);
  ASSERT_EQ(limit.size(), size_t(4 * 64));
  EXPECT_TRUE(V(limit.begin(), limit.begin() + 6) == V({1, 2, 5, 5, 5, 0}));
  EXPECT_TRUE(limit[64] == 1 && limit[128] == 2 && limit[129] == 2 && limit[130] == 0 && limit[192] == 0);

  const Layout words = mixed_layout({{2, 0}, {70, 0}}), pictures = mixed_layout({{0, 4}, {0, 4}});
  EXPECT_TRUE(packed(words.at, words.at, words.limit, 2, 16, 96, 96)->graph.mask == AttentionMask::causal);
  EXPECT_EQ(packed(words.at, words.at, words.limit, 2, 16, 96, 96)->graph.q, 128);
  const auto full = packed(pictures.at, pictures.at, pictures.limit, 2, 16, 96, 96);
  EXPECT_TRUE(full->graph.mask == AttentionMask::full && !full->limit);
  // The same layout over a cache of other places is another table.
  const auto cached = packed(pictures.at, ints({0, 10, 20}), pictures.limit, 2, 16, 96, 32);
  EXPECT_TRUE(fetch_ints(cached->k_offset) == V({0, 320, 640}));
  EXPECT_TRUE(fetch_ints(full->k_offset) == V({0, 4 * 96, 8 * 96}));
  EXPECT_FALSE(packed(pictures.at, pictures.at, pictures.limit, 2, 16, int64_t(1) << 29, 32)) << "offsets beyond 32 bits";
}

TEST(Cuda, SwigluAndSilu) {
  for (const auto& [N, C] : kSizes) {
    check_both(join("swiglu ", N, "x", C), {normals({N, 2 * C}, 1)}, {true}, [](const Vars& v) { return swiglu(v[0]); });
    check_both(join("silu ", N, "x", C), {normals({N, C}, 1)}, {true}, [](const Vars& v) { return silu(v[0]); });
  }
}

TEST(Cuda, Gather) {
  for (const auto& [N, C] : kSizes) {
    std::vector<int32_t> from;
    for (int64_t n = 0; n < 2 * N; ++n) from.push_back(below(3, uint64_t(n), int(N) + 4) - 4);
    check_both(join("gather ", N, "x", C), {normals({N, C}, 1), normals({4, C}, 2)}, {true, true},
               [&](const Vars& v) { return gather(v[0], v[1], ints(from)); });
  }
}

TEST(Cuda, SegmentMeanUnitRowsAddTables) {
  for (const auto& [at, C] :
       std::vector<std::pair<std::vector<int32_t>, int64_t>>{{{0, 1}, 1}, {{0, 3, 3, 10}, 7}, {{0, 64, 147}, 96}})
    check_both(join("segment_mean ", C), {normals({at.back(), C}, 1)}, {true},
               [&](const Vars& v) { return segment_mean(v[0], ints(at)); });
  for (const auto& [N, C] : kSizes) {
    check_both(join("unit_rows ", N, "x", C), {normals({N, C}, 1)}, {false}, [](const Vars& v) { return unit_rows(v[0]); });
    check_both(join("add ", N, "x", C), {normals({N, C}, 1), normals({N, C}, 2)}, {true, true},
               [](const Vars& v) { return add(v[0], add(v[1], v[0])); });
    check_both(join("mod_table ", N, "x", C), {normals({2, C}, 1), normals({N * 8, C}, 2)}, {false, false},
               [](const Vars& v) { return mod_table(v[0], v[1]); });
  }
}

TEST(Cuda, OuterSum) {
  for (const auto& [N, K, A, G] : std::vector<std::array<int64_t, 4>>{{1, 1, 1, 1}, {5, 3, 7, 2}, {11, 4, 64, 4}})
    check_both(join("outer_sum ", N, "x", K, "x", A, "x", G), {normals({N, K * (A + G)}, 1)}, {true},
               [&, K = K, A = A, G = G](const Vars& v) { return outer_sum(v[0], K, A, G); });
}

// The bias by the library's epilogues, and by our own kernels where it has none.
TEST(Cuda, Linear) {
  const bool was = cuda::use_epilogues();
  for (const bool epilogues : {true, false}) {
    cuda::set_use_epilogues(epilogues);
    for (const auto& [N, C] : kSizes)
      check_both(join("linear ", N, "x", C, epilogues ? "" : " without epilogues"),
                 {normals({N, C}, 1), normals({24, C}, 2), normals({24}, 3)}, {true, false, false},
                 [](const Vars& v) { return linear(v[0], v[1], v[2]); });
  }
  cuda::set_use_epilogues(was);
}

// Gradients of a layer used twice add up.
TEST(Cuda, LinearTwice) {
  check_both("linear twice", {normals({37, 24}, 1), normals({24, 24}, 2, 0.2f), normals({24}, 3)}, {true, false, false},
             [](const Vars& v) { return linear(linear(v[0], v[1], v[2]), v[1], v[2]); });
}

// A parameter's bias is read from its bf16 twin, which may have moved on; a recording reads it where it lay.
TEST(Cuda, BiasOfARecordingIsTheParameters) {
  const Device was = device();
  const SettingsBack back;
  set_device(Device::cuda), set_precision(Precision::bf16);
  Init init;
  Linear layer(16, 8, init, 1, true);
  const Flat flat = flatten([&](const Visit& v) { layer.params("layer", v); }, Device::cuda);
  const Tensor x = send(normals({5, 16}, 1), true), y({5, 8}, DType::bf16, Device::cuda);
  Replay replay;
  for (int i = 0; i < 4; ++i) {
    Tensor bias({8});
    for (float& b : bias.floats()) b = float(i);
    copy_values(layer.b.value(), bias), flat.changed();
    replay([&] { kernels(Device::cuda).linear(y, x, layer.w.value(), layer.b.value()); });
    EXPECT_EQ(replay.replays(), i > 0);
    const Tensor plain({5, 8}, DType::f32, Device::cuda);
    kernels(Device::cuda).linear(plain, x, layer.w.value(), {});
    const Tensor want = plain.to(Device::cpu), got = fetch(y);
    for (int64_t j = 0; j < want.count(); ++j) EXPECT_EQ(got.data()[j], round_bf16(want.data()[j] + float(i))) << "call " << i;
  }
  set_device(was);
}

TEST(Cuda, Losses) {
  for (const auto& [N, V] : std::vector<std::pair<int64_t, int64_t>>{{1, 2}, {7, 13}, {20, 544}}) {
    std::vector<int32_t> target;
    for (int64_t n = 0; n < N; ++n) target.push_back(below(9, uint64_t(n), int(V) + 1) - 1);
    const Tensor weight = normals({N}, 8, 0.2f, 1), clean = normals({N, V}, 6);
    check_both(join("cross_entropy ", N, "x", V), {normals({N, V}, 1, 2)}, {true},
               [&](const Vars& v) { return cross_entropy(v[0], ints(target), weight); });
    check_both(join("square_error ", N, "x", V), {normals({N, V}, 1, 2)}, {true},
               [&](const Vars& v) { return square_error(v[0], clean, weight); });
  }
  for (int64_t B : {1, 7, 33}) {
    std::vector<uint64_t> same;
    for (int64_t b = 0; b < B; ++b) same.push_back(uint64_t(b) % 5 == 4 ? 77 : uint64_t(b));
    check_both(join("sigmoid_contrastive ", B),
               {normals({B, 16}, 1, 0.3f), normals({B, 16}, 2, 0.3f), normals({1}, 3), normals({1}, 4)},
               {false, false, false, false}, [&](const Vars& v) { return sigmoid_contrastive(v[0], v[1], v[2], v[3], same); });
  }
}

}  // namespace
}  // namespace duet
