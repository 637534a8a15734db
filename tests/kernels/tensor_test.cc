#include "kernels/tensor.h"

#include <gtest/gtest.h>

namespace duet {
namespace {

TEST(Tensor, ShapesCountAndPrint) {
  const Shape s{2, 3, 5};
  EXPECT_EQ(s.count(), 30);
  EXPECT_EQ(s.last(), 5);
  EXPECT_EQ(s.rows(), 6);
  std::ostringstream o;
  o << s;
  EXPECT_EQ(o.str(), "(2,3,5)");
  EXPECT_EQ(Tensor({0, 4}).count(), 0);
  EXPECT_THROW(Tensor({-1}), Error);
}

TEST(Tensor, ViewsShareAndClonesDoNot) {
  const Tensor t = Tensor::of({2, 3}, {0, 1, 2, 3, 4, 5});
  const Tensor row = t.slice(3, {3}), flat = t.reshape({6}), copy = t.clone();
  row.data()[1] = 40;
  EXPECT_EQ(flat.data()[4], 40);
  EXPECT_EQ(copy.data()[4], 4);
  EXPECT_EQ(row.clone().data()[1], 40);
  EXPECT_THROW(t.reshape({5}), Error);
  EXPECT_THROW(t.slice(4, {3}), Error);
  EXPECT_THROW(t.slice(-1, {1}), Error);
  EXPECT_THROW(Tensor::of({2}, {1, 2, 3}), Error);
}

TEST(Tensor, TypesHaveTheirSizes) {
  EXPECT_EQ(Tensor::zeros({5}, DType::bf16).bytes(), 10u);
  EXPECT_EQ(Tensor::zeros({5}, DType::i32).bytes(), 20u);
  EXPECT_EQ(Tensor::zeros({5}, DType::u8).bytes(), 5u);
  const std::vector<int32_t> v{7, -8};
  EXPECT_EQ(Tensor::ints(v).data<int32_t>()[1], -8);
}

TEST(Tensor, BuffersAreAlignedAndComeBack) {
  for (int64_t n : {1, 100, 5000, 1 << 20}) {
    for (int i = 0; i < 2; ++i) EXPECT_EQ(reinterpret_cast<uintptr_t>(Tensor({n}).data()) % 64, 0u);
    const size_t before = memory_stats().calls;
    for (int i = 0; i < 10; ++i) Tensor t({n});
    EXPECT_EQ(memory_stats().calls, before) << n;
  }
}

// Else a loop that asks for the same again and again would grow for ever.
TEST(Tensor, ABlockServesTheRequestItWasMadeFor) {
  for (int64_t bytes = 1; bytes < (int64_t(20) << 20); bytes = bytes * 5 / 4 + 1)
    for (int64_t n : {bytes, int64_t(2) << 20, (int64_t(2) << 20) + 1, int64_t(4) << 20}) {
      { const Tensor once({n}, DType::u8); }
      const MemoryStats before = memory_stats();
      for (int i = 0; i < 3; ++i) const Tensor again({n}, DType::u8);
      ASSERT_EQ(memory_stats().calls, before.calls) << n << " bytes";
    }
}

TEST(Tensor, LiveTensorsDoNotShareABuffer) {
  std::vector<Tensor> live;
  for (int i = 0; i < 50; ++i) {
    live.emplace_back(Shape{33});
    for (auto& x : live.back().floats()) x = float(i);
  }
  for (int i = 0; i < 50; ++i)
    for (float x : live[size_t(i)].floats()) ASSERT_EQ(x, float(i));
}

}  // namespace
}  // namespace duet
