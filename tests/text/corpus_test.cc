#include "text/corpus.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "kernels/error.h"

namespace duet {
namespace {

std::vector<std::string> lines(const std::string& bytes) {
  std::string path = testing::TempDir() + "duet_corpus_test.txt";
  std::ofstream(path, std::ios::binary) << bytes;
  std::vector<std::string> out;
  for_each_line(path, [&](std::string_view line) { out.emplace_back(line); });
  std::filesystem::remove(path);
  return out;
}

using V = std::vector<std::string>;

TEST(Corpus, Lines) {
  EXPECT_EQ(lines(""), V{});
  EXPECT_EQ(lines("\n"), V{""});
  EXPECT_EQ(lines("a\r\n\nb\xFF"), (V{"a", "", "b\xFF"}));
  EXPECT_EQ(lines("\xEF\xBB\xBFx\n\xEF\xBB\xBFy\n"), (V{"x", "\xEF\xBB\xBFy"}));
  EXPECT_EQ(lines(std::string(1 << 20, 'x') + "\n" + std::string(300000, 'y')),
            (V{std::string(1 << 20, 'x'), std::string(300000, 'y')}));
}

TEST(Corpus, Refuses) {
  EXPECT_THROW(for_each_line(testing::TempDir() + "no_such_file.txt", [](std::string_view) {}), Error);
  EXPECT_THROW(for_each_line(testing::TempDir(), [](std::string_view) {}), Error);  // a folder
  EXPECT_THROW(lines(std::string((16 << 20) + 1, 'x')), Error);
}

}  // namespace
}  // namespace duet
