// The block a few sequences at a time against the same ops one by one, each of which has its own test.
#include "tests/kernels/gradcheck.h"

namespace duet {
namespace {

struct Case {
  int64_t C, H, F;
  std::vector<std::vector<int32_t>> sequences;  // lengths of a sequence's text (even places) and picture (odd places)
};

struct Packed {
  Layout layout;
  int64_t rows = 1;  // of the modulation
};

// Text causal with row 0, each picture whole with a row of its own; `order` puts the sequences in another order.
Packed pack(const Case& c, const std::vector<size_t>& order) {
  std::vector<int32_t> at{0}, limit, row, pos;
  Packed p;
  for (size_t s : order) {
    int32_t before = 0, picture = int32_t(s) * 4;
    for (size_t i = 0; i < c.sequences[s].size(); ++i) {
      const int32_t n = c.sequences[s][i];
      for (int32_t j = 0; j < n; ++j) {
        limit.push_back(i % 2 ? before + n : before + j + 1);
        row.push_back(i % 2 ? picture + 1 : 0);
        pos.push_back(i % 2 ? j / 8 : j), pos.push_back(i % 2 ? j % 8 : j);
      }
      before += n, picture += int32_t(i % 2);
    }
    at.push_back(at.back() + before);
  }
  p.layout = {ints(at), ints(limit), ints(row), ints(pos)};
  p.rows = 4 * int64_t(c.sequences.size()) + 1;
  return p;
}

Tensor in_order(const Case& c, const Tensor& x, const std::vector<size_t>& order) {  // rows of x, sequence by sequence
  const int64_t C = x.dim(1);
  std::vector<int64_t> first{0};
  for (auto& s : c.sequences) {
    int64_t n = first.back();
    for (int32_t i : s) n += i;
    first.push_back(n);
  }
  Tensor y(x.shape());
  float* to = y.data();
  for (size_t s : order) to = std::copy(x.data() + first[s] * C, x.data() + first[s + 1] * C, to);
  return y;
}

Var one_by_one(const std::vector<Var>& v, const Layout& l, int64_t H, float theta) {
  const int64_t C = v[0].dim(1);
  const Var &x = v[0], &mod = v[1];
  const Var a = attention(qk_rope(linear(norm_mod(x, mod, l.row, 0, C), v[2]), v[6], v[7], l.pos, H, theta), l, H);
  const Var x1 = gate_add(x, linear(a, v[3]), mod, l.row, 2 * C);
  return gate_add(x1, linear(swiglu(linear(norm_mod(x1, mod, l.row, 3 * C, 4 * C), v[4])), v[5]), mod, l.row, 5 * C);
}
Var at_once(const std::vector<Var>& v, const Layout& l, int64_t H, float theta) {
  return block(v[0], v[1], l, {v[2], v[3], v[4], v[5], v[6], v[7]}, H, theta);
}

const char* const kInputs[] = {"x", "mod", "qkv", "proj", "up", "down", "gain_q", "gain_k"};

// Value and dx: the same bits. Gradients of what tokens share are sums in another order; how much an order matters is seen
// from the ops themselves, given the sequences backwards.
TEST(Block, SameAsItsStepsOneByOne) {
  const SettingsBack back;
  const float theta = 100;
  for (const Case& c : {Case{32, 2, 64, {{5}}},
                        {24, 2, 20, {{0, 33}, {7, 90, 3}, {1}, {40}, {0, 64}, {3, 16, 2, 9}, {70, 70}}},
                        {64, 1, 96, {{12, 64}, {9, 64}, {0, 64, 11}, {200}, {1, 64}, {0, 64, 20}}}})
    for (const Precision p : precisions()) {
      set_precision(p);
      std::vector<size_t> order, backwards;
      for (size_t i = 0; i < c.sequences.size(); ++i) order.push_back(i), backwards.insert(backwards.begin(), i);
      const Packed packed = pack(c, order), turned = pack(c, backwards);
      const int64_t N = packed.layout.N(), C = c.C, D = C / c.H;
      const std::vector<Tensor> in{normals({N, C}, 1),
                                   normals({packed.rows, 6 * C}, 2, 0.3f, 0.5f),
                                   normals({3 * C, C}, 3, 0.2f),
                                   normals({C, C}, 4, 0.2f),
                                   normals({2 * c.F, C}, 5, 0.2f),
                                   normals({C, c.F}, 6, 0.2f),
                                   normals({D}, 7, 0.2f, 1),
                                   normals({D}, 8, 0.2f, 1)};
      const Tensor r = normals({N, C}, 99);
      auto in_turned = in;
      in_turned[0] = in_order(c, in[0], backwards);
      const std::vector<bool> all(in.size(), true);
      const auto fused = [&](auto& v) { return at_once(v, packed.layout, c.H, theta); };
      const auto steps = [&](auto& v) { return one_by_one(v, packed.layout, c.H, theta); };
      const auto steps_turned = [&](auto& v) { return one_by_one(v, turned.layout, c.H, theta); };
      const std::string name = join("block ", N, "x", C, p == Precision::bf16 ? " bf16" : "");

      set_threads(1);
      const Made made = run_op(in, all, r, fused), want = run_op(in, all, r, steps);
      const Made other = run_op(in_turned, all, in_order(c, r, backwards), steps_turned);
      EXPECT_TRUE(same_bits(made.y, want.y)) << name;
      EXPECT_TRUE(same_bits(made.grads[0], want.grads[0])) << name << ": dx";
      std::vector<double> tolerance(in.size());
      for (size_t i = 0; i < in.size(); ++i) {
        double most = 0, order_error = 0, error = 0;
        for (int64_t j = 0; j < in[i].count(); ++j) {
          most = std::max<double>(most, std::abs(want.grads[i].data()[j]));
          if (i > 0) order_error = std::max<double>(order_error, std::abs(want.grads[i].data()[j] - other.grads[i].data()[j]));
          error = std::max<double>(error, std::abs(want.grads[i].data()[j] - made.grads[i].data()[j]));
        }
        EXPECT_GT(most, 0) << name << ": " << kInputs[i];
        tolerance[i] = 2 * order_error + 4 * 0x1p-24 * most;
        EXPECT_LE(error, tolerance[i]) << name << ": gradient of " << kInputs[i] << ", largest " << most;
      }
      {
        const NoGrad off;
        std::vector<Var> v;
        for (const Tensor& t : in) v.emplace_back(t, true);
        EXPECT_TRUE(same_bits(fused(v).value(), want.y)) << name << " without gradients";
      }
      for (int n : {2, 3}) {
        set_threads(n);
        const Made again = run_op(in, all, r, fused);
        EXPECT_TRUE(same_bits(again.y, made.y)) << name;
        for (size_t i = 0; i < in.size(); ++i)
          EXPECT_TRUE(same_bits(again.grads[i], made.grads[i])) << name << ": " << kInputs[i];
      }
      // gradients are added to what is there
      const Made twice = run_op(in, all, r, fused, true);
      for (size_t i = 0; i < in.size(); ++i)
        for (int64_t j = 0; j < in[i].count(); ++j)
          ASSERT_NEAR(twice.grads[i].data()[j], 2.0 * made.grads[i].data()[j], 2 * tolerance[i]) << name << ": " << kInputs[i];
      for (size_t only = 0; only < in.size(); ++only) {
        std::vector<bool> wanted(in.size(), false);
        wanted[only] = true;
        const Made one = run_op(in, wanted, r, fused);
        for (size_t i = 0; i < in.size(); ++i)
          if (i == only) EXPECT_TRUE(same_bits(one.grads[i], made.grads[i])) << name << ": only " << kInputs[i];
          else EXPECT_FALSE(one.grads[i]) << name << ": " << kInputs[i];
      }
    }
}

}  // namespace
}  // namespace duet
