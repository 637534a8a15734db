#include "train/division.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "kernels/error.h"

namespace duet {
namespace {

using Counts = std::map<std::string, int>;  // of units in a split

Counts counts(const Division& d, const std::string& category, int n) {
  Counts out;
  for (int i = 0; i < n; ++i) ++out[d.split_of(join(category, "-", i))];
  return out;
}

Division divided(double val, double heldout, const std::map<std::string, int>& categories) {
  Division d(val, heldout);
  for (const auto& [category, n] : categories)
    for (int i = 0; i < n; ++i)
      for (int picture = 0; picture < 3; ++picture) d.add(category, join(category, "-", i));
  d.settle();
  return d;
}

TEST(Division, EachCategoryHasItsShares) {
  const Division d = divided(0.2, 0.2, {{"one", 1}, {"two", 2}, {"three", 3}, {"ten", 10}, {"forty", 40}});
  EXPECT_EQ(counts(d, "one", 1), (Counts{{"train", 1}}));
  EXPECT_EQ(counts(d, "two", 2), (Counts{{"train", 1}, {"val", 1}}));
  EXPECT_EQ(counts(d, "three", 3), (Counts{{"train", 1}, {"val", 1}, {"heldout", 1}}));
  EXPECT_EQ(counts(d, "ten", 10), (Counts{{"train", 6}, {"val", 2}, {"heldout", 2}}));
  EXPECT_EQ(counts(d, "forty", 40), (Counts{{"train", 24}, {"val", 8}, {"heldout", 8}}));
  EXPECT_EQ(counts(divided(0.05, 0, {{"a", 4}}), "a", 4), (Counts{{"train", 3}, {"val", 1}})) << "one at least";
  EXPECT_EQ(counts(divided(0.9, 0, {{"a", 4}}), "a", 4), (Counts{{"train", 1}, {"val", 3}})) << "one is left to train on";
}

TEST(Division, NothingIsTrainedOnWhereNoneIsLeft) {
  EXPECT_EQ(counts(divided(1, 0, {{"a", 1}, {"b", 5}}), "b", 5), (Counts{{"val", 5}}));
  EXPECT_EQ(counts(divided(1, 0, {{"a", 1}}), "a", 1), (Counts{{"val", 1}}));
  EXPECT_EQ(counts(divided(0.8, 0.2, {{"b", 5}}), "b", 5), (Counts{{"val", 4}, {"heldout", 1}}));
}

// A patient with two findings is on one side, and counts for both.
TEST(Division, AUnitOfTwoCategoriesIsOnOneSide) {
  Division d(0.2, 0);
  for (int i = 0; i < 20; ++i) d.add("common", join("p", i));
  for (int i = 0; i < 5; ++i) d.add("rare", join("p", i));
  d.settle();
  int rare = 0, all = 0;
  for (int i = 0; i < 20; ++i)
    if (d.split_of(join("p", i)) == "val") rare += i < 5, ++all;
  EXPECT_EQ(rare, 1);
  EXPECT_EQ(all, 4) << "the rare one among them";
}

TEST(Division, WithoutItTheNameAloneDecides) {
  const Division some(0.2, 0.1), more(0.4, 0.1);
  Counts n;
  for (int i = 0; i < 2000; ++i) {
    const std::string unit = join("patient", i), split = some.split_of(unit);
    ++n[split];
    if (split != "train") EXPECT_EQ(more.split_of(unit), split) << "of a larger share the smaller is a part";
  }
  EXPECT_NEAR(n["val"], 400, 75) << "four deviations of chance";
  EXPECT_NEAR(n["heldout"], 200, 55);
  // Stratified too it is those whose names fall lowest: where chance takes k units, the two differ in |k - share| and no more.
  const Division d = divided(0.2, 0, {{"a", 200}}), by_chance(0.2, 0);
  int k = 0, differ = 0;
  for (int i = 0; i < 200; ++i) {
    const std::string one = by_chance.split_of(join("a-", i));
    k += one == "val", differ += one != d.split_of(join("a-", i));
  }
  EXPECT_EQ(differ, std::abs(k - 40));
}

}  // namespace
}  // namespace duet
