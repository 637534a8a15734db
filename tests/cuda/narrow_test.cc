// Weights of few bits: how they are packed, against plain code and cases by hand; products with them, against the same numbers
// multiplied in double; a whole model.
#include "kernels/narrow.h"

#include "fusion/narrow.h"
#include "infer/sampler.h"
#include "kernels/replay.h"
#include "tests/cuda/both.h"
#include "tests/fusion/tiny.h"

namespace duet {
namespace {

const std::vector<DType> kNarrow{DType::int8, DType::int4, DType::fp8};

double e4m3(uint8_t b) {
  const int e = b >> 3 & 15, m = b & 7;
  return (b & 0x80 ? -1 : 1) * (e ? std::ldexp(1 + m / 8.0, e - 7) : std::ldexp(m / 8.0, -6));
}

// Number (o, c) of narrow weights on the host, and its scale.
struct Number {
  double q;
  float scale;
  float value() const { return float(q) * scale; }
};
Number number(const Tensor& w, int64_t o, int64_t c) {
  const bool halves = w.dtype() == DType::int4;
  const int64_t C = w.dim(1), words = halves ? (C + 31) / 32 : (C + 15) / 16;
  const uint8_t* row = w.data<uint8_t>() + o * words * 16;
  const auto* scales = reinterpret_cast<const float*>(w.data<uint8_t>() + w.dim(0) * words * 16);
  if (halves) return {double(c % 2 ? row[c / 2] >> 4 : row[c / 2] & 15) - 8, scales[o * words + c / 32]};
  return {w.dtype() == DType::int8 ? double(int8_t(row[c])) : e4m3(row[c]), scales[o]};
}
Tensor plain(const Tensor& narrow) {
  Tensor w(narrow.shape());
  for (int64_t i = 0; i < w.count(); ++i) w.data()[i] = number(narrow, i / w.dim(1), i % w.dim(1)).value();
  return w;
}

TEST(Narrow, E4m3ByHand) {
  const std::vector<std::pair<float, int>> cases{
      {0, 0},
      {1, 0x38},
      {-1, 0xb8},
      {448, 0x7e},
      {449, 0x7e},
      {464, 0x7e},
      {1e30f, 0x7e},
      {-500, 0xfe},
      {0x1p-6f, 0x08},
      {0x1p-9f, 0x01},
      {7 * 0x1p-9f, 7},
      {-3 * 0x1p-9f, 0x83},
      {0x1p-10f, 0},           // halfway between 0 and the smallest: even
      {0x1.02p-10f, 1},        // a little more
      {1.5f * 0x1p-9f, 2},     // halfway between 1 and 2 of the smallest: even
      {7.5f * 0x1p-9f, 0x08},  // from the subnormals to 2^-6
      {0x1.fp-7f, 0x08},       // the same
      {17, 0x58},              // halfway between 16 and 18: even
      {19, 0x5a},              // halfway between 18 and 20: even
      {17.01f, 0x59},          // a little more
      {31.5f, 0x60},           // the mantissa overflows into the exponent
  };
  for (const auto& [x, code] : cases) EXPECT_EQ(int(to_e4m3(x)), code) << x;
  for (int b = 0; b < 256; ++b)
    if ((b & 0x7f) != 0x7f) {
      EXPECT_EQ(int(to_e4m3(float(e4m3(uint8_t(b))))), b);
    }
  for (uint64_t i = 0; i < 5000; ++i) {
    const float x = std::exp(3 * normal(1, i));
    int best = 0;
    for (int b = 1; b < 0x7f; ++b) {
      const double gain = std::abs(e4m3(uint8_t(best)) - x) - std::abs(e4m3(uint8_t(b)) - x);
      if (gain > 0 || (gain == 0 && b % 2 == 0)) best = b;
    }
    EXPECT_EQ(int(to_e4m3(x)), best) << x;
  }
}

TEST(Narrow, Int4ByHand) {
  // 35 numbers of two groups: scales 1 and 2.
  Tensor w = Tensor::zeros({2, 35});
  const float first[] = {7, -7, 1, -3, 0, 2.5f, 3.5f, -0.5f}, last[] = {-14, 2, 1};
  std::copy(std::begin(first), std::end(first), w.data()), std::copy(std::begin(last), std::end(last), w.data() + 32);
  const Tensor n = narrowed(w, DType::int4);
  ASSERT_EQ(n.bytes(), size_t(2 * 32 + 4 * 4));
  const uint8_t* b = n.data<uint8_t>();
  const std::vector<uint8_t> want{0x1f, 0x59, 0xa8, 0x8c, 0x88};  // 2.5 to 2 and 3.5 to 4, -0.5 to 0: nearest, then even
  for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ(int(b[i]), int(want[i])) << i;
  EXPECT_EQ(int(b[16]), 0x91);
  EXPECT_EQ(int(b[17]), 0x88) << "half of 2 is 0.5: to 0; then nothing";
  for (int i = 32; i < 64; ++i) EXPECT_EQ(int(b[i]), 0x88) << "zeros at " << i;
  const auto* scales = reinterpret_cast<const float*>(b + 64);
  EXPECT_TRUE(scales[0] == 1 && scales[1] == 2 && scales[2] == 0 && scales[3] == 0);
}

// Everywhere within half a step of what it was; int8 in the CPU's very numbers.
TEST(Narrow, NumbersAreNearest) {
  for (const auto& [O, C] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 5}, {7, 35}, {5, 192}}) {
    const Tensor w = normals({O, C}, 3);
    w.data()[0] = 0.001f;
    for (const DType t : kNarrow) {
      const Tensor n = narrowed(w, t);
      for (int64_t i = 0; i < w.count(); ++i) {
        const float x = w.data()[i], *row = w.data() + i / C * C;
        const Number at = number(n, i / C, i % C);
        const int64_t from = t == DType::int4 ? i % C / 32 * 32 : 0, to = t == DType::int4 ? std::min(C, from + 32) : C;
        float largest = 0;
        for (int64_t c = from; c < to; ++c) largest = std::max(largest, std::abs(row[c]));
        const float most = t == DType::int8 ? 127.0f : t == DType::int4 ? 7.0f : 448.0f;
        EXPECT_EQ(at.scale, largest * (1 / most));
        if (t == DType::int8) {
          EXPECT_EQ(at.q, std::nearbyint(x * (127.0f / largest)));
        }
        const double half = t == DType::fp8 ? std::max(std::abs(double(x)) / 16, double(at.scale) * 0x1p-10) : at.scale / 2.0;
        EXPECT_LE(std::abs(at.q * at.scale - x), half * (1 + 0x1p-20)) << name_of(t) << " " << O << "x" << C << " at " << i;
      }
    }
  }
}

struct Sizes {
  int64_t N, O, C;
};

// The truth: the numbers that are multiplied, in double. A sum of n terms in f32 is off by n half units of the sum of their
// sizes; a thread adds up to 32 of a word, then its words, then the others' sums. Many rows go through weights in x's type and
// the library, which adds C terms. In bf16 what is stored is off by half a unit, before the bias once more.
void check_product(const Sizes& s, DType type, bool bf) {
  const bool few = s.N <= cuda::kFewRows, biased = s.O % 2 == 1;
  Tensor x = normals({s.N, s.C}, 1);
  if (bf) x = rounded_copy(x);
  const Tensor bias = normals({s.O}, 3), w = narrowed(normals({s.O, s.C}, 2), type), there = w.to(Device::cuda);
  const Tensor on_card = send(x, bf), bias_there = biased ? bias.to(Device::cuda) : Tensor();
  Tensor first;
  for (const int order : kOrders) {
    set_thread_order(order);
    const Tensor y({s.N, s.O}, on_card.dtype(), Device::cuda);
    kernels(Device::cuda).linear(y, on_card, there, bias_there);
    const Tensor got = fetch(y);
    if (!first) first = got;
    EXPECT_TRUE(same_bits(first, got)) << "threads in order " << order;
  }
  set_thread_order(0);
  const double depth = few ? 32 + double(NarrowLayout(w.shape(), type).words) + 8 : double(s.C) + 2;
  double worst = 0;
  for (int64_t n = 0; n < s.N; ++n)
    for (int64_t o = 0; o < s.O; ++o) {
      double sum = 0, size = 0;
      for (int64_t c = 0; c < s.C; ++c) {
        const Number at = number(w, o, c);
        const double v = few ? at.q * at.scale : bf ? round_bf16(at.value()) : at.value();
        sum += v * x.data()[n * s.C + c], size += std::abs(v * x.data()[n * s.C + c]);
      }
      const double want = sum + (biased ? bias.data()[o] : 0);
      const double half = bf ? 0x1p-8 * (std::abs(want) + (few || !biased ? 0 : std::abs(sum))) : 0;
      const double most = 0x1p-24 * (depth * size + 2 * std::abs(want)) + half + 1e-30;
      const double e = std::abs(first.data()[n * s.O + o] - want);
      worst = std::max(worst, std::isfinite(e) ? e / most : INFINITY);
    }
  const std::string what = join(name_of(type), bf ? " bf16 " : " f32 ", s.N, " rows, ", s.O, "x", s.C);
  EXPECT_LE(worst, 1.0) << what;
  if (std::getenv("DUET_SHOW_ERRORS")) std::printf("%s: %.2f of the bound\n", what.c_str(), worst);
}

TEST(Cuda, NarrowProducts) {
  const CardNow now;
  for (const Sizes& s : std::vector<Sizes>{{1, 1, 1},
                                           {1, 24, 13},
                                           {2, 7, 35},
                                           {3, 24, 64},
                                           {4, 5, 40},
                                           {7, 31, 192},
                                           {3, 9, 1416},
                                           {16, 9, 136},
                                           {17, 24, 40},
                                           {19, 5, 13},
                                           {40, 64, 192},
                                           {1, 1536, 512}})
    for (const DType type : kNarrow)
      for (const bool bf : {false, true}) {
        set_precision(bf ? Precision::bf16 : Precision::f32);
        check_product(s, type, bf);
      }
}

TEST(Cuda, NarrowProductsOfRowsAlone) {
  const CardNow now;
  const int64_t N = 11, O = 13, C = 160;
  const Tensor x = normals({N, C}, 1).to(Device::cuda);
  for (const DType type : kNarrow) {
    const Tensor w = narrowed(normals({O, C}, 2), type).to(Device::cuda), all({N, O}, DType::f32, Device::cuda);
    kernels(Device::cuda).linear(all, x, w, {});
    for (const int64_t rows : {1, 2, 3}) {
      const Tensor some({rows, O}, DType::f32, Device::cuda);
      kernels(Device::cuda).linear(some, x.slice(8 * C, {rows, C}), w, {});
      EXPECT_TRUE(same_bits(all.to(Device::cpu).slice(8 * O, {rows, O}).clone(), some.to(Device::cpu)))
          << name_of(type) << rows;
    }
  }
}

TEST(Cuda, NarrowWeightsAreOnlyMultiplied) {
  const CardNow now;
  const Tensor w = narrowed(normals({8, 16}, 2), DType::int4).to(Device::cuda);
  for (const auto& f : std::vector<std::function<void()>>{[&] { host_floats(w); }, [&] { w.slice(16, {1, 16}); }}) {
    std::string said;
    try {
      f();
    } catch (const Error& e) {
      said = e.what();
    }
    EXPECT_TRUE(said.find("int4") != std::string::npos) << said;
  }
}

TEST(CudaReplay, NarrowProductsAreRecorded) {
  const CardNow now;
  for (const int64_t N : {int64_t(3), cuda::kFewRows + 4}) {
    const Tensor w = narrowed(normals({24, 64}, 2), DType::int4).to(Device::cuda);
    const Tensor x({N, 64}, DType::f32, Device::cuda), y({N, 24}, DType::f32, Device::cuda), z = y.clone();
    Replay replay;
    for (int i = 0; i < 4; ++i) {
      copy_values(x, normals({N, 64}, uint64_t(i)));
      replay([&] { kernels(Device::cuda).linear(y, x, w, {}); });
      EXPECT_EQ(replay.replays(), i > 0);
      kernels(Device::cuda).linear(z, x, w, {});
      EXPECT_TRUE(same_bits(y.to(Device::cpu), z.to(Device::cpu))) << "call " << i;
    }
  }
}

// Words and pictures by way of a cache, then a drawing: few rows and many, plain and replayed.
Tensor outputs(const Model& m) {
  const NoGrad off;
  set_device(m.device());
  auto caches = m.fusion_caches(2, 5 + 16);
  const std::vector<int32_t> none{0, 0}, used{3, 5};
  const Layout said = make_layout({{Segment::text(3)}, {Segment::text(5)}});
  const std::vector<Sequence> seen{{Segment::image(4, 4, 1)}, {Segment::image(4, 4, 2)}};
  m.fuse(m.text_stem(ints({1, 20, 21, 1, 30, 31, 32, 33}), said), said, {}, &caches, &none);
  const auto times = m.times({0.3f, 0.3f});
  const Var x = m.vision_stem(normals({32, m.patch_values()}, 5), make_layout(seen), times);
  const Tensor read = host_floats(m.fuse(x, make_layout(seen, used), times, &caches, &used).value());
  const std::vector<float> drawn = draw(m, 1, {{{1, 20, 21}, {}, 5}}, {.steps = 3, .guidance = 2});
  std::vector<float> all(read.floats().begin(), read.floats().end());
  all.insert(all.end(), drawn.begin(), drawn.end());
  return Tensor::copy_of({int64_t(all.size())}, all);
}

// On the card f32 is what the CPU makes of the same numbers in f32, but for rounding. How far the unquantized model may be is
// seen on the CPU, from a twin whose weights are off by noise of the same size, and in bf16 also from one whose weights are.
TEST(CudaModel, NarrowWeights) {
  const CardNow now;
  const auto made = [](const std::function<void(const std::string&, const Tensor&)>& change) {
    set_precision(Precision::f32);
    auto m = std::make_unique<Model>(tiny_config());
    shake(*m);
    m->params([&](const std::string& name, Var& v) { change(name, v.value()); });
    return m;
  };
  const Tensor truth = outputs(*made([](auto&, auto&) {}));
  const Tensor rounded = outputs(*made([](auto&, const Tensor& w) { copy_values(w, rounded_copy(w)); }));
  for (const DType type : kNarrow) {
    const auto each = [&](const std::function<void(const Tensor&, const Tensor&)>& change) {
      return outputs(*made([&](const std::string& name, const Tensor& w) {
        if (may_be_narrow(name)) change(w, plain(narrowed(w, type)));
      }));
    };
    uint64_t seed = 40;
    const Tensor same = each([](const Tensor& w, const Tensor& q) { copy_values(w, q); });
    const Tensor nudged = each([](const Tensor& w, const Tensor& q) {
      for (int64_t i = 0; i < w.count(); ++i) w.data()[i] = q.data()[i] * (1 + 0x1p-22f);
    });
    const Tensor noisy = each([&](const Tensor& w, const Tensor& q) {
      double square = 0;
      for (int64_t i = 0; i < w.count(); ++i) square += std::pow(double(w.data()[i]) - q.data()[i], 2);
      const Tensor noise = normals(w.shape(), ++seed, float(std::sqrt(square / double(w.count()))));
      for (int64_t i = 0; i < w.count(); ++i) w.data()[i] += noise.data()[i];
    });
    const double noise = relative_error(truth, noisy), rounding = relative_error(same, nudged);
    for (const Precision p : {Precision::f32, Precision::bf16}) {
      const auto m = made([](auto&, auto&) {});
      narrow_on_card(*m, type);
      set_precision(p);
      const Tensor got = outputs(*m);
      const double error = relative_error(truth, got), from_same = relative_error(same, got);
      EXPECT_LE(error, 2 * (noise + (p == Precision::bf16 ? relative_error(truth, rounded) : 0))) << name_of(type);
      if (p == Precision::f32) {
        EXPECT_LE(from_same, 4 * rounding) << name_of(type);
      }
      if (std::getenv("DUET_SHOW_ERRORS"))
        std::printf("%s %s: error %.2e (noise of that size %.2e), from the same numbers on the CPU %.2e (one rounding %.2e)\n",
                    name_of(type), p == Precision::f32 ? "f32" : "bf16", error, noise, from_same, rounding);
    }
  }
}

// What is left of a block's weights is the narrow form: (96,32) in bytes and scales.
TEST(CudaModel, NarrowWeightsHaveNoMaster) {
  const CardNow now;
  for (const DType type : kNarrow) {
    Model m(tiny_config());
    narrow_on_card(m, type);
    int64_t seen = 0;
    m.params([&](const std::string& name, Var& v) {
      EXPECT_TRUE(v.value().device() == Device::cuda);
      EXPECT_EQ(v.value().dtype() == type, may_be_narrow(name)) << name;
      if (!name.ends_with(".qkv.weight")) return;
      ++seen;
      EXPECT_EQ(v.value().bytes(), size_t(96 * (type == DType::int4 ? 16 + 4 : 32 + 4)));
      EXPECT_FALSE(v.has_grad());
    });
    EXPECT_EQ(seen, 4);
  }
}

TEST(CudaModel, NarrowArithmeticIsNamed) {
  const CardNow now;
  set_precision(Precision::bf16);
  for (const DType type : kNarrow) {
    const Frozen f(type);
    EXPECT_EQ(arithmetic(), std::string(name_of(type)) + "+bf16");
  }
  EXPECT_EQ(arithmetic(), std::string("bf16"));
}

}  // namespace
}  // namespace duet
