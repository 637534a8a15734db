#include "kernels/cudnn.h"

#include <cstdlib>

namespace duet::cuda {

static UseCudnn use = [] {
  const char* say = std::getenv("DUET_CUDNN");
  return !say || !*say ? UseCudnn::where_it_pays : *say == '1' ? UseCudnn::always : UseCudnn::never;
}();
UseCudnn use_cudnn() { return use; }
void set_use_cudnn(UseCudnn u) { use = u; }
bool worth_cudnn(double flops) { return use == UseCudnn::always || (use == UseCudnn::where_it_pays && flops >= 1e9); }

}  // namespace duet::cuda
