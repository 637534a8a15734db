// duet_bench: how fast the kernels, a training step and a drawing are on this machine, each beside what the machine could do.
//   duet_bench products | int8 | step | draw | loader DIR...   [--config assets/configs/xs.toml] [--precision f32|bf16|fp16]
//              [--quantize int8] [--clock wall|cpu]
// --clock cpu: processor time, for a busy machine; with DUET_THREADS=1 and OMP_NUM_THREADS=1.
// Limits are measured in the same run: products against the tile engine fed from the first cache, memory-bound kernels
// against a copy. Figures are medians of several runs.
#ifdef DUET_PEER_DNNL
#include <dnnl.h>
#endif
#ifdef DUET_PEER_EIGEN
#include <Eigen/Dense>
#endif

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "fusion/fields.h"
#include "fusion/joint.h"
#include "fusion/narrow.h"
#include "infer/sampler.h"
#include "kernels/gemm.h"
#include "kernels/parallel.h"
#include "kernels/table.h"
#include "text/tokenizer.h"
#include "train/loader.h"
#include "train/optimizer.h"
#include "train/trainer.h"

using namespace duet;
using Clock = std::chrono::steady_clock;

static bool by_processor = false;
static double now() {
  if (by_processor) return double(std::clock()) / CLOCKS_PER_SEC;
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

static double median_seconds(int runs, const std::function<void()>& f, int warm = 1) {
  for (int i = 0; i < warm; ++i) f();
  std::vector<double> t;
  for (int i = 0; i < runs; ++i) {
    const double start = now();
    f();
    t.push_back(now() - start);
  }
  std::nth_element(t.begin(), t.begin() + runs / 2, t.end());
  return t[size_t(runs / 2)];
}

static Tensor noise(Shape s, uint64_t seed) {
  Tensor t(std::move(s));
  parallel_for(t.count() / 1024 + 1, [&](int64_t j) {
    for (int64_t i = j * 1024; i < std::min(t.count(), (j + 1) * 1024); ++i) t.data()[i] = normal(seed, uint64_t(i));
  });
  return t;
}

static void products() {
  const double peak = measure_peak();
  std::printf("tile engine from the first cache: %.0f GFLOP/s on %d threads\n", peak / 1e9, threads());
  std::printf("%-23s %10s %10s %8s   peers, GFLOP/s\n", "C (M,N) = A B, K", "ms", "GFLOP/s", "of peak");
  const int64_t shapes[][3] = {{1024, 1024, 1024}, {5632, 960, 320},  {5632, 1728, 320}, {5632, 320, 864},
                               {1728, 320, 5632},  {5632, 1536, 512}, {5632, 3072, 768}, {128, 1728, 320}};
  for (const auto& s : shapes) {
    const auto [M, N, K] = std::tuple{s[0], s[1], s[2]};
    const Tensor A = noise({M, K}, 1), B = noise({N, K}, 2);
    Tensor C({M, N});
    const double t = median_seconds(9, [&] { gemm(C.data(), N, {A.data(), K}, {B.data(), K, true}, M, N, K); });
    const double rate = 2.0 * double(M * N * K) / t;
    std::printf("%5lld x %5lld, %5lld %15.3f %10.0f %7.0f%%", (long long)M, (long long)N, (long long)K, t * 1e3, rate / 1e9,
                100 * rate / peak);
#ifdef DUET_PEER_DNNL  // f32; its threads are OpenMP's
    const double d = median_seconds(9, [&] { dnnl_sgemm('N', 'T', M, N, K, 1, A.data(), K, B.data(), K, 0, C.data(), N); });
    std::printf("   oneDNN sgemm %7.0f", 2.0 * double(M * N * K) / d / 1e9);
#endif
#ifdef DUET_PEER_EIGEN
    using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const Eigen::Map<Matrix> a(A.data(), M, K), b(B.data(), N, K);
    Eigen::Map<Matrix> c(C.data(), M, N);
    const double g = median_seconds(3, [&] { c.noalias() = a * b.transpose(); });
    std::printf("   Eigen (1 thread) %6.0f", 2.0 * double(M * N * K) / g / 1e9);
#endif
    std::printf("\n");
  }
  const int64_t N = 8192, C = 768;
  const Tensor x = noise({N, C}, 3), mod = noise({1, 6 * C}, 4);
  Tensor y({N, C}), r({N});
  const Tensor row = Tensor::zeros({N}, DType::i32), big = noise({N, 2 * C}, 5);
  const double copy = 2.0 * double(N * C) * 4 / median_seconds(15, [&] {
                        parallel_for(64, [&](int64_t j) {
                          std::memcpy(y.data() + j * N * C / 64, x.data() + j * N * C / 64, size_t(N * C / 64) * 4);
                        });
                      });
  std::printf("copy of %lld MiB: %.1f GB/s\n", (long long)(N * C * 4 >> 20), copy / 1e9);
  const auto line = [&](const char* name, double values, const std::function<void()>& f) {
    const double t = median_seconds(15, f);
    std::printf("%-34s %10.3f %8.1f GB/s %6.0f%%\n", name, t * 1e3, values * 4 / t / 1e9, 100 * values * 4 / t / copy);
  };
  line("norm_mod", 2.0 * double(N * C),
       [&] { cpu::norm_mod(y.data(), r.data(), x.data(), mod.data(), row.data<int32_t>(), 6 * C, 0, C, N, C); });
  line("gate_add", 3.0 * double(N * C),
       [&] { cpu::gate_add(y.data(), x.data(), big.data(), mod.data(), row.data<int32_t>(), 6 * C, 2 * C, N, C); });
  line("swiglu", 3.0 * double(N * C), [&] { cpu::swiglu(y.data(), big.data(), N, C); });
}

#ifdef DUET_PEER_DNNL
// oneDNN's u8 x s8 -> s32 product with plain layouts, which neither finds scales nor gives floats.
static double dnnl_u8s8(int64_t M, int64_t N, int64_t K) {
  std::vector<uint8_t> a(size_t(M * K), 100);
  std::vector<int8_t> b(size_t(K * N), 3);
  std::vector<int32_t> c(size_t(M * N));
  const int32_t zero = 0;
  return median_seconds(
      9, [&] { dnnl_gemm_u8s8s32('N', 'N', 'F', M, N, K, 1, a.data(), K, 0, b.data(), N, 0, 0, c.data(), N, &zero); });
}
#endif

// Products with packed weights in every precision of this CPU; int8's time includes finding the rows' scales.
static void int8_products() {
  refuse_without_int8();
  std::printf("tile engine from the first cache: int8 %.0f Gop/s on %d threads\n", measure_int8_peak() / 1e9, threads());
  const int64_t shapes[][3] = {{1024, 1024, 1024}, {2048, 576, 192}, {2048, 192, 192}, {2048, 1024, 192}, {2048, 192, 512}};
  for (const auto& [M, N, K] : shapes) {
    const Tensor A = noise({M, K}, 1), W = noise({N, K}, 2);
    Tensor C({M, N});
    std::printf("%5lld x %5lld, %5lld  Gop/s", (long long)M, (long long)N, (long long)K);
    const auto line = [&](const char* name, double seconds) {
      std::printf("   %s %6.0f", name, 2.0 * double(M * N * K) / seconds / 1e9);
    };
    const auto ours = [&](const std::shared_ptr<const PackedB>& w) {
      return median_seconds(15, [&] { gemm(C.data(), N, {A.data(), K}, {}, M, N, K, {.packed = w.get()}); });
    };
    const Precision before = duet::precision();
    for (const Precision p : {Precision::f32, Precision::bf16, Precision::fp16}) {
      if (p == Precision::bf16 && bf16_unit() == Bf16Unit::none) continue;
      if (p == Precision::fp16 && !has_fp16()) continue;
      set_precision(p);
      line(p == Precision::f32 ? "f32" : "bf16", ours(pack_b({W.data(), K, true}, N, K)));
    }
    set_precision(before);
    line("int8", ours(pack_int8(W.data(), N, K)));
#ifdef DUET_PEER_DNNL
    line("oneDNN u8s8", dnnl_u8s8(M, N, K));
#endif
    std::printf("\n");
  }
}

// The same numbers the PyTorch peer takes: random pictures, captions of 8 to 23 tokens.
static JointBatch fake_batch(int64_t B, int64_t size, std::vector<float>& pixels) {
  JointBatch b;
  b.B = B, b.size = size;
  pixels.resize(size_t(B * size * size * 4));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = float(uniform(7, i) * 2 - 1);
  b.pixels = pixels.data();
  for (int64_t i = 0; i < B; ++i) {
    std::vector<int> t{3};
    for (int64_t j = 0; j < 8 + i % 16; ++j) t.push_back(300 + int((i * 31 + j * 7) % 3000));
    t.push_back(2);
    b.text.push_back(t);
    b.same.push_back(uint64_t(i));
  }
  return b;
}

static void step(const TrainConfig& c) {
  Model m(c.model);
  Flat flat = flatten([&](const Visit& v) { m.params(v); });
  Optimizer optimizer(flat, c.optimizer);
  std::vector<float> pixels;
  JointBatch b = fake_batch(c.data.batch, c.model.size, pixels);
  int64_t n = 0;
  const double peak = measure_peak();
  const int64_t before = gemm_flops();
  const double t = median_seconds(
      15,
      [&] {
        b.seed = uint64_t(++n);
        joint_loss(m, b, c.loss).total.backward();
        optimizer.step(n, 1e-4);
      },
      8);
  const double flops = double(gemm_flops() - before) / double(n);
  std::printf("training step, %lld parameters, batch %lld: %.1f ms, %.1f samples/s, %.0f GFLOP/s = %.0f%% of peak, %zu MiB\n",
              (long long)count_params(m), (long long)b.B, t * 1e3, double(b.B) / t, flops / t / 1e9, 100 * flops / t / peak,
              memory_stats().bytes >> 20);
}

static void drawing(const TrainConfig& c, bool int8) {
  Model m(c.model);
  flatten([&](const Visit& v) { m.params(v); });
  const Frozen still(int8 ? int8_weights(m) : std::vector<const float*>());
  const Tokenizer tokenizer = Tokenizer::load(c.tokenizer);
  for (int B : {1, 4, 16}) {
    std::vector<DrawRequest> r(size_t(B), {prompt_ids(tokenizer, "a small red circle above a big blue star"), {}, 1});
    DrawOptions o;
    o.steps = 16;
    const double t = median_seconds(5, [&] { draw(m, tokenizer, r, o); });
    std::printf("draw %d x %lld px, 16 guided steps: %.1f ms, %.2f pictures/s\n", B, (long long)c.model.size, t * 1e3, B / t);
  }
}

static void loading(TrainConfig c) {
  Loader loader(c.data, Tokenizer::load(c.tokenizer), 1);
  for (int i = 0; i < 3; ++i) loader.next();
  const auto start = Clock::now();
  int64_t n = 0;
  while (Clock::now() - start < std::chrono::seconds(3)) n += loader.next().B;
  std::printf("loader, %d thread(s): %.0f samples/s\n", c.data.threads, double(n) / 3);
}

int main(int argc, char** argv) try {
  std::string what = argc > 1 ? argv[1] : "products", config = "assets/configs/xs.toml", precision = "auto", quantize = "none";
  std::vector<std::string> sets;
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string key = argv[i];
    if (key == "--config") config = argv[i + 1];
    else if (key == "--precision") precision = argv[i + 1];
    else if (key == "--quantize") quantize = argv[i + 1];
    else if (key == "--clock") by_processor = std::string(argv[i + 1]) == "cpu";
    else if (key == "--set") sets.push_back(argv[i + 1]);
    else refuse("unknown option ", key);
  }
  choose_precision(precision);
  std::printf("precision %s, %d threads\n", precision_name(duet::precision(), false), threads());
  TrainConfig c;
  load_toml(config, c);
  for (const auto& s : sets) set_key(c, s);
  if (what == "products") products();
  else if (what == "int8") int8_products();
  else if (what == "step") step(c);
  else if (what == "draw") drawing(c, quantize == "int8");
  else if (what == "loader") loading(c);
  else refuse("what to measure? products, int8, step, draw or loader");
} catch (const std::exception& e) {
  std::fprintf(stderr, "duet_bench: %s\n", e.what());
  return 1;
}
