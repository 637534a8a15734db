#include "kernels/tape.h"

#include "tests/kernels/gradcheck.h"

namespace duet {
namespace {

TEST(Tape, AValueUsedTwiceSumsItsGradients) {
  const Var x(Tensor::of({2}, {3, 4}), true);
  const Var y = add(add(x, x), x);
  dot_with(y, Tensor::of({2}, {1, 10})).backward();
  EXPECT_EQ(x.grad().data()[0], 3);
  EXPECT_EQ(x.grad().data()[1], 30);
}

// The gradient of an inner value may be handed on without a copy; what another branch adds must not leak into it.
TEST(Tape, BranchesDoNotShareAGradientByMistake) {
  const Var a(Tensor::of({1}, {1}), true), b(Tensor::of({1}, {1}), true);
  const Var s = add(a, b), t = add(s, a);                // t = 2a + b
  dot_with(add(t, s), Tensor::of({1}, {1})).backward();  // 3a + 2b
  EXPECT_EQ(a.grad().data()[0], 3);
  EXPECT_EQ(b.grad().data()[0], 2);
}

TEST(Tape, GradientsOfTwoPassesAdd) {
  const Var x(Tensor::of({1}, {2}), true);
  for (int i = 0; i < 3; ++i) dot_with(add(x, x), Tensor::of({1}, {1})).backward();
  EXPECT_EQ(x.grad().data()[0], 6);
}

TEST(Tape, NothingIsRecordedWithoutNeed) {
  const Var x(Tensor::of({1}, {2}), true), plain(Tensor::of({1}, {2}));
  EXPECT_TRUE(add(x, plain).wants_grad());
  EXPECT_FALSE(add(plain, plain).wants_grad());
  {
    const NoGrad off;
    EXPECT_FALSE(add(x, x).wants_grad());
    { const NoGrad again; }
    EXPECT_FALSE(add(x, x).wants_grad());
  }
  EXPECT_TRUE(add(x, x).wants_grad());
}

TEST(Tape, BackwardStartsFromAScalar) {
  const Var x(Tensor::of({2}, {2, 3}), true);
  EXPECT_THROW(add(x, x).backward(), Error);
}

// A chain this long would overflow the stack if nodes freed one another or were walked by calls.
TEST(Tape, LongChains) {
  const Var x(Tensor::of({1}, {1}), true), one(Tensor::of({1}, {1}));
  Var y = x;
  for (int i = 0; i < 20000; ++i) y = add(y, one);
  dot_with(y, Tensor::of({1}, {1})).backward();
  EXPECT_EQ(y.data()[0], 20001);
  EXPECT_EQ(x.grad().data()[0], 1);
}

}  // namespace
}  // namespace duet
