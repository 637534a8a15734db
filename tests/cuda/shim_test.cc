// The shim finds what it says it finds: each kernel here has one planted mistake. And its tensor cores multiply as PTX says.
#include "kernels/mma.cuh"
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

// Sides and result lie over the lanes as the PTX manual numbers the elements of mma.m16n8k16; b once word by word, once from
// rows in shared memory.
template <int>
__global__ void one_product(float* d, const cuda::bf16* a, const cuda::bf16* b) {
  using namespace cuda;
  DUET_DYNAMIC_SHARED(bf16, rows);
  const int lane = threadIdx.x, g = lane / 4, t = lane % 4;
  for (int i = lane; i < 16 * 8; i += 32) rows[i] = b[i], rows[128 + i] = b[i];
  __syncthreads();
  const auto two = [](bf16 low, bf16 high) { return two_bf16(__bfloat162float(low), __bfloat162float(high)); };
  uint32_t left[4], right[2], both[4];
  for (int e = 0; e < 8; e += 2) {  // a_e and the next
    const bf16* p = a + (e % 4 < 2 ? g : g + 8) * 16 + 2 * t + (e < 4 ? 0 : 8);
    left[e / 2] = two(p[0], p[1]);
  }
  for (int e = 0; e < 4; e += 2) {  // b_e and the next
    const int row = 2 * t + (e < 2 ? 0 : 8);
    right[e / 2] = two(b[row * 8 + g], b[(row + 1) * 8 + g]);
  }
  load_columns(both, rows + lane * 8);
  float plain[4] = {}, twice[4] = {};
  multiply_add(plain, left, right);
  multiply_add(twice, left, {both[0], both[1]}), multiply_add(twice, left, {both[2], both[3]});
  for (int e = 0; e < 4; ++e) {  // c_e
    const int at = (e < 2 ? g : g + 8) * 8 + 2 * t + e % 2;
    d[at] = plain[e], d[128 + at] = twice[e];
  }
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

TEST(Shim, MultipliesByTensorCores) {
  const Tensor a = rounded_copy(normals({16, 16}, 1)), b = rounded_copy(normals({16, 8}, 2)), want({16, 8});
  for (int m = 0; m < 16; ++m)
    for (int n = 0; n < 8; ++n) {
      float s = 0;
      for (int k = 0; k < 16; ++k) s += a.data()[m * 16 + k] * b.data()[k * 8 + n];
      want.data()[m * 8 + n] = s;
    }
  const Tensor there_a = send(a, true), there_b = send(b, true), d = Tensor::zeros({2, 16, 8}, DType::f32, Device::cuda);
  for (int order : kOrders) {
    set_thread_order(order);
    DUET_LAUNCH(one_product<0>, dim3(1), dim3(32), 512, d.data(), there_a.data<cuda::bf16>(), there_b.data<cuda::bf16>());
    set_thread_order(0);
    const Tensor got = d.to(Device::cpu);
    for (int i = 0; i < 128; ++i) {
      EXPECT_EQ(got.data()[i], want.data()[i]) << i << ", threads in order " << order;
      EXPECT_NEAR(got.data()[128 + i], 2 * want.data()[i], 1e-4) << i << ", threads in order " << order;
    }
  }
}

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
