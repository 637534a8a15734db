#include "fusion/layout.h"

#include <gtest/gtest.h>

#include "fusion/patchify.h"
#include "kernels/random.h"

namespace duet {
namespace {

std::vector<int32_t> values(const Tensor& t) { return {t.data<int32_t>(), t.data<int32_t>() + t.count()}; }
using Ints = std::vector<int32_t>;

TEST(Layout, TheMaskingRule) {
  const Layout l = make_layout({{Segment::text(3), Segment::image(2, 2, 1)}, {Segment::image(1, 3, 2), Segment::text(2, 5)}});
  EXPECT_EQ(values(l.at), (Ints{0, 7, 12}));
  // text is causal; a picture sees the text before it and all of itself; the text after a picture sees the picture
  EXPECT_EQ(values(l.limit), (Ints{1, 2, 3, 7, 7, 7, 7, 3, 3, 3, 4, 5}));
  EXPECT_EQ(values(l.row), (Ints{0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 0, 0}));
  EXPECT_EQ(values(l.pos), (Ints{0, 0, 1, 1, 2, 2, 0, 0, 0, 1, 1, 0, 1, 1, 0, 0, 0, 1, 0, 2, 5, 5, 6, 6}));
  EXPECT_EQ(l.N(), 12);
  EXPECT_EQ(l.B(), 2);
}

TEST(Layout, ThreeSegmentsSeeAllEarlierOnes) {
  const Layout l = make_layout({{Segment::image(1, 2, 1), Segment::text(2), Segment::image(1, 2, 2)}});
  EXPECT_EQ(values(l.limit), (Ints{2, 2, 3, 4, 6, 6}));
}

TEST(Layout, APromptMaySeeAllOfItself) {
  const Layout l = make_layout({{Segment::prompt(3, true), Segment::image(1, 2, 1)}, {Segment::prompt(3, false)}});
  EXPECT_EQ(values(l.limit), (Ints{3, 3, 3, 5, 5, 1, 2, 3}));
  EXPECT_EQ(values(l.pos), (Ints{0, 0, 1, 1, 2, 2, 0, 0, 0, 1, 0, 0, 1, 1, 2, 2}));
}

TEST(Layout, TokensInACacheCountAsSeen) {
  const Layout l = make_layout({{Segment::image(1, 2, 1)}, {Segment::text(2)}}, {10, 0});
  EXPECT_EQ(values(l.limit), (Ints{12, 12, 1, 2}));
  EXPECT_EQ(values(l.at), (Ints{0, 2, 4}));
  EXPECT_THROW(make_layout({{Segment::text(1)}}, {1, 2}), Error);
}

TEST(Patchify, ThereAndBack) {
  const int64_t B = 2, H = 8, W = 12, p = 4;
  std::vector<float> pixels(size_t(B * H * W * 4)), again(pixels.size());
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = normal(1, i);
  const Tensor t = patchify(pixels.data(), B, H, W, p);
  EXPECT_EQ(t.shape(), Shape({B * 6, p * p * 4}));
  // picture 1, row of patches 1, column 2: its pixel (3, 1), channel 2
  EXPECT_EQ(t.data()[(6 + 3 + 2) * 64 + (3 * 4 + 1) * 4 + 2], pixels[size_t((1 * H * W + (4 + 3) * W + 8 + 1) * 4 + 2)]);
  unpatchify(again.data(), t.data(), B, H, W, p);
  EXPECT_EQ(pixels, again);
  EXPECT_THROW(patchify(pixels.data(), 1, 9, 12, p), Error);
}

}  // namespace
}  // namespace duet
