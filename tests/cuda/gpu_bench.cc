// How far the card is from what it can do. Every kernel, product, training step and drawing in one table, printed last: its
// floor, which is what it must move at the measured copy bandwidth or multiply at the measured matrix rate, and what was
// measured.
//   gpu_bench [--json FILE] [--tiny]
// --json: the rows as lines of JSON too, which tests/bench/beside.py lays beside PyTorch's. --tiny: sizes for a run without a
// card (tests/cuda/shim), which shows that every row can be had, and no speed.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <string>
#include <tuple>

#include "fusion/joint.h"
#include "infer/sampler.h"
#include "infer/textsearch.h"
#include "kernels/cublas.h"
#include "kernels/cudnn.h"
#include "kernels/device.h"
#include "kernels/gemm.h"
#include "kernels/narrow.h"
#include "kernels/replay.h"
#include "tests/cuda/counted.h"
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

bool tiny = false;
int64_t scaled(int64_t n) { return tiny ? std::max<int64_t>(n >> 10, 8) : n; }  // of tokens and the like

struct Row {
  std::string what, by, note;  // by: whose, where there are several
  double floor, measured;      // seconds
};
std::vector<Row> table;
Rates rates;

void moves(const std::string& what, double bytes, const std::function<void()>& f) {
  const double s = seconds(tiny ? 1 : 20, f);
  table.push_back({what, {}, join(int(bytes / s / 1e9), " GB/s"), bytes / rates.copy, s});
}
void multiplies(const std::string& what, const std::string& by, int times, double flops, const std::function<void()>& f) {
  const double s = seconds(tiny ? 1 : times, f);
  table.push_back({what, by, join(int(flops / s / 1e12), " TFLOP/s"), flops / rates.matrix, s});
}
void print_table() {
  std::printf("\n%-52s %12s %12s %7s\n", card().name().c_str(), "floor us", "measured us", "share");
  for (const Row& r : table)
    std::printf("%-52s %12.1f %12.1f %6.0f%%  %s\n", join(r.what, r.by.empty() ? "" : ", by ", r.by).c_str(), r.floor * 1e6,
                r.measured * 1e6, 100 * r.floor / r.measured, r.note.c_str());
  std::printf("floors: bytes at %.0f GB/s copied (read and written), products at %.0f TFLOP/s\n", rates.copy / 1e9,
              rates.matrix / 1e12);
}
void write_json(const std::string& file) {
  std::ofstream out(file);
  out << join("{\"card\": \"", card().name(), "\", \"copy_gb_s\": ", rates.copy / 1e9,
              ", \"matrix_tflop_s\": ", rates.matrix / 1e12, "}\n");
  for (const Row& r : table)  // no name has a quote in it
    out << join("{\"row\": \"", r.what, "\", \"by\": \"", r.by.empty() ? "duet" : r.by, "\", \"us\": ", r.measured * 1e6,
                ", \"floor_us\": ", r.floor * 1e6, ", \"note\": \"", r.note, "\"}\n");
  if (!out.flush()) refuse(file, ": could not be written");
}

double copy_bandwidth() {
  const Tensor a = random({scaled(256 << 20)}, DType::f32), b(a.shape(), DType::f32, Device::cuda);
  return 2.0 * double(a.bytes()) / seconds(tiny ? 1 : 20, [&] { copy_values(b, a); });
}

void kernel_rows() {
  const int64_t N = scaled(65536), C = tiny ? 64 : 1024, F = C * 11 / 4, H = C / 64, V = scaled(16384);
  const auto line = moves;
  const Tensor x = random({N, C}, DType::bf16), h = random({N, C}, DType::bf16, 2), y = x.clone(), z = x.clone(),
               mod = random({N / 64 + 1, 6 * C}, DType::f32);
  const Tensor rstd({N}, DType::f32, Device::cuda), dmod = Tensor::zeros(mod.shape(), DType::f32, Device::cuda);
  std::vector<int32_t> rows, pos;
  for (int64_t n = 0; n < N; ++n)
    rows.push_back(int32_t(n / 64 + 1)), pos.push_back(int32_t(n / 8 % 8)), pos.push_back(int32_t(n % 8));
  const Tensor row = Tensor::ints(rows), at = Tensor::ints(pos);
  const double nc = double(N * C * 2);
  line("norm + modulation", 2 * nc, [&] { card().norm_mod(y, rstd, x, mod, row, 0, C); });
  line("norm + modulation, backward", 3 * nc, [&] { card().norm_mod_bwd(y, false, dmod, h, x, rstd, mod, row, 0, C); });
  line("residual + gate", 3 * nc, [&] { card().gate_add(y, x, h, mod, row, 0); });
  line("residual + gate + norm + modulation", 4 * nc, [&] { card().gate_norm(y, z, rstd, x, h, mod, row, 0, C, 2 * C); });
  line("residual + gate, backward", 3 * nc, [&] { card().gate_add_bwd(y, false, dmod, x, h, mod, row, 0); });
  const Tensor up = random({N, 2 * F}, DType::bf16), act = random({N, F}, DType::bf16), dup = up.clone();
  line("swiglu", 3.0 * double(N * F * 2), [&] { card().swiglu(act, up); });
  line("swiglu, backward", 5.0 * double(N * F * 2), [&] { card().swiglu_bwd(dup, act, up); });
  const Tensor qkv = random({N, 3 * C}, DType::bf16), turned = qkv.clone(), gain = random({64}, DType::f32);
  const Tensor rq({N, 2 * H}, DType::f32, Device::cuda), dg = Tensor::zeros({64}, DType::f32, Device::cuda);
  line("qk-norm + rotary", 6 * nc, [&] { card().qk_rope(turned, rq, qkv, gain, gain, at, 100); });
  line("qk-norm + rotary, backward", 9 * nc, [&] { card().qk_rope_bwd(turned, dg, dg, qkv, qkv, rq, gain, gain, at, 100); });
  const int64_t M = scaled(8192);
  const Tensor logits = random({M, V}, DType::bf16), dl = logits.clone(), nll({M}, DType::f32, Device::cuda), lse = nll.clone();
  const Tensor target = Tensor::zeros({M}, DType::i32), weight = Tensor::zeros({M}), one = random({1}, DType::f32);
  line("cross-entropy", double(M * V * 2), [&] { card().cross_entropy(nll, lse, logits, target); });
  line("cross-entropy, backward", 2.0 * double(M * V * 2),
       [&] { card().cross_entropy_bwd(dl, logits, lse, target, weight, one); });
  const Tensor pixels = random({scaled(4096), 64, 64, 4}, DType::f32),
               patches({pixels.count() / 256, 256}, DType::f32, Device::cuda);
  line("patchify", 2.0 * double(pixels.bytes()), [&] { card().patchify(patches, pixels); });
  const int64_t n = scaled(64 << 20);
  const Tensor w = random({n}, DType::f32), g = random({n}, DType::f32, 3), m = Tensor::zeros({n}, DType::f32, Device::cuda),
               v = m.clone();
  const Tensor stats = Tensor::zeros({2}, DType::f32, Device::cuda);
  card().fill(stats, 1);
  line("adamw", 7.0 * double(n) * 4, [&] { card().adamw(w, m, v, g, stats, 1e-4f, 0.9f, 0.98f, 1e-8f, 0.01f, 10); });
  line("gradient norm", double(n) * 4, [&] { card().clip_factor(stats, g, {}, 1); });
  line("ema", 3.0 * double(n) * 4, [&] { card().lerp(m, w, {}, 0.1f); });
}

void product_rows() {
  const int64_t N = scaled(24576);
  for (const auto& [what, out, in] :
       std::vector<std::tuple<const char*, int64_t, int64_t>>{{"qkv, width 512", 1536, 512},
                                                              {"feed-forward up, width 512", 2816, 512},
                                                              {"feed-forward down, width 512", 512, 1408},
                                                              {"qkv, width 1024", 3072, 1024},
                                                              {"feed-forward up, width 1024", 5632, 1024}}) {
    const int64_t O = tiny ? 24 : out, C = tiny ? 16 : in;
    const Tensor x = random({N, C}, DType::bf16), w = random({O, C}, DType::bf16), y({N, O}, DType::bf16, Device::cuda);
    const Tensor dx = x.clone(), dw({O, C}, DType::f32, Device::cuda);
    const double flops = 2.0 * double(N) * double(O) * double(C);
    const std::string name = join("product, ", what);
    multiplies(name, {}, 20, flops, [&] { card().gemm(y, x, false, w, true, false); });
    multiplies(name + ", of its input", {}, 20, flops, [&] { card().gemm(dx, y, false, w, false, false); });
    multiplies(name + ", of its weight", {}, 20, flops, [&] { card().gemm(dw, y, true, x, false, true); });
  }
  // A bias on the way of the product, and by a kernel of ours after it.
  const int64_t O = tiny ? 24 : 1536, C = tiny ? 16 : 512;
  const Tensor x = random({N, C}, DType::bf16), w = random({O, C}, DType::bf16), y({N, O}, DType::bf16, Device::cuda),
               bias = random({O}, DType::f32), dw({O, C}, DType::f32, Device::cuda), db = bias.clone();
  const double flops = 2.0 * double(N) * double(O) * double(C);
  bias.keep_rounded(), card().convert(bias.rounded(), bias);
  const bool was = cuda::use_epilogues();
  for (const bool epilogues : {true, false}) {
    cuda::set_use_epilogues(epilogues);
    const char* by = epilogues ? "epilogue" : "kernel";
    multiplies("product and bias, qkv, width 512", by, 20, flops, [&] { card().linear(y, x, w, bias); });
    multiplies("product and bias, qkv, width 512, of both", by, 20, flops, [&] { card().linear_bwd(dw, db, y, x); });
  }
  cuda::set_use_epilogues(was);
}

// Few rows, as decoding has them, by weights of each type, in GB/s of weights. Copies of the weights take turns, so that they
// come from memory and not from the card's cache; all of a round is one recording, so that launches are not what is measured.
void narrow_rows() {
  for (const auto& [out, in] : std::vector<std::pair<int64_t, int64_t>>{{1536, 512}, {5632, 1024}, {1024, 2816}}) {
    const int64_t O = tiny ? 24 : out, C = tiny ? 32 : in;
    Tensor host({O, C});
    for (int64_t i = 0; i < host.count(); ++i) host.data()[i] = normal(1, uint64_t(i));
    for (const DType type : {DType::bf16, DType::int8, DType::fp8, DType::int4}) {
      const Tensor w = type == DType::bf16 ? random({O, C}, type) : narrowed(host, type).to(Device::cuda);
      std::vector<Tensor> copies;
      for (size_t bytes = 0; bytes < (tiny ? 1u : 256u << 20); bytes += w.bytes()) copies.push_back(w.clone());
      const double bytes = double(w.bytes()) * double(copies.size());
      for (const int64_t N : {1, 8}) {
        const Tensor x = random({N, C}, DType::bf16), y({N, O}, DType::bf16, Device::cuda);
        Replay replay;
        const auto round = [&] {
          replay([&] {
            for (const Tensor& c : copies) card().linear(y, x, c, {});
          });
        };
        round(), round();
        moves(join(name_of(type), ", ", N, N == 1 ? " row, " : " rows, ", O, " x ", C, ", ", copies.size(), " times"), bytes,
              round);
      }
      if (type == DType::bf16) continue;
      const double both = bytes + double(copies.size()) * double(O * C * 2);
      moves(join(name_of(type), " widened to bf16, ", O, " x ", C, ", ", copies.size(), " times"), both, [&] {
        for (const Tensor& c : copies) cuda::widened(c, DType::bf16);
      });
    }
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
  for (Case c :
       {Case{0, 64, 512, 64}, {0, 256, 256, 64}, {20, 84, 512, 64}, {0, 1024, 64, 64}, {0, 1024, 64, 128}, {0, 4096, 8, 128}}) {
    if (tiny && c.T > 84) continue;
    if (tiny) c.B = 1;
    const int64_t N = int64_t(c.T) * c.B, H = tiny ? 1 : 8, C = H * c.D;
    std::vector<int32_t> at, limit;
    for (int32_t b = 0; b <= c.B; ++b) at.push_back(b * c.T);
    double pairs = 0;
    for (int64_t n = 0; n < N; ++n) limit.push_back(n % c.T < c.words ? int32_t(n % c.T) + 1 : c.T), pairs += limit.back();
    const Tensor qkv = random({N, 3 * C}, DType::bf16), o({N, C}, DType::bf16, Device::cuda),
                 lse({N, H}, DType::f32, Device::cuda);
    const Tensor a = Tensor::ints(at), l = Tensor::ints(limit), d = qkv.clone();
    const double flops = 4.0 * pairs * double(C);
    const std::string what = join("attention ", c.T, " tokens", c.words ? " (20 words)" : "", ", head ", c.D);
    multiplies(what, whose, 5, flops, [&] { card().attention(o, lse, qkv, {}, {}, a, {}, l); });
    multiplies(what + ", backward", whose, 5, 2.5 * flops, [&] { card().attention_bwd(d, o, o, lse, qkv, a, l); });
  }
  cuda::set_use_cudnn(was);
}

// The refiner's: 512 pictures of 64 pixels, from cells and between channels. Its floor is each tensor read or written once.
void convolution_rows(const char* whose, cuda::UseCudnn use) {
  const auto was = cuda::use_cudnn();
  cuda::set_use_cudnn(use);
  const int64_t B = tiny ? 2 : 512, side = tiny ? 8 : 32, N = B * side * side, O = 32;
  std::vector<int32_t> near;
  for (int64_t n = 0; n < N; ++n)
    for (int64_t k = 0; k < 9; ++k) {
      const int64_t y = n / side % side + k / 3 - 1, x = n % side + k % 3 - 1;
      near.push_back(y < 0 || y >= side || x < 0 || x >= side ? -1 : int32_t(n / (side * side) * side * side + y * side + x));
    }
  const Around around{Tensor::ints(near), {B, side, side}};
  for (const int64_t C : {16, 32}) {
    const Var x(random({N, C}, DType::bf16), true), w(random({O, 9 * C}, DType::f32), true), b(random({O}, DType::f32), true);
    const Tensor dy = random({N, O}, DType::bf16), loss = Tensor::zeros({1}, DType::f32, Device::cuda);
    const double bytes = double(N * (C + O) * 2);
    const std::string name = join("convolution 3x3, ", C, " to ", O, ", ", whose);
    moves(name, bytes, [&] {
      const NoGrad off;
      conv3x3(x, w, b, around);
    });
    moves(name + ", forward and backward", 3 * bytes, [&] {
      const Var y = conv3x3(x, w, b, around);
      x.set_grad({});
      record(loss, {y}, [&](Var::Node&) { y.set_grad(dy); }).backward();
    });
  }
  cuda::set_use_cudnn(was);
}

ModelConfig config(int64_t width, int64_t depth) {
  ModelConfig c;
  if (tiny) width = 64, depth = 4, c.size = 16, c.vocab = 4096 >> 4;
  c.width = c.embed = width, c.hidden = (width * 8 / 3 + 63) / 64 * 64;
  c.vision_depth = c.text_depth = depth / 4, c.fusion_depth = depth - 2 * (depth / 4);
  return c;
}

void step_row(MemoryWatch& memory, int64_t width, int64_t depth, int64_t B) {
  const std::string what = join("step, width ", width, " depth ", depth, " batch ", B);
  if (tiny) B = 4;
  memory.restart();
  Model m(config(width, depth));
  Flat flat = flatten([&](const Visit& v) { m.params(v); }, Device::cuda);
  Optimizer o(flat, {});
  const int64_t size = m.config.size, words = 15;
  JointBatch b;
  std::vector<float> pixels(size_t(B * size * size * 4));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = std::tanh(normal(1, i));
  b.B = B, b.size = size, b.pixels = pixels.data();
  for (int64_t i = 0; i < B; ++i) {
    std::vector<int> text{3};
    for (int64_t j = 1; j < words; ++j) text.push_back(20 + int(mix(5, uint64_t(i * 100 + j)) % uint64_t(m.config.vocab - 96)));
    text.push_back(2), b.text.push_back(text), b.same.push_back(uint64_t(i));
  }
  const JointConfig loss;
  int64_t step = 0;
  const auto one = [&] {
    b.seed = uint64_t(++step);
    const JointLoss l = joint_loss(m, b, loss);
    l.total.backward();
    o.apply(step, 1e-3, l.total.value());
  };
  const Work work = Counted::work(rates, one);
  one();
  const double s = seconds(tiny ? 1 : 10, one), P = double(size * size / (m.config.patch * m.config.patch));
  const double tokens = double(B) * (1 + loss.read) * (P + double(words));  // of the fusion blocks
  table.push_back({what,
                   {},
                   join(int(double(B) / s), " samples/s, ", int(tokens / s), " tokens/s, ", int(work.flops / s / 1e12),
                        " TFLOP/s (", int(100 * work.flops / rates.matrix / s), "% MFU of the matrix rate), ",
                        count_params(m) / 1000000, " M parameters, at most ", memory.most() >> 20, " MiB at once"),
                   work.seconds,
                   s});
}

void draw_rows(MemoryWatch& memory) {
  Model m(config(512, 12));
  flatten([&](const Visit& v) { m.params(v); }, Device::cuda);
  for (int B : {1, 16, 64}) {
    const std::string what = join("draw 64 px, 16 guided steps, batch ", B);
    if (tiny) B = std::min(B, 2);
    std::vector<DrawRequest> requests;
    for (int i = 0; i < B; ++i) requests.push_back({{3, 30, 31, 32}, {}, uint64_t(i)});
    const auto one = [&] { draw(m, 1, requests, {.steps = tiny ? 4 : 16}); };
    memory.restart();
    const Work work = Counted::work(rates, one);
    const double s = seconds(tiny ? 1 : 3, one);
    table.push_back({what,
                     {},
                     join(int(B / s), " pictures/s, ", work.kernels, " kernels, products and attention alone ",
                          int64_t(work.flops / rates.matrix * 1e6), " us, at most ", memory.most() >> 20, " MiB at once"),
                     work.seconds,
                     s});
  }
}

// Captions of 20 tokens, none of which may be the end. The floor: the weights of stem, blocks and head, read once a step.
void caption_rows() {
  const NoGrad off;
  constexpr int kEnd = 2;
  const int tokens = tiny ? 3 : 20;
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
      const double s = seconds(tiny ? 1 : 3, [&] {
        TextSearch search(m, rows, l, times, {{4, tokens, kEnd, 0.7}, sample, 3, allowed});
        while (!search.done()) search.step();
      });
      table.push_back({join("caption 64 px, ", drawn ? "drawn" : "beam 4", ", batch ", B),
                       {},
                       join(int(B * tokens / s), " tokens/s"),
                       tokens * weights / rates.copy,
                       s});
    }
}

void run(const std::string& json) {
  choose_device("cuda");
  choose_precision("bf16");
  MemoryWatch memory;
  rates = {copy_bandwidth(), tiny ? 1e12 : measure_peak(Device::cuda)};
  kernel_rows();
  product_rows();
  narrow_rows();
  const bool cudnn = !tiny && cuda::cudnn_missing().empty();
  attention_rows("ours", cuda::UseCudnn::never);
  if (cudnn) attention_rows("cuDNN", cuda::UseCudnn::always);
  convolution_rows("gathered", cuda::UseCudnn::never);
  if (cudnn) convolution_rows("cuDNN", cuda::UseCudnn::always);
  step_row(memory, 192, 9, 256), step_row(memory, 512, 12, 256), step_row(memory, 768, 16, 256),
      step_row(memory, 1024, 24, 256);
  draw_rows(memory), caption_rows();
  print_table();
  if (!json.empty()) write_json(json);
}

}  // namespace
}  // namespace duet

int main(int argc, char** argv) {
  try {
    std::string json;
    for (int i = 1; i < argc; ++i) {
      const std::string option = argv[i];
      if (option == "--tiny") duet::tiny = true;
      else if (option == "--json" && i + 1 < argc) json = argv[++i];
      else duet::refuse("unknown option ", option, "; there are --json FILE and --tiny");
    }
    duet::run(json);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "gpu_bench: %s\n", e.what());
    return 1;
  }
}
