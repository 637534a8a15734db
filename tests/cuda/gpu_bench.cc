// How far the card is from what it can do. Every kernel, product, training step and drawing in one table, printed last: its
// floor, which is what it must move at the measured copy bandwidth or multiply at the measured matrix rate, and what was
// measured.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <string>
#include <tuple>

#include "fusion/joint.h"
#include "infer/sampler.h"
#include "infer/textsearch.h"
#include "kernels/cudnn.h"
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

struct Row {
  std::string what, note;
  double floor, measured;  // seconds
};
std::vector<Row> table;
double copy_rate, matrix_rate;  // bytes/s and FLOP/s, measured

void moves(const std::string& what, double bytes, const std::function<void()>& f) {
  const double s = seconds(20, f);
  table.push_back({what, join(int(bytes / s / 1e9), " GB/s"), bytes / copy_rate, s});
}
void multiplies(const std::string& what, int times, double flops, const std::function<void()>& f) {
  const double s = seconds(times, f);
  table.push_back({what, join(int(flops / s / 1e12), " TFLOP/s"), flops / matrix_rate, s});
}
void print_table() {
  std::printf("\n%-44s %12s %12s %7s\n", card().name().c_str(), "floor us", "measured us", "share");
  for (const Row& r : table)
    std::printf("%-44s %12.1f %12.1f %6.0f%%  %s\n", r.what.c_str(), r.floor * 1e6, r.measured * 1e6,
                100 * r.floor / r.measured, r.note.c_str());
  std::printf("floors: bytes at %.0f GB/s copied (read and written), products at %.0f TFLOP/s\n", copy_rate / 1e9,
              matrix_rate / 1e12);
}

double copy_bandwidth() {
  const Tensor a = random({256 << 20}, DType::f32), b({256 << 20}, DType::f32, Device::cuda);
  return 2.0 * double(a.bytes()) / seconds(20, [&] { copy_values(b, a); });
}

void kernel_rows() {
  const int64_t N = 65536, C = 1024, F = 2816, H = C / 64, V = 16384;
  const auto line = moves;
  const Tensor x = random({N, C}, DType::bf16), h = random({N, C}, DType::bf16, 2), y = x.clone(),
               mod = random({1025, 6 * C}, DType::f32);
  const Tensor rstd({N}, DType::f32, Device::cuda), dmod = Tensor::zeros(mod.shape(), DType::f32, Device::cuda);
  std::vector<int32_t> rows, pos;
  for (int64_t n = 0; n < N; ++n)
    rows.push_back(int32_t(n / 64 + 1)), pos.push_back(int32_t(n / 8 % 8)), pos.push_back(int32_t(n % 8));
  const Tensor row = Tensor::ints(rows), at = Tensor::ints(pos);
  const double nc = double(N * C * 2);
  line("norm + modulation", 2 * nc, [&] { card().norm_mod(y, rstd, x, mod, row, 0, C); });
  line("norm + modulation, backward", 3 * nc, [&] { card().norm_mod_bwd(y, false, dmod, h, x, rstd, mod, row, 0, C); });
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
  line("cross-entropy, backward", 2.0 * double(M * V * 2),
       [&] { card().cross_entropy_bwd(dl, logits, lse, target, weight, one); });
  const int64_t n = 64 << 20;
  const Tensor w = random({n}, DType::f32), g = random({n}, DType::f32, 3), m = Tensor::zeros({n}, DType::f32, Device::cuda),
               v = m.clone();
  const Tensor stats = Tensor::zeros({2}, DType::f32, Device::cuda);
  card().fill(stats, 1);
  line("adamw", 7.0 * double(n) * 4, [&] { card().adamw(w, m, v, g, stats, 1e-4f, 0.9f, 0.98f, 1e-8f, 0.01f, 10); });
  line("gradient norm", double(n) * 4, [&] { card().clip_factor(stats, g, {}, 1); });
  line("ema", 3.0 * double(n) * 4, [&] { card().lerp(m, w, {}, 0.1f); });
}

void product_rows() {
  const int64_t N = 24576;
  for (const auto& [what, O, C] :
       std::vector<std::tuple<const char*, int64_t, int64_t>>{{"qkv, width 512", 1536, 512},
                                                              {"feed-forward up, width 512", 2816, 512},
                                                              {"feed-forward down, width 512", 512, 1408},
                                                              {"qkv, width 1024", 3072, 1024},
                                                              {"feed-forward up, width 1024", 5632, 1024}}) {
    const Tensor x = random({N, C}, DType::bf16), w = random({O, C}, DType::bf16), y({N, O}, DType::bf16, Device::cuda);
    const Tensor dx = x.clone(), dw({O, C}, DType::f32, Device::cuda);
    const double flops = 2.0 * double(N) * double(O) * double(C);
    multiplies(join("product, ", what), 20, flops, [&, &w = w, &y = y] { card().gemm(y, x, false, w, true, false); });
    multiplies(join("  gradient of its input"), 20, flops, [&, &w = w, &y = y] { card().gemm(dx, y, false, w, false, false); });
    multiplies(join("  gradient of its weight"), 20, flops, [&, &y = y] { card().gemm(dw, y, true, x, false, true); });
  }
}

// Whole pictures, and words then a picture, as in training.
void attention_rows(const char* whose, cuda::UseCudnn use) {
  const auto was = cuda::use_cudnn();
  cuda::set_use_cudnn(use);
  struct Case {
    int32_t words, T, B;
    int64_t D;
  };
  for (const Case& c :
       {Case{0, 64, 512, 64}, {0, 256, 256, 64}, {20, 84, 512, 64}, {0, 1024, 64, 64}, {0, 1024, 64, 128}, {0, 4096, 8, 128}}) {
    const int64_t N = int64_t(c.T) * c.B, H = 8, C = H * c.D;
    std::vector<int32_t> at, limit;
    for (int32_t b = 0; b <= c.B; ++b) at.push_back(b * c.T);
    double pairs = 0;
    for (int64_t n = 0; n < N; ++n) limit.push_back(n % c.T < c.words ? int32_t(n % c.T) + 1 : c.T), pairs += limit.back();
    const Tensor qkv = random({N, 3 * C}, DType::bf16), o({N, C}, DType::bf16, Device::cuda),
                 lse({N, H}, DType::f32, Device::cuda);
    const Tensor a = Tensor::ints(at), l = Tensor::ints(limit), d = qkv.clone();
    const double flops = 4.0 * pairs * double(C);
    const std::string what = join("attention ", c.T, " tokens", c.words ? " (20 words)" : "", ", head ", c.D, ", ", whose);
    multiplies(what, 5, flops, [&] { card().attention(o, lse, qkv, {}, {}, a, {}, l); });
    multiplies("  backward", 5, 2.5 * flops, [&] { card().attention_bwd(d, o, o, lse, qkv, a, l); });
  }
  cuda::set_use_cudnn(was);
}

ModelConfig config(int64_t width, int64_t depth) {
  ModelConfig c;
  c.width = c.embed = width, c.hidden = (width * 8 / 3 + 63) / 64 * 64;
  c.vision_depth = c.text_depth = depth / 4, c.fusion_depth = depth - 2 * (depth / 4);
  return c;
}

void step_row(int64_t width, int64_t depth, int64_t B) {
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
  table.push_back({join("step, width ", width, " depth ", depth, " batch ", B),
                   join(int(double(B) / s), " samples/s, ", int(flops / s / 1e12), " TFLOP/s, ", count_params(m) / 1000000,
                        " M parameters, ", card().memory.stats().bytes >> 20, " MiB taken so far"),
                   flops / matrix_rate, s});
}

void draw_rows() {
  Model m(config(512, 12));
  flatten([&](const Visit& v) { m.params(v); }, Device::cuda);
  for (int B : {1, 16, 64}) {
    std::vector<DrawRequest> requests;
    for (int i = 0; i < B; ++i) requests.push_back({{3, 30, 31, 32}, {}, uint64_t(i)});
    const auto one = [&] { draw(m, 1, requests, {.steps = 16}); };
    one();
    const int64_t before = gemm_flops();
    one();
    const double flops = double(gemm_flops() - before), s = seconds(3, one);
    table.push_back({join("draw 64 px, 16 guided steps, batch ", B), join(int(B / s), " pictures/s"), flops / matrix_rate, s});
  }
}

// Captions of 20 tokens, none of which may be the end. The floor: the weights of stem, blocks and head, read once a step.
void caption_rows() {
  const NoGrad off;
  constexpr int kTokens = 20, kEnd = 2;
  Model m(config(512, 12));
  flatten([&](const Visit& v) { m.params(v); }, Device::cuda);
  double weights = 0;
  m.params([&](const std::string& name, Var& v) {
    if (name == "table" || name.starts_with("text.") || name.starts_with("fusion.")) weights += 2.0 * double(v.value().count());
  });
  Tensor allowed({m.config.vocab}, DType::u8);
  for (int64_t v = 0; v < m.config.vocab; ++v) allowed.data<uint8_t>()[v] = v != kEnd;
  const int side = int(m.config.size / m.config.patch);
  for (const bool drawn : {false, true})
    for (int B : {1, 16}) {
      std::vector<Sequence> pictures;
      for (int b = 0; b < B; ++b) pictures.push_back({Segment::image(side, side, b + 1)});
      const Layout l = make_layout(pictures);
      const auto times = m.times(std::vector<float>(size_t(B), 1.0f));
      const Var rows = m.vision_stem(random({l.N(), m.patch_values()}, DType::f32), l, times);
      const SampleOptions sample{drawn ? 1.0f : 0.0f, 50, 0.95f, 1};
      const double s = seconds(3, [&] {
        TextSearch search(m, rows, l, times, {{4, kTokens, kEnd, 0.7}, sample, 3, allowed});
        while (!search.done()) search.step();
      });
      table.push_back({join("caption 64 px, ", drawn ? "drawn" : "beam 4", ", batch ", B),
                       join(int(B * kTokens / s), " tokens/s"), kTokens * weights / copy_rate, s});
    }
}

void run() {
  choose_device("cuda");
  choose_precision("bf16");
  copy_rate = copy_bandwidth(), matrix_rate = measure_peak(Device::cuda);
  kernel_rows();
  product_rows();
  attention_rows("ours", cuda::UseCudnn::never), attention_rows("cuDNN", cuda::UseCudnn::always);
  step_row(192, 9, 256), step_row(512, 12, 256), step_row(768, 16, 256), step_row(1024, 24, 256);
  draw_rows(), caption_rows();
  print_table();
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
