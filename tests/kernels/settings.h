// The settings of the process that tests change: threads and the precision of products.
#pragma once
#include <vector>

#include "kernels/gemm.h"
#include "kernels/parallel.h"

namespace duet {

struct SettingsBack {  // the settings of the process as they were
  int n = threads();
  Precision p = precision();
  ~SettingsBack() { set_threads(n), set_precision(p); }
};

inline std::vector<Precision> precisions() {  // those of this CPU
  std::vector<Precision> all{Precision::f32};
  if (bf16_unit() != Bf16Unit::none) all.push_back(Precision::bf16);
  if (has_fp16()) all.push_back(Precision::fp16);
  return all;
}
// Those that a loop of this file tells the rounding of. fp16 rounds its sums too, in an order of its own: gemm_test.cc.
inline std::vector<Precision> plain_precisions() {
  std::vector<Precision> all = precisions();
  std::erase(all, Precision::fp16);
  return all;
}

}  // namespace duet
