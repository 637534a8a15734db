#include "kernels/device.h"

#include <cstdio>

namespace duet {

static Device current = Device::cpu;
Device device() { return current; }
void set_device(Device d) {
  kernels(d);
  current = d;
}

const Kernels& kernels(Device d) {
  if (d == Device::cpu) return cpu_kernels();
  std::string why;
  const Kernels* k = cuda_kernels(why);
  if (!k) refuse("--device cuda: ", why, "; --device cpu works everywhere");
  return *k;
}

void choose_device(const std::string& name) {
  if (name != "auto" && name != "cuda" && name != "cpu") refuse("device '", name, "' is none of auto, cuda, cpu");
  std::string why;
  if (name == "cuda" || (name == "auto" && cuda_kernels(why))) {
    set_device(Device::cuda);
    std::fprintf(stderr, "duet: on %s\n", kernels(Device::cuda).name().c_str());
  } else {
    set_device(Device::cpu);
  }
}

}  // namespace duet
