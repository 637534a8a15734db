#include "kernels/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

#include "kernels/error.h"

namespace duet {
namespace {

struct Back {
  int n = threads();
  ~Back() { set_threads(n); }
};

TEST(Parallel, EveryIndexOnce) {
  const Back back;
  for (int n : {1, 2, 3, 5}) {
    set_threads(n);
    EXPECT_EQ(threads(), n);
    for (int64_t count : {0, 1, 2, 7, 1000})
      for (int round = 0; round < 20; ++round) {
        std::vector<std::atomic<int>> hits(size_t(count) + 1);
        parallel_for(count, [&](int64_t i) { ++hits[size_t(i)]; });
        for (int64_t i = 0; i < count; ++i) ASSERT_EQ(hits[size_t(i)], 1);
      }
  }
}

TEST(Parallel, ManyShortJobs) {
  const Back back;
  set_threads(3);
  std::atomic<int64_t> sum{0};
  for (int i = 0; i < 5000; ++i) parallel_for(3, [&](int64_t j) { sum += j; });
  EXPECT_EQ(sum, 15000);
}

TEST(Parallel, NestedCallsRunSerially) {
  const Back back;
  set_threads(3);
  std::vector<int> sums(8);
  parallel_for(8, [&](int64_t i) {
    const auto me = std::this_thread::get_id();
    parallel_for(100, [&](int64_t j) {
      if (std::this_thread::get_id() == me) sums[size_t(i)] += int(j);
    });
  });
  for (int s : sums) EXPECT_EQ(s, 4950);
}

TEST(Parallel, AnExceptionComesBackAndThePoolLivesOn) {
  const Back back;
  for (int n : {1, 3}) {
    set_threads(n);
    for (int round = 0; round < 50; ++round)
      EXPECT_THROW(parallel_for(100,
                                [](int64_t i) {
                                  if (i % 7 == 3) refuse("row ", i);
                                }),
                   Error);
    std::atomic<int> hits{0};
    parallel_for(10, [&](int64_t) { ++hits; });
    EXPECT_EQ(hits, 10);
  }
}

TEST(Parallel, CallersOnOtherThreadsTakeTurns) {
  const Back back;
  set_threads(3);
  std::atomic<int64_t> sum{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 3; ++t)
    callers.emplace_back([&] {
      for (int i = 0; i < 300; ++i) parallel_for(4, [&](int64_t j) { sum += j; });
    });
  for (auto& c : callers) c.join();
  EXPECT_EQ(sum, 3 * 300 * 6);
}

TEST(Parallel, RefusesNoThreads) { EXPECT_THROW(set_threads(0), Error); }

}  // namespace
}  // namespace duet
