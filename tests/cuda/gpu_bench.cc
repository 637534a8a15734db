// How far the card is from what it can do: kernels against its measured copy bandwidth, products against its measured matrix
// rate, the training step and drawing in samples and pictures a second. One table, printed last line by line.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>

#include "fusion/joint.h"
#include "infer/sampler.h"
#include "kernels/device.h"
#include "kernels/gemm.h"
#include "train/optimizer.h"

namespace duet {
namespace {

const Kernels& card() { return kernels(Device::cuda); }

double seconds(int times, const std::function<void()>& f) {  // of one call, after a first that is not counted
  f();
  card().wait();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < times; ++i) f();
  card().wait();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / times;
}

Tensor random(Shape s, DType t, uint64_t seed = 1) {
  const Tensor f(s, DType::f32, Device::cuda), y(s, t, Device::cuda);
  card().normals(f, Tensor::ints(std::vector<int32_t>{int32_t(seed), 0}));
  card().convert(y, f);
  return y;
}

double copy_bandwidth() {
  const Tensor a = random({256 << 20}, DType::f32), b({256 << 20}, DType::f32, Device::cuda);
  return 2.0 * double(a.bytes()) / seconds(20, [&] { copy_values(b, a); });
}

void kernel_lines(double copy) {
  const int64_t N = 65536, C = 1024, F = 2816, H = C / 64, V = 16384;
  const auto line = [&](const char* name, double bytes, const std::function<void()>& f) {
    const double s = seconds(20, f);
    std::printf("%-28s %8.1f MiB %8.1f us %7.0f GB/s %5.0f%% of copy\n", name, bytes / (1 << 20), s * 1e6, bytes / s / 1e9,
                100 * bytes / s / copy);
  };
  const Tensor x = random({N, C}, DType::bf16), h = random({N, C}, DType::bf16, 2), y = x.clone(), mod = random({1025, 6 * C}, DType::f32);
  const Tensor rstd({N}, DType::f32, Device::cuda), dmod = Tensor::zeros(mod.shape(), DType::f32, Device::cuda);
  std::vector<int32_t> rows, pos;
  for (int64_t n = 0; n < N; ++n) rows.push_back(int32_t(n / 64 + 1)), pos.push_back(int32_t(n / 8 % 8)), pos.push_back(int32_t(n % 8));
  const Tensor row = Tensor::ints(rows), at = Tensor::ints(pos);
  const double nc = double(N * C * 2);
  line("norm + modulation", 2 * nc, [&] { card().norm_mod(y, rstd, x, mod, row, 0, C); });
  line("norm + modulation, backward", 5 * nc, [&] { card().norm_mod_bwd(y, false, dmod, h, x, rstd, mod, row, 0, C); });
  line("residual + gate", 3 * nc, [&] { card().gate_add(y, x, h, mod, row, 0); });
  line("residual + gate, backward", 3 * nc, [&] { card().gate_add_bwd(y, false, dmod, x, h, mod, row, 0); });
  const Tensor up = random({N, 2 * F}, DType::bf16), act = random({N, F}, DType::bf16), dup = up.clone();
  line("swiglu", 3.0 * double(N * F * 2), [&] { card().swiglu(act, up); });
  line("swiglu, backward", 5.0 * double(N * F * 2), [&] { card().swiglu_bwd(dup, act, up); });
  const Tensor qkv = random({N, 3 * C}, DType::bf16), turned = qkv.clone(), gain = random({64}, DType::f32);
  const Tensor rq({N, 2 * H}, DType::f32, Device::cuda), dg = Tensor::zeros({64}, DType::f32, Device::cuda);
  line("qk-norm + rotary", 6 * nc, [&] { card().qk_rope(turned, rq, qkv, gain, gain, at, 100); });
  line("qk-norm + rotary, backward", 9 * nc, [&] { card().qk_rope_bwd(turned, dg, dg, qkv, qkv, rq, gain, gain, at, 100); });
  const int64_t M = 8192;
  const Tensor logits = random({M, V}, DType::bf16), dl = logits.clone(), nll({M}, DType::f32, Device::cuda), lse = nll.clone();
  const Tensor target = Tensor::zeros({M}, DType::i32), weight = Tensor::zeros({M}), one = random({1}, DType::f32);
  line("cross-entropy", double(M * V * 2), [&] { card().cross_entropy(nll, lse, logits, target); });
  line("cross-entropy, backward", 2.0 * double(M * V * 2), [&] { card().cross_entropy_bwd(dl, logits, lse, target, weight, one); });
  const int64_t n = 64 << 20;
  const Tensor w = random({n}, DType::f32), g = random({n}, DType::f32, 3), m = Tensor::zeros({n}, DType::f32, Device::cuda), v = m.clone();
  const Tensor stats = Tensor::zeros({2}, DType::f32, Device::cuda);
  card().fill(stats, 1);
  line("adamw", 7.0 * double(n) * 4, [&] { card().adamw(w, m, v, g, stats, 1e-4f, 0.9f, 0.98f, 1e-8f, 0.01f, 10); });
  line("gradient norm", double(n) * 4, [&] { card().clip_factor(stats, g, {}, 1); });
  line("ema", 3.0 * double(n) * 4, [&] { card().lerp(m, w, {}, 0.1f); });
}

void attention_lines() {
  for (const auto& [T, B] : {std::pair<int32_t, int32_t>{84, 512}, {256, 256}, {1024, 64}}) {
    const int64_t N = int64_t(T) * B, H = 8, C = 512;
    std::vector<int32_t> at, limit(size_t(N), T);
    for (int32_t b = 0; b <= B; ++b) at.push_back(b * T);
    const Tensor qkv = random({N, 3 * C}, DType::bf16), o({N, C}, DType::bf16, Device::cuda), lse({N, H}, DType::f32, Device::cuda);
    const Tensor a = Tensor::ints(at), l = Tensor::ints(limit), d = qkv.clone();
    const double flops = 4.0 * double(N) * T * C;
    const double f = seconds(10, [&] { card().attention(o, lse, qkv, {}, {}, a, {}, l); });
    const double b = seconds(10, [&] { card().attention_bwd(d, o, o, lse, qkv, a, l); });
    std::printf("attention %4d tokens, head 64 %8.1f us %6.1f TFLOP/s, backward %8.1f us %6.1f TFLOP/s\n", T, f * 1e6,
                flops / f / 1e12, b * 1e6, 2.5 * flops / b / 1e12);
  }
}

ModelConfig config(int64_t width, int64_t depth) {
  ModelConfig c;
  c.width = c.embed = width, c.hidden = (width * 8 / 3 + 63) / 64 * 64;
  c.vision_depth = c.text_depth = depth / 4, c.fusion_depth = depth - 2 * (depth / 4);
  return c;
}

void step_line(int64_t width, int64_t depth, int64_t B, double peak) {
  Model m(config(width, depth));
  Flat flat = flatten([&](const Visit& v) { m.params(v); }, Device::cuda);
  Optimizer o(flat, {});
  JointBatch b;
  std::vector<float> pixels(size_t(B * 64 * 64 * 4));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = std::tanh(normal(1, i));
  b.B = B, b.size = 64, b.pixels = pixels.data();
  for (int64_t i = 0; i < B; ++i) {
    std::vector<int> text{3};
    for (int j = 0; j < 14; ++j) text.push_back(20 + int(mix(5, uint64_t(i * 100 + j)) % 4000));
    text.push_back(2), b.text.push_back(text), b.same.push_back(uint64_t(i));
  }
  int64_t step = 0;
  const auto one = [&] {
    b.seed = uint64_t(++step);
    const JointLoss l = joint_loss(m, b, {});
    l.total.backward();
    o.apply(step, 1e-3, l.total.value());
  };
  one(), one();
  const int64_t before = gemm_flops();
  const int times = 10;
  const double s = seconds(times, one), flops = double(gemm_flops() - before) / (times + 1);
  std::printf("step width %4ld depth %2ld batch %4ld, %5.1f M parameters: %7.2f ms %7.0f samples/s %6.1f TFLOP/s %4.1f%% of the "
              "products' rate, %5.1f GiB\n",
              long(width), long(depth), long(B), double(count_params(m)) / 1e6, s * 1e3, double(B) / s, flops / s / 1e12,
              100 * flops / s / peak, double(card().memory.stats().bytes) / (1 << 30));
}

void draw_lines() {
  Model m(config(512, 12));
  flatten([&](const Visit& v) { m.params(v); }, Device::cuda);
  for (int B : {1, 16, 64}) {
    std::vector<DrawRequest> requests;
    for (int i = 0; i < B; ++i) requests.push_back({{3, 30, 31, 32}, {}, uint64_t(i)});
    const double s = seconds(3, [&] { draw(m, 1, requests, {.steps = 16}); });
    std::printf("draw 64 px, 16 guided steps, batch %2d: %8.1f ms, %7.1f pictures/s\n", B, s * 1e3, B / s);
  }
}

void run() {
  choose_device("cuda");
  choose_precision("bf16");
  const double copy = copy_bandwidth(), peak = measure_peak(Device::cuda);
  std::printf("%s: copy %.0f GB/s (read and written), bf16 products %.0f TFLOP/s\n", card().name().c_str(), copy / 1e9, peak / 1e12);
  kernel_lines(copy);
  attention_lines();
  step_line(192, 9, 256, peak), step_line(512, 12, 256, peak), step_line(768, 16, 256, peak), step_line(1024, 24, 256, peak);
  draw_lines();
}

}  // namespace
}  // namespace duet

int main() {
  try {
    duet::run();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "gpu_bench: %s\n", e.what());
    return 1;
  }
}
