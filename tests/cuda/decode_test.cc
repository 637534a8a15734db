// The next token and the decode loop, on both devices.
#include <set>

#include "infer/textsearch.h"
#include "tests/cuda/both.h"
#include "tests/fusion/tiny.h"

namespace duet {
namespace {

struct CardNow {
  const Device was = device();
  const SettingsBack settings;
  CardNow() { set_device(Device::cuda), set_precision(Precision::f32); }
  ~CardNow() { set_thread_order(0), set_device(was); }
};

Tensor bytes(int64_t n, const std::function<bool(int64_t)>& f) {
  Tensor t({n}, DType::u8);
  for (int64_t i = 0; i < n; ++i) t.data<uint8_t>()[i] = f(i);
  return t;
}

struct Chosen {
  Tensor token, log_prob;
  bool operator==(const Chosen& c) const {
    return std::memcmp(token.data<void>(), c.token.data<void>(), token.bytes()) == 0 &&
           std::memcmp(log_prob.data<void>(), c.log_prob.data<void>(), log_prob.bytes()) == 0;
  }
};

template <class F>
Chosen choose(Device d, int64_t N, int64_t n, F f) {
  const Tensor token({N, n}, DType::i32, d), log_prob({N, n, 2}, DType::i32, d);
  f(kernels(d), token, log_prob);
  return {token.to(Device::cpu), log_prob.to(Device::cpu)};
}

// f(kernels, token, log_prob, logits) on both: the same tokens, log-probabilities but for the order of sums, the same bits in
// every order of threads.
template <class F>
void check_choice(const std::string& what, const Tensor& logits, int64_t n, F f) {
  const int64_t N = logits.dim(0);
  const Chosen want = choose(Device::cpu, N, n, [&](auto& k, auto& t, auto& p) { f(k, t, p, logits); });
  Chosen first;
  for (const int order : kOrders) {
    set_thread_order(order);
    const Chosen got = choose(Device::cuda, N, n, [&](auto& k, auto& t, auto& p) { f(k, t, p, logits.to(Device::cuda)); });
    if (order != kOrders[0]) {
      EXPECT_TRUE(first == got) << what << ": threads in order " << order;
      continue;
    }
    first = got;
    for (int64_t i = 0; i < N * n; ++i) {
      const double a = want.log_prob.data<double>()[i], b = got.log_prob.data<double>()[i];
      EXPECT_EQ(want.token.data<int32_t>()[i], got.token.data<int32_t>()[i]) << what << " row " << i / n << " place " << i % n;
      EXPECT_TRUE((std::isnan(a) && std::isnan(b)) || a == b || std::abs(a - b) <= 1e-12 * (1 + std::abs(a)))
          << what << " row " << i / n << ": " << a << " and " << b;
    }
  }
  set_thread_order(0);
}

// Rows with what is rare: equal logits, both zeros, forbidden ones, a logit far above, NaN, +inf, none allowed.
Tensor rare_logits(int64_t V) {
  Tensor z = normals({8, V}, uint64_t(V), 2);
  for (int64_t v = 0; v < V; ++v) {
    z.data()[1 * V + v] = std::round(z.data()[1 * V + v]);
    z.data()[2 * V + v] = v % 2 ? 0.0f : -0.0f;
    z.data()[3 * V + v] = v % 3 ? z.data()[3 * V + v] : -INFINITY;
    z.data()[7 * V + v] = -INFINITY;
  }
  z.data()[4 * V + V / 2] = 300;
  z.data()[5 * V + V - 1] = NAN, z.data()[6 * V] = INFINITY;
  return z;
}

const std::vector<int64_t> kVocabularies{1, 2, 13, 127, 300, 4096, 16381};

TEST(CudaDecode, BestTokensAreTheCpus) {
  const CardNow now;
  for (const int64_t V : kVocabularies)
    for (const int64_t n : {int64_t(1), int64_t(5), std::min<int64_t>(V, 17)}) {
      const Tensor allowed = bytes(V, [&](int64_t v) { return V == 1 || v % 7 != 3; });
      check_choice(
          join("best ", n, " of ", V), rare_logits(V), n,
          [&](const Kernels& k, const Tensor& t, const Tensor& p, const Tensor& z) { k.best_tokens(t, p, z, allowed); });
    }
}

TEST(CudaDecode, DrawnTokensAreTheCpus) {
  const CardNow now;
  std::set<int32_t> drawn;
  for (const int64_t V : kVocabularies)
    for (const SampleOptions& o : {SampleOptions{0, 0, 1, 3},
                                   {1, 0, 1, 4},
                                   {0.7f, 5, 1, 5},
                                   {1.5f, 0, 0.8f, 6},
                                   {1, 40, 0.95f, 7},
                                   {3, 1, 0.5f, 8},
                                   {1e-4f, 0, 0.9f, 9},
                                   {2, 3, 1e-6f, 10}}) {
      const Tensor allowed = bytes(V, [&](int64_t v) { return V == 1 || v % 7 != 3; });
      for (int32_t first = 0; first < (V < 1000 ? 24 : 8); first += 8) {
        const Tensor counter = ints({first, first + 1, first + 2, first + 3, first + 4, first + 5, first + 6, first + 7});
        check_choice(join("draw from ", V, ", temperature ", o.temperature, " top_k ", o.top_k, " top_p ", o.top_p),
                     rare_logits(V), 1, [&](const Kernels& k, const Tensor& t, const Tensor& p, const Tensor& z) {
                       k.draw_tokens(t, p, z, allowed, o, counter);
                       const Tensor host = t.to(Device::cpu);
                       drawn.insert(host.data<int32_t>(), host.data<int32_t>() + 8);
                     });
      }
    }
  EXPECT_GT(drawn.size(), 50u) << "draws of one token alone prove nothing";
}

// On a card logits may be bf16: what is chosen is what the CPU chooses of the same values.
TEST(CudaDecode, NarrowLogitsAreTheirValues) {
  const CardNow now;
  const int64_t V = 127;
  const Tensor z = rounded_copy(normals({5, V}, 3, 2)), allowed = bytes(V, [](int64_t) { return true; });
  const Tensor counter = ints({0, 1, 2, 3, 4});
  for (const bool draw : {false, true}) {
    const auto f = [&](const Tensor& logits) {
      return [&, logits](const Kernels& k, const Tensor& t, const Tensor& p) {
        if (draw) k.draw_tokens(t, p, logits, allowed, {1, 20, 0.9f, 1}, counter);
        else k.best_tokens(t, p, logits, allowed);
      };
    };
    const Chosen want = choose(Device::cpu, 5, 1, f(z)), got = choose(Device::cuda, 5, 1, f(send(z, true)));
    EXPECT_TRUE(std::memcmp(want.token.data<void>(), got.token.data<void>(), want.token.bytes()) == 0);
  }
}

TEST(CudaDecode, TextsMoveInTheirCaches) {
  const CardNow now;
  for (const int64_t C : {int64_t(1), int64_t(13), int64_t(64)})
    for (const int32_t count : {0, 1, 5}) {
      const Tensor cache = normals({4, 5, 7, C}, 1), from = ints({0, 0, 1, 4, 3}), n = ints({count});
      Tensor want = cache.clone();
      for (int64_t l = 0; l < 4; ++l)
        for (int64_t s = 0; s < 5; ++s)
          std::copy_n(cache.data() + ((l * 5 + from.data<int32_t>()[s]) * 7 + 2) * C, count * C,
                      want.data() + ((l * 5 + s) * 7 + 2) * C);
      for (const Device d : {Device::cpu, Device::cuda})
        for (const int order : kOrders) {
          set_thread_order(order);
          const Tensor got = cache.to(d).clone();
          kernels(d).cache_follow(got, from, n, 2);
          EXPECT_TRUE(same_bits(want, got.to(Device::cpu))) << "width " << C << ", " << count << " rows";
          if (d == Device::cpu || C % 2) continue;
          const Tensor narrow = send(cache, true);
          kernels(d).cache_follow(narrow, from, n, 2);
          EXPECT_TRUE(same_bits(rounded_copy(want), fetch(narrow))) << count << " rows of bf16";
        }
    }
}

struct Looked {  // a model that has seen three pictures
  const NoGrad off;
  Model m{tiny_config()};
  const Layout pictures = make_layout({{Segment::image(4, 4, 1)}, {Segment::image(4, 4, 2)}, {Segment::image(4, 4, 3)}});
  const Tensor allowed = bytes(m.config.vocab, [](int64_t v) { return v != 5 && v < 290; });
  Model::Times times;
  Var rows;
  explicit Looked(Device d) {
    shake(m, 7, 0.3f);
    flatten([&](const Visit& v) { m.params(v); }, d);
    times = m.times({1, 1, 1}), rows = m.vision_stem(normals({48, m.patch_values()}, 5), pictures, times);
  }
};

struct Texts {  // every beam after every step
  std::vector<std::vector<int>> tokens;
  std::vector<double> log_probs;
  int replayed = 0;
};

Texts search(Device d, int beam, const SampleOptions& sample) {
  const Looked at(d);
  TextSearch s(at.m, at.rows, at.pictures, at.times, {{beam, 7, 2, 0.7}, sample, 3, at.allowed});
  Texts out;
  while (!s.done()) {
    s.step(), out.replayed += s.replays();
    for (size_t i = 0; i < 3; ++i)
      for (const Beam& b : s.of(i).live().empty() ? std::vector{s.of(i).best()} : s.of(i).live())
        out.tokens.push_back(b.tokens), out.log_probs.push_back(b.log_prob);
  }
  return out;
}

// The same texts as the CPU's, which takes only the sequences that go on, and all but the first step from the recording.
TEST(CudaDecode, TextsAreTheCpus) {
  const CardNow now;
  const SampleOptions none, draws{1.5f, 30, 0.95f, 3};
  std::set<std::vector<int>> different;
  for (const auto& [beam, sample] : {std::pair{1, none}, {4, none}, {1, draws}}) {
    const Texts want = search(Device::cpu, beam, sample);
    EXPECT_EQ(want.replayed, 0);
    for (const int order : kOrders) {
      set_thread_order(order);
      const Texts got = search(Device::cuda, beam, sample);
      EXPECT_TRUE(want.tokens == got.tokens) << "beam " << beam;
      EXPECT_GT(got.replayed, 1);
      for (size_t i = 0; i < got.log_probs.size(); ++i) {
        EXPECT_LE(std::abs(want.log_probs[i] - got.log_probs[i]), 1e-5 * std::abs(want.log_probs[i]));
        different.insert(got.tokens[i]);
      }
    }
  }
  EXPECT_GT(different.size(), 3u);
}

// What was drawn goes on from where it lies: what the host says of it later is not read.
TEST(CudaDecode, DrawnTokensStayOnTheCard) {
  const CardNow now;
  const Looked at(Device::cuda);
  DecodePass told(at.m, at.rows, at.pictures, at.times, 1, 6, {at.allowed, 1, {1.5f, 0, 1, 3}}),
      untold(at.m, at.rows, at.pictures, at.times, 1, 6, {at.allowed, 1, {1.5f, 0, 1, 3}});
  std::vector<int32_t> ids{3, 4, 5}, other = ids;
  const std::vector<int32_t> from{0, 1, 2};
  for (int step = 0; step < 6; ++step) {
    const auto a = told(ids, from), b = untold(other, from);
    EXPECT_TRUE(a.tokens == b.tokens && a.log_probs == b.log_probs) << "step " << step;
    ids = a.tokens, other = {7, 7, 7};
  }
  EXPECT_TRUE(ids != other);
}

}  // namespace
}  // namespace duet
