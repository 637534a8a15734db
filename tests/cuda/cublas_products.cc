// Every kind of product we ask of cuBLASLt, described by the library itself on a machine without a card: it takes each
// matrix and attribute, and reads them back as meant. Which algorithm it has for one, only a card can ask. Returns 77 where
// cuBLASLt is not installed, which ctest shows as skipped.
#include <cstdio>
#include <exception>

#include "kernels/cublas.h"

namespace duet::cuda {
namespace {

int run() {
  if (const std::string why = products_missing(); !why.empty()) {
    std::printf("SKIPPED, no product was described: %s\n", why.c_str());
    return 77;
  }
  int bad = 0;
  const auto ask = [&](const char* what, const Product& p, const std::string& want) {
    const std::string got = described(p);
    if (got != want) ++bad;
    std::printf("%-5s %-26s %s%s%s\n", got == want ? "ok" : "WRONG", what, got.c_str(), got == want ? "" : ", not ",
                got == want ? "" : want.c_str());
  };
  // A layer of 512 to 1536 over 24576 tokens. The library's A is our b, column by column.
  constexpr DType bf16 = DType::bf16, f32 = DType::f32;
  const int64_t N = 24576, C = 512, O = 1536;
  void* const bias = reinterpret_cast<void*>(0x7f0040);
  ask("linear", {nullptr, nullptr, nullptr, bf16, bf16, false, true, false, N, O, C, 1},
      "512x1536 bf16^T 512x24576 bf16 to 1536x24576 bf16");
  ask("linear with a bias", {nullptr, nullptr, nullptr, bf16, bf16, false, true, false, N, O, C, 1, Epilogue::bias, bias},
      "512x1536 bf16^T 512x24576 bf16 to 1536x24576 bf16, bias bf16 at 0x7f0040");
  ask("the same to f32", {nullptr, nullptr, nullptr, bf16, f32, false, true, false, N, O, C, 1, Epilogue::bias, bias},
      "512x1536 bf16^T 512x24576 bf16 to 1536x24576 f32, bias f32 at 0x7f0040");
  ask("gradient of its input", {nullptr, nullptr, nullptr, bf16, bf16, false, false, false, N, C, O, 1},
      "512x1536 bf16 1536x24576 bf16 to 512x24576 bf16");
  ask("gradient of its weight", {nullptr, nullptr, nullptr, bf16, f32, true, false, true, O, C, N, 1},
      "512x24576 bf16 1536x24576 bf16^T to 512x1536 f32");
  ask("and of its bias", {nullptr, nullptr, nullptr, bf16, f32, true, false, true, O, C, N, 1, Epilogue::row_sums, bias},
      "512x24576 bf16 1536x24576 bf16^T to 512x1536 f32, sums of B to f32 at 0x7f0040");
  ask("in f32", {nullptr, nullptr, nullptr, f32, f32, true, false, true, O, C, N, 1, Epilogue::row_sums, bias},
      "512x24576 f32 1536x24576 f32^T to 512x1536 f32, sums of B to f32 at 0x7f0040");
  ask("Muon's, of 6 matrices", {nullptr, nullptr, nullptr, bf16, bf16, false, true, false, C, C, O, 6},
      "6 of 1536x512 bf16^T 1536x512 bf16 to 512x512 bf16");
  std::printf("%d wrong\n", bad);
  return bad != 0;
}

}  // namespace
}  // namespace duet::cuda

int main() {
  try {
    return duet::cuda::run();
  } catch (const std::exception& e) {
    std::printf("%s\n", e.what());
    return 1;
  }
}
