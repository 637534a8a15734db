#include "kernels/arena.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "kernels/error.h"

namespace duet {
namespace {

constexpr size_t kUnit = 64, kSegment = 1 << 16;

// The system's memory, with a limit, and what of it is out.
struct Given {
  size_t out = 0, limit = ~size_t(0);
  std::map<void*, size_t> segments;
  ~Given() {
    for (auto [p, n] : segments) std::free(p);
  }
  Arena::System system() {
    return {[this](size_t n) -> void* {
              if (out + n > limit) return nullptr;
              void* p = std::aligned_alloc(kUnit, n);
              segments[p] = n, out += n;
              return p;
            },
            [this](void* p, size_t n) {
              EXPECT_EQ(segments.at(p), n);
              segments.erase(p), out -= n;
              std::free(p);
            }};
  }
};

// Blocks of many sizes in any order: each is aligned, whole and nobody else's, whatever was split and grew together.
TEST(Arena, BlocksAreApartAndStayAsWritten) {
  Given given;
  Arena arena(given.system(), kUnit, kSegment);
  struct Out {
    unsigned char* p;
    size_t n;
    unsigned char mark;
  };
  std::vector<Out> out;
  std::mt19937 random(1);
  size_t used = 0;
  const auto check = [](const Out& o) {
    for (size_t i = 0; i < o.n; ++i) ASSERT_EQ(o.p[i], o.mark);
  };
  for (int i = 0; i < 20000; ++i) {
    if (out.size() < 60 && random() % 2) {
      const size_t n = 1 + random() % (random() % 8 ? 3000 : 90000);
      out.push_back({static_cast<unsigned char*>(arena.take(n)), n, static_cast<unsigned char>(i)});
      ASSERT_EQ(reinterpret_cast<uintptr_t>(out.back().p) % kUnit, 0u);
      std::memset(out.back().p, out.back().mark, n);
      used += (n + kUnit - 1) / kUnit * kUnit;
    } else if (!out.empty()) {
      std::swap(out[random() % out.size()], out.back());
      check(out.back());
      arena.give(out.back().p);
      used -= (out.back().n + kUnit - 1) / kUnit * kUnit;
      out.pop_back();
    }
    ASSERT_EQ(arena.in_use(), used);
  }
  for (const Out& o : out) check(o), arena.give(o.p);
  EXPECT_EQ(arena.in_use(), 0u);
  EXPECT_EQ(arena.taken(), given.out);
  arena.release();
  EXPECT_EQ(given.out, 0u);
  EXPECT_EQ(arena.taken(), 0u);
}

// Free neighbours are one block again: all of a segment can be had at once after it was had in pieces, in whatever
// order these came back.
TEST(Arena, NeighboursGrowTogether) {
  for (int order = 0; order < 6; ++order) {
    Given given;
    Arena arena(given.system(), kUnit, kSegment);
    void* p[3];
    for (void*& q : p) q = arena.take(kSegment / 4);
    constexpr int kOrders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int i : kOrders[order]) arena.give(p[i]);
    EXPECT_EQ(arena.take(kSegment), p[0]) << order;
    EXPECT_EQ(arena.calls(), 1u) << order;
  }
}

// Segments that happen to lie side by side stay two, so that each can go back as it came.
TEST(Arena, SegmentsDoNotGrowTogether) {
  alignas(kUnit) static char memory[2 * kSegment];
  int next = 0, back = 0;
  Arena arena({[&](size_t n) -> void* { return n == kSegment && next < 2 ? memory + kSegment * size_t(next++) : nullptr; },
               [&](void*, size_t n) { back += n == kSegment; }},
              kUnit, kSegment);
  void *a = arena.take(kSegment), *b = arena.take(kSegment);
  arena.give(a), arena.give(b);
  EXPECT_EQ(arena.take(kSegment + 1), nullptr);
  arena.release();
  EXPECT_EQ(back, 2);
}

// What a server does: batches of other sizes all the time. Sums of a few large blocks, given back in any order.
TEST(Arena, TakesLittleMoreThanWasEverInUse) {
  Given given;
  Arena arena(given.system(), kUnit, 8 << 20);
  std::mt19937 random(3);
  size_t most = 0;
  for (int pass = 0; pass < 3000; ++pass) {
    const size_t rows = 64 + random() % 2000;
    std::vector<void*> live;
    for (int layer = 0; layer < 5; ++layer)
      for (size_t width : {192, 576, 1024, 192, 64}) {
        live.push_back(arena.take(rows * width * 4));
        most = std::max(most, arena.in_use());
        if (live.size() > 6) {
          std::swap(live[random() % live.size()], live.back());
          arena.give(live.back()), live.pop_back();
        }
      }
    for (void* p : live) arena.give(p);
  }
  EXPECT_LE(arena.taken(), 2 * most);  // 1.7 times here; a cache by size needs the sum of what each size needed
}

TEST(Arena, ASystemWithoutMoreIsAskedForWhatIsNeeded) {
  Given given;
  Arena arena(given.system(), kUnit, kSegment);
  void* first = arena.take(kSegment);
  given.limit = given.out + 1000;
  void* second = arena.take(900);  // no whole segment, but so much
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(arena.take(900), nullptr);
  EXPECT_EQ(arena.in_use(), kSegment + 960);  // a refusal changes nothing
  arena.give(first);
  EXPECT_EQ(arena.take(900), first);
}

TEST(Arena, BlocksCanBeSegmentsOfTheirOwn) {
  Given given;
  Arena arena(given.system(), kUnit, 0);
  void *large = arena.take(6400), *small = arena.take(64);
  EXPECT_EQ(given.segments, (std::map<void*, size_t>{{large, 6400}, {small, 64}}));
  arena.give(large);
  EXPECT_NE(arena.take(3200), large);
  EXPECT_EQ(arena.take(6400), large);
  EXPECT_EQ(arena.calls(), 3u);
}

TEST(Arena, RefusesWhatIsNotOut) {
  Given given;
  Arena arena(given.system(), kUnit, kSegment);
  char* p = static_cast<char*>(arena.take(100));
  EXPECT_THROW(arena.give(p + 64), std::exception);
  arena.give(p);
  EXPECT_THROW(arena.give(p), std::exception);
}

}  // namespace
}  // namespace duet
