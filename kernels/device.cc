#include "kernels/device.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "kernels/gemm.h"
#include "kernels/random.h"

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
    if (name == "auto" && kBuiltWithCuda) std::fprintf(stderr, "duet: %s; on the CPU\n", why.c_str());
    set_device(Device::cpu);
  }
}

static bool always_same = [] {
  const char* e = std::getenv("DUET_DETERMINISTIC");
  return e && *e == '1';
}();
bool deterministic() { return always_same; }
void set_deterministic(bool d) { always_same = d; }

Tensor host_floats(const Tensor& t) {
  if (t.dtype() == DType::f32) return t.to(Device::cpu);
  const Tensor wide(t.shape(), DType::f32, t.device());
  kernels(t).convert(wide, t);
  return wide.to(Device::cpu);
}

double measure_peak(Device d) {
  if (d == Device::cpu) return measure_peak();
  using Clock = std::chrono::steady_clock;
  constexpr int64_t n = 8192, times = 8;
  const DType type = precision() == Precision::bf16 ? DType::bf16 : DType::f32;
  const Kernels& k = kernels(d);
  Tensor random({n, n});
  for (int64_t i = 0; i < n * n; ++i) random.data()[i] = float(int32_t(mix(uint64_t(i)) >> 40) - (1 << 23)) * 0x1p-23f;
  const Tensor a({n, n}, type, d), c({n, n}, type, d);  // random values: zeros would run faster than any model does
  k.convert(a, random.to(d));
  const int64_t before = gemm_flops();
  k.gemm(c, a, false, a, true, false), k.wait();
  const auto start = Clock::now();
  for (int i = 0; i < times; ++i) k.gemm(c, a, false, a, true, false);
  k.wait();
  const double s = std::chrono::duration<double>(Clock::now() - start).count();
  count_flops(before - gemm_flops());
  return 2.0 * double(n) * n * n * times / s;
}

}  // namespace duet
