#include "kernels/device.h"
#include "kernels/random.h"
#include "tests/kernels/gradcheck.h"

namespace duet {
namespace {

// Roundings to f32, of e and of the sum, may fall to the other side, each by a last bit. With t 0 there is e alone.
TEST(Noise, IsThatOfRandomH) {
  const int64_t each = 100003, n = 10 * each;  // pieces and t's do not end together
  const Tensor z({n}), x = normals({n}, 3), t({n / each});
  for (int64_t i = 0; i < t.count(); ++i) t.data()[i] = float(i) / 10;
  kernels(Device::cpu).add_noise(z, x, t, 77);
  int64_t same = 0;
  double greatest = 0;
  for (int64_t i = 0; i < n; ++i) {
    const float ti = t.data()[i / each], e = normal(77, uint64_t(i)), a = ti * x.data()[i], b = (1 - ti) * e, was = a + b;
    ASSERT_LE(std::abs(double(z.data()[i]) - was), 0x1p-22 * (std::abs(a) + std::abs(b)))
        << "value " << i << " with noise " << e;
    same += ti == 0 && z.data()[i] == e, greatest = std::max(greatest, double(std::abs(e)));
  }
  EXPECT_GT(greatest, 4.5) << "of a million";
  EXPECT_GT(double(same), 0.999 * double(each));
}

TEST(Noise, IsTheSameWithAnyNumberOfThreads) {
  const SettingsBack back;
  const int64_t n = 100000;
  const Tensor x = normals({n}, 3), t = Tensor::zeros({1}), one({n}), three({n});
  set_threads(1), kernels(Device::cpu).add_noise(one, x, t, 5);
  set_threads(3), kernels(Device::cpu).add_noise(three, x, t, 5);
  for (int64_t i = 0; i < n; ++i) ASSERT_EQ(one.data()[i], three.data()[i]) << i;
}

}  // namespace
}  // namespace duet
