// The shim finds what it says it finds: each kernel here has one planted mistake.
#include "kernels/cuda.h"
#include "tests/cuda/both.h"

namespace duet {
namespace {

template <int>
__global__ void no_barrier(float* y) {
  DUET_DYNAMIC_SHARED(float, s);
  s[threadIdx.x] = float(threadIdx.x);
  y[threadIdx.x] = s[(threadIdx.x + 1) % 64];
}
template <int>
__global__ void half_a_barrier(float* y) {
  if (threadIdx.x < 40) __syncthreads();
  y[threadIdx.x] = 1;
}
template <int>
__global__ void unwritten(float* y) {
  DUET_DYNAMIC_SHARED(float, s);
  y[threadIdx.x] = s[threadIdx.x];
}
template <int>
__global__ void one_too_many(float* y) {
  y[threadIdx.x + 1] = 1;
}

Tensor ran(void (*kernel)(float*), int order, size_t shared = 0) {
  const Tensor y = Tensor::zeros({64}, DType::f32, Device::cuda);
  shim::set_order(order);
  DUET_LAUNCH(kernel, dim3(1), dim3(64), shared, y.data());
  shim::set_order(0);
  return y.to(Device::cpu);
}

TEST(Shim, ShowsAMissingBarrier) { EXPECT_FALSE(same_bits(ran(no_barrier<0>, 0, 256), ran(no_barrier<0>, 1, 256))); }

TEST(Shim, NamesADivergentBarrier) {
  try {
    ran(half_a_barrier<0>, 0);
    FAIL() << "a barrier that half a block reaches went through";
  } catch (const std::runtime_error& e) {
    EXPECT_NE(std::string(e.what()).find("divergent barrier in block (0,0,0): 40 threads"), std::string::npos) << e.what();
  }
}

TEST(Shim, UnwrittenSharedMemoryIsNaN) { EXPECT_TRUE(std::isnan(ran(unwritten<0>, 0, 256).data()[3])); }

TEST(Shim, RefusesHostPointers) {
  float y[64];
  EXPECT_THROW(DUET_LAUNCH((unwritten<0>), dim3(1), dim3(64), 256, y), std::runtime_error);
}

TEST(ShimDeath, FaultsBeyondABlockAndOnTheHostsTouch) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(ran(one_too_many<0>, 0), "");
  const Tensor y = Tensor::zeros({64}, DType::f32, Device::cuda);
  EXPECT_DEATH(y.data()[0] = 1, "");
}

}  // namespace
}  // namespace duet
