// `duet plan CONFIG`: what a training run will take, before it is started.
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "fusion/fields.h"
#include "infer/cli.h"
#include "kernels/device.h"
#include "kernels/error.h"
#include "kernels/parallel.h"
#include "kernels/random.h"
#include "train/trainer.h"

namespace duet {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int64_t kFew = 2, kMore = 6;  // pictures of the measured steps; their difference is what a sample takes

// Products of 8192 x 8192 in bf16 on an H100 SXM, measured; and the share of them that a training step is supposed to
// reach.
constexpr double kH100 = 798e12, kShare = 0.25;

JointBatch random_batch(const TrainConfig& c, int64_t B, std::vector<float>& pixels) {
  JointBatch b;
  b.B = B, b.size = c.model.size;
  pixels.resize(size_t(B * b.size * b.size * 4));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = float(uniform(7, i) * 2 - 1);
  b.pixels = pixels.data();
  for (int64_t i = 0; i < B; ++i) {
    std::vector<int> t(size_t(c.data.max_tokens));
    for (size_t j = 0; j < t.size(); ++j) t[j] = int(mix(uint64_t(i), j) % uint64_t(c.model.vocab));
    b.text.push_back(std::move(t));
    b.same.push_back(uint64_t(i));
  }
  return b;
}

struct Measured {
  double flops, seconds, bytes;  // of products; of memory held when it had run forward
};

template <class F>
Measured measure(F&& f) {
  const int64_t flops = gemm_flops();
  const auto start = Clock::now();
  const double bytes = f();
  return {double(gemm_flops() - flops), std::chrono::duration<double>(Clock::now() - start).count(), bytes};
}

struct Plan {
  int64_t parameters = 0;
  double sample_flops = 0, step_flops = 0;   // of a sample, forward and backward; of the optimizer's step
  double fixed_bytes = 0, sample_bytes = 0;  // parameters, gradients, optimizer, EMA; of a sample's activations
  double rate = 0;                           // FLOP/s of the measured steps
};

Plan measure_plan(const TrainConfig& c) {
  Plan p;
  Model m(c.model, uint64_t(c.seed));
  Flat flat = flatten([&](const Visit& v) { m.params(v); });
  Optimizer optimizer(flat, c.optimizer);
  p.parameters = count_params(m);
  p.fixed_bytes = double(flat.n) * sizeof(float) * 5;  // values, gradients, two of the optimizer, EMA
  std::vector<float> pixels;
  // B pictures, of which R are also read; none without words.
  const auto run = [&](int64_t B, int64_t R) {
    JointBatch b = random_batch(c, B, pixels);
    JointConfig loss = c.loss;
    loss.read = double(R) / double(B), loss.drop = 0;
    return measure([&] {
      const JointLoss l = joint_loss(m, b, loss);
      const double held = double(memory_stats().in_use);  // before backward frees it
      l.total.backward();
      return held;
    });
  };
  run(kFew, 1);  // pages and packed weights
  const Measured few = run(kFew, 1), more = run(kMore, 1), read = run(kMore, kMore);
  const Measured step = measure([&] { return optimizer.step(1, 1e-6), 0.0; });
  const auto sample = [&](double Measured::*what) {
    const double drawn = (more.*what - few.*what) / double(kMore - kFew), said = (read.*what - more.*what) / double(kMore - 1);
    return std::max(0.0, drawn + c.loss.read * said);
  };
  p.sample_flops = sample(&Measured::flops), p.sample_bytes = sample(&Measured::bytes);
  p.step_flops = step.flops;
  const Measured* all[] = {&more, &read, &step};
  double flops = 0, seconds = 0;
  for (const Measured* x : all) flops += x->flops, seconds += x->seconds;
  p.rate = flops / seconds;
  return p;
}

std::string span(double seconds) {
  char text[40];
  if (seconds < 120) std::snprintf(text, sizeof text, "%.0f s", seconds);
  else if (seconds < 7200) std::snprintf(text, sizeof text, "%.0f min", seconds / 60);
  else if (seconds < 48 * 3600) std::snprintf(text, sizeof text, "%.1f h", seconds / 3600);
  else std::snprintf(text, sizeof text, "%.1f days", seconds / 86400);
  return text;
}

void print_plan(const TrainConfig& c, const Plan& p, bool json) {
  const double batch = double(c.data.batch) * c.accumulate, samples = batch * double(c.steps);
  const double step = batch * p.sample_flops + p.step_flops, total = step * double(c.steps);
  const double memory = p.fixed_bytes + double(c.data.batch) * p.sample_bytes;
  const double here = total / p.rate, card = total / (kH100 * kShare);
  if (json) {
    const nlohmann::ordered_json j{{"parameters", p.parameters},
                                   {"sample_flops", p.sample_flops},
                                   {"optimizer_flops", p.step_flops},
                                   {"step_flops", step},
                                   {"samples", samples},
                                   {"total_flops", total},
                                   {"fixed_bytes", p.fixed_bytes},
                                   {"sample_bytes", p.sample_bytes},
                                   {"memory_bytes", memory},
                                   {"cpu_flops_per_s", p.rate},
                                   {"cpu_seconds", here},
                                   {"h100_flops_per_s_supposed", kH100 * kShare},
                                   {"h100_seconds", card}};
    std::printf("%s\n", j.dump(2).c_str());
    return;
  }
  std::printf("parameters     %.2f million (%.0f MiB as bf16)\n", double(p.parameters) / 1e6,
              double(p.parameters) * 2 / (1 << 20));
  std::printf("a sample       %.2f GFLOP of products, forward and backward, captions of %d tokens\n", p.sample_flops / 1e9,
              c.data.max_tokens);
  std::printf("a step         %.2f TFLOP: %.0f samples and the optimizer's %.3f\n", step / 1e12, batch, p.step_flops / 1e12);
  std::printf("the run        %lld steps, %.2f million samples, %.2e FLOP\n", (long long)c.steps, samples / 1e6, total);
  std::printf("memory, f32    %.2f GiB: parameters and optimizer %.2f, activations of a batch of %d %.2f\n", memory / (1 << 30),
              p.fixed_bytes / (1 << 30), c.data.batch, double(c.data.batch) * p.sample_bytes / (1 << 30));
  std::printf("this CPU       %s: %.0f GFLOP/s in steps of %lld samples just now, %d threads, %s\n", span(here).c_str(),
              p.rate / 1e9, (long long)kMore, threads(), precision_name(precision(), false));
  std::printf("an H100        %s at %.0f TFLOP/s: supposed, %.0f %% of the measured rate of large products\n",
              span(card).c_str(), kH100 * kShare / 1e12, 100 * kShare);
}

}  // namespace

void add_plan_verb(CLI::App& app) {
  auto* verb = app.add_subcommand("plan", "what a training run takes: parameters, FLOPs, memory, time");
  struct Given {
    std::string path;
    std::vector<std::string> sets;
    bool json = false;
  };
  const auto given = std::make_shared<Given>();
  verb->add_option("CONFIG", given->path, "TOML file, for example assets/configs/s.toml")->required();
  verb->add_option("--set", given->sets, "change a key: --set model.width=512 --set data.batch=256");
  verb->add_flag("--json", given->json, "as JSON");
  verb->footer("Takes a few steps of random pictures on this CPU to measure. Needs neither data nor a tokenizer.");
  verb->callback([given] {
    TrainConfig c;
    load_toml(given->path, c);
    for (const auto& s : given->sets) set_key(c, s);
    choose_precision(c.precision);
    print_plan(c, measure_plan(c), given->json);
  });
}

}  // namespace duet
