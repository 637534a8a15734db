// The few words of GoogleTest that the card's tests use, for machines that have a card but not the library. Used only where
// CMake finds no GoogleTest.
#pragma once
#include <cstdio>
#include <functional>
#include <ostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace mini {

struct Test {
  const char *suite, *name;
  std::function<void()> body;
};
inline std::vector<Test>& tests() {
  static std::vector<Test> t;
  return t;
}
inline int failures = 0;
struct Add {
  Add(const char* s, const char* n, void (*f)()) { tests().push_back({s, n, f}); }
};

// Swallows what follows << and says it, with the place, when the check failed.
struct Verdict {
  bool ok;
  std::ostringstream text;
  Verdict(bool ok, const char* file, int line, const char* what) : ok(ok) {
    text << file << ":" << line << ": " << what << "  ";
  }
  template <class T>
  Verdict& operator<<(const T& x) {
    if (!ok) text << x;
    return *this;
  }
  ~Verdict() {
    if (ok) return;
    if (++failures <= 100) std::printf("%s\n", text.str().c_str());
  }
};
struct Return {
  void operator=(const Verdict&) const {}
};

}  // namespace mini

#define TEST(suite, name)                                                       \
  static void suite##_##name();                                                 \
  static const mini::Add suite##_##name##_added(#suite, #name, suite##_##name); \
  static void suite##_##name()
#define MINI_CHECK(ok, what) mini::Verdict((ok), __FILE__, __LINE__, what)
#define EXPECT_TRUE(a) MINI_CHECK(bool(a), #a)
#define EXPECT_FALSE(a) MINI_CHECK(!bool(a), "not " #a)
#define EXPECT_EQ(a, b) MINI_CHECK((a) == (b), #a " == " #b)
#define EXPECT_NE(a, b) MINI_CHECK(!((a) == (b)), #a " != " #b)
#define EXPECT_LE(a, b) MINI_CHECK((a) <= (b), #a " <= " #b) << (a) << " and " << (b) << "  "
#define EXPECT_GT(a, b) MINI_CHECK((a) > (b), #a " > " #b) << (a) << " and " << (b) << "  "
#define EXPECT_NEAR(a, b, by) \
  MINI_CHECK(std::abs(double(a) - double(b)) <= double(by), #a " near " #b) << (a) << " and " << (b) << " by " << (by) << "  "
#define ASSERT_EQ(a, b) \
  if (!((a) == (b))) return mini::Return() = EXPECT_EQ(a, b)
#define ASSERT_GT(a, b) \
  if (!((a) > (b))) return mini::Return() = EXPECT_GT(a, b)

#ifdef MINI_MAIN
int main(int argc, char** argv) {  // --gtest_filter=SUITE.* or nothing
  const std::string filter = argc > 1 ? argv[1] : "", start = "--gtest_filter=";
  const std::string suite =
      filter.compare(0, start.size(), start) == 0 ? filter.substr(start.size(), filter.find('.') - start.size()) : "";
  int bad = 0;
  for (const auto& t : mini::tests()) {
    if (!suite.empty() && suite != t.suite) continue;
    const int before = mini::failures;
    try {
      t.body();
    } catch (const std::exception& e) {
      ++mini::failures;
      std::printf("%s\n", e.what());
    }
    bad += mini::failures != before;
    std::printf("%-6s %s.%s\n", mini::failures == before ? "ok" : "FAILED", t.suite, t.name);
  }
  std::printf("%zu tests, %d failed\n", mini::tests().size(), bad);
  return bad != 0;
}
#endif
