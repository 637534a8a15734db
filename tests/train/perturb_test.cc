#include "train/perturb.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace duet {
namespace {

std::multiset<int> shapes(const Scene& s) {
  std::multiset<int> all;
  for (const Thing& t : s.things) all.insert(int(t.shape));
  return all;
}
std::multiset<int> colors(const Scene& s) {
  std::multiset<int> all;
  for (const Thing& t : s.things) all.insert(int(t.color));
  return all;
}

TEST(Perturb, OtherThingsStandInTheSamePlaces) {
  Draws draws(3);
  int traded = 0, pairs = 0;
  for (uint64_t seed = 0; seed < 500; ++seed) {
    const Scene scene = random_scene(seed, SceneSplit::train);
    for (const bool placed : {false, true}) {
      const Scene other = other_things(scene, placed, draws);
      ASSERT_FALSE(other == scene) << seed;
      ASSERT_EQ(other.things.size(), scene.things.size());
      EXPECT_EQ(other.background, scene.background);
      for (size_t i = 0; i < scene.things.size(); ++i) {
        Thing same = other.things[i];
        same.shape = scene.things[i].shape, same.color = scene.things[i].color;
        EXPECT_EQ(same, scene.things[i]) << "place and size of thing " << i;
      }
      if (!placed || scene.things.size() < 2) continue;
      ++pairs;
      traded += shapes(other) == shapes(scene) && colors(other) == colors(scene);
    }
  }
  // Asked for in half of the cases; where the two are alike in what they trade it is drawn again.
  EXPECT_NEAR(double(traded) / pairs, 0.5, 0.1);
}

// Where words do not say what stands where, a trade would leave them as true as before and the picture another.
TEST(Perturb, NothingIsTradedWhereTheWordsLeaveItOpen) {
  Draws draws(4);
  Scene scene;
  scene.things = {{ShapeKind::circle, Color::red, Size::medium, 0.25f, 0.5f, 0.15f},
                  {ShapeKind::star, Color::red, Size::medium, 0.75f, 0.5f, 0.15f}};
  // By chance alone both shapes are drawn anew as each other's: 0.6^2 0.75 / 7^2, once in 180.
  int swapped = 0;
  for (int i = 0; i < 3000; ++i) {
    const Scene other = other_things(scene, false, draws);
    swapped += other.things[0].shape == ShapeKind::star && other.things[1].shape == ShapeKind::circle;
  }
  EXPECT_LE(swapped, 40);
  EXPECT_GT(swapped, 0);
}

TEST(Perturb, BendingIsASmoothShiftOfSomePercent) {
  constexpr int S = 64;
  // A picture whose values are its coordinates: what comes out says where it was taken from.
  std::vector<float> in(S * S * 4), out(in.size());
  for (int y = 0; y < S; ++y)
    for (int x = 0; x < S; ++x) in[size_t((y * S + x) * 4)] = float(y), in[size_t((y * S + x) * 4 + 1)] = float(x);
  double most = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Draws draws(seed), again(seed);
    bend(out.data(), in.data(), S, draws);
    std::vector<float> twice(in.size());
    bend(twice.data(), in.data(), S, again);
    ASSERT_EQ(out, twice);
    for (int y = 0; y < S; ++y)
      for (int x = 0; x < S; ++x)
        for (int axis = 0; axis < 2; ++axis) {
          const auto from = [&](int row, int col) { return double(out[size_t((row * S + col) * 4 + axis)]); };
          const double shift = std::abs(from(y, x) - (axis ? x : y));
          most = std::max(most, shift);
          ASSERT_LE(shift, 0.09 * S + 1e-4);
          const auto inside = [](double v) { return v > 0 && v < S - 1; };  // not held at the edge
          if (x + 1 < S && inside(from(y, x)) && inside(from(y, x + 1))) {
            // Knots are a third of the side apart and differ by at most twice the reach.
            const double slope = from(y, x + 1) - from(y, x) - (axis ? 1 : 0);
            ASSERT_LE(std::abs(slope), 2 * 0.09 * S / (S / 3.0) + 1e-4);
          }
        }
  }
  EXPECT_GT(most, 0.04 * S);
}

TEST(Perturb, NothingIsMadeUpBeyondWhatIsThere) {
  constexpr int S = 16;
  std::vector<float> in(S * S * 4, -1.0f), out(in.size());
  Draws draws(9);
  bend(out.data(), in.data(), S, draws);
  EXPECT_EQ(out, in) << "an empty picture stays empty";
}

}  // namespace
}  // namespace duet
