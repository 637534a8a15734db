// What tests ask of the convolutions that stand in for cuDNN's on the host.
#pragma once
#include <set>
#include <vector>

#include "kernels/cudnn.h"

namespace shim {

struct Convolutions {
  std::vector<duet::cuda::ConvGraph> done;
  std::set<duet::cuda::ConvPass> refused;
};
extern Convolutions convolutions;

}  // namespace shim
