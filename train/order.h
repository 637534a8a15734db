// Order without lists: which sample of which source comes at place g of an endless stream, in closed form.
#pragma once
#include <cstdint>
#include <vector>

namespace duet {

// Where place i of a shuffled deck of n cards came from: a bijection of [0, n) for every key. i < n.
uint64_t shuffled(uint64_t i, uint64_t n, uint64_t key);

// Sources taking turns by share, evenly spread: a cycle of kCycle places, each source having its quota of them.
class Turns {
 public:
  static constexpr int kCycle = 4096;
  struct Turn {
    int source;
    int64_t count;  // how many times this source came before
  };
  explicit Turns(const std::vector<double>& shares);  // >= 0, not all 0; a share above 0 gets at least one place
  Turn at(int64_t g) const;

 private:
  std::vector<int> source_, rank_;  // (kCycle)
  std::vector<int> quota_;          // (sources)
};

}  // namespace duet
