#include "text/nearest.h"

#include <gtest/gtest.h>

namespace duet {
namespace {

TEST(Nearest, CountsInsertionsLossesAndChanges) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("flaw", "lawn"), 2u);
  EXPECT_EQ(edit_distance("biuld", "build"), 1u);
  EXPECT_EQ(edit_distance("ca", "abc"), 3u);  // nothing is put between what was exchanged
}

TEST(Nearest, NamesWhatMayHaveBeenMeant) {
  const std::vector<std::string> known{"--style", "--steps", "--seed", "--size"};
  EXPECT_EQ(nearest_word(known, "--stlye"), "--style");
  EXPECT_EQ(nearest_word(known, "--qqqqqqqqqqqq"), "--style");  // of equals the first
  EXPECT_EQ(likely_meant(known, "--sed"), "--seed");
  EXPECT_EQ(likely_meant(known, "--qqqqqqqqqqqq"), "");
  EXPECT_EQ(likely_meant({}, "--seed"), "");
  EXPECT_EQ(likely_meant(known, std::string(1 << 20, 'x')), "");
}

}  // namespace
}  // namespace duet
