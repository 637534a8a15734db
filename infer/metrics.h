// Counts and times for /metrics, in Prometheus' text format (version 0.0.4). Holds no word of any request.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "infer/engine.h"

namespace duet {

class Metrics {
 public:
  void count(const std::string& route, int status, double seconds);  // route: of the table, never what a client sent
  std::string text(const EngineStats&) const;

 private:
  static constexpr std::array<double, 10> kBounds = {0.005, 0.02, 0.05, 0.2, 0.5, 1, 2, 5, 15, 60};  // seconds
  struct Times {
    std::array<int64_t, kBounds.size() + 1> in{};  // at most that bound and above the one before
    double sum = 0;
  };
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, int64_t> requests_;
  std::map<std::string, Times> times_;
};

}  // namespace duet
