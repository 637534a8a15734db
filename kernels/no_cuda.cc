// In place of device_cuda.cu in a build without the CUDA toolkit.
#include "kernels/device.h"

namespace duet {

const bool kBuiltWithCuda = false;

const Kernels* cuda_kernels(std::string& why) {
  why = "this duet was built without CUDA; build it with './dev build cuda' where the CUDA toolkit is";
  return nullptr;
}

}  // namespace duet
