// The refiner's places: neighbours within a picture, none across pictures. Its values and gradients are held against
// PyTorch's convolutions by golden_test.cc.
#include "fusion/refine.h"

#include "kernels/error.h"
#include "tests/fusion/tiny.h"

namespace duet {
namespace {

constexpr int64_t kWidth = 8, kPatch = 4, kValues = kPatch * kPatch * 4;

struct Given {  // pictures of 2 x 3, 2 x 3 and 1 x 1 patches
  Layout at = make_layout({{Segment::image(2, 3, 1)}, {Segment::image(2, 3, 2)}, {Segment::image(1, 1, 3)}});
  Tensor guess{{13, kValues}}, noisy{{13, kValues}}, features{{3, kWidth}};
  Given() {
    for (int64_t i = 0; i < guess.count(); ++i)
      guess.data()[i] = normal(1, uint64_t(i)), noisy.data()[i] = normal(2, uint64_t(i));
    for (int64_t i = 0; i < features.count(); ++i) features.data()[i] = normal(3, uint64_t(i));
  }
  Tensor operator()(const Refiner& r) const {
    const NoGrad off;
    return r(Var(guess), noisy, at.pos, at.row, r.time(Var(features))).value();
  }
};

Refiner refiner(bool at_work = true) {
  Init init{5};
  Refiner r(kWidth, 8, kPatch, init);
  uint64_t k = 0;
  if (at_work)
    r.params([&](const std::string&, Var& v) {
      for (float& x : v.value().floats()) x += 0.1f * normal(9, k++);
    });
  return r;
}

// Pixel (y, x) of the picture whose patches start at `first`, `cols` of them across
float& pixel(const Tensor& t, int64_t first, int64_t cols, int64_t y, int64_t x) {
  return t.data()[((first + y / kPatch * cols + x / kPatch) * kPatch + y % kPatch) * kPatch * 4 + x % kPatch * 4];
}

TEST(Refiner, ANewOneChangesNothing) {
  const Given g;
  const Tensor out = g(refiner(false));
  EXPECT_TRUE(equal_bits(out.data(), g.guess.data(), out.count()));
}

// Two 3x3 convolutions over cells of 2x2 pixels: a pixel reaches the two cells around its own, also in the next patch.
TEST(Refiner, AChangeReachesTwoCellsAndNoOtherPicture) {
  const SettingsBack back;
  for (const Precision p : precisions()) {
    set_precision(p);
    const Refiner r = refiner();
    Given g;
    const Tensor before = g(r);
    for (const Tensor& input : {g.guess, g.noisy}) {
      pixel(input, 0, 3, 3, 4) += 1;  // of the first picture: cell (1, 2)
      const Tensor after = g(r);
      pixel(input, 0, 3, 3, 4) -= 1;
      int reached = 0;
      for (int64_t y = 0; y < 8; ++y)
        for (int64_t x = 0; x < 12; ++x) {
          const bool changed = pixel(after, 0, 3, y, x) != pixel(before, 0, 3, y, x);
          const bool near = std::abs(y / 2 - 1) <= 2 && std::abs(x / 2 - 2) <= 2;
          EXPECT_TRUE(near || !changed) << y << "," << x;
          reached += changed;
        }
      EXPECT_GT(reached, 70) << "of 80 pixels within two cells";
      EXPECT_TRUE(equal_bits(after.data() + 6 * kValues, before.data() + 6 * kValues, 7 * kValues)) << "the other pictures";
    }
  }
}

TEST(Refiner, APictureIsTheSameBitsAloneAndAmongOthers) {
  const SettingsBack back;
  for (const Precision p : precisions()) {
    set_precision(p);
    const Refiner r = refiner();
    const Given g;
    const Tensor all = g(r);
    const NoGrad off;
    const Layout one = make_layout({{Segment::image(2, 3, 1)}});
    const Tensor alone = r(Var(g.guess.slice(6 * kValues, {6, kValues})), g.noisy.slice(6 * kValues, {6, kValues}), one.pos,
                           one.row, r.time(Var(g.features.slice(kWidth, {1, kWidth}))))
                             .value();
    EXPECT_TRUE(equal_bits(alone.data(), all.data() + 6 * kValues, alone.count()));
  }
}

TEST(Refiner, RefusesWhatIsNoPicture) {
  Init init{5};
  EXPECT_THROW(Refiner(kWidth, 8, 3, init), Error) << "a patch that cells do not divide";
  Given g;
  g.at.pos.data<int32_t>()[2 * 5] = 7;  // a patch outside of its picture
  EXPECT_THROW(g(refiner()), Error);
}

}  // namespace
}  // namespace duet
