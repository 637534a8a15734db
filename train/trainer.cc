#include "train/trainer.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "fusion/fields.h"
#include "fusion/weights.h"
#include "kernels/collectives.h"
#include "kernels/gemm.h"
#include "kernels/parallel.h"
#include "kernels/safetensors.h"
#include "train/checkpoint.h"
#include "train/logs.h"
#include "train/progress.h"

namespace duet {
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

static double seconds(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }

struct Trainer::State {
  TrainConfig config;
  Tokenizer tokenizer;
  std::unique_ptr<Model> model;
  Flat flat;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Loader> loader;
  std::unique_ptr<Collectives> world = join_world(World::from_env());
  int64_t done = 0, skipped = 0;

  // Parts of a checkpoint: one tensor each over the flat buffer.
  std::vector<std::pair<std::string, Tensor*>> parts() {
    return {{"weights", &flat.values}, {"m", &optimizer->m}, {"v", &optimizer->v}, {"ema", &optimizer->ema}};
  }
};

Trainer::Trainer(const TrainConfig& config) : s_(new State{.config = config, .tokenizer = Tokenizer::load(config.tokenizer)}) {
  TrainConfig& c = s_->config;
  if (c.steps < 1 || c.accumulate < 1) refuse("steps and accumulate must be 1 or more");
  choose_precision(c.precision);
  if (s_->tokenizer.size() > c.model.vocab)
    refuse("model.vocab = ", c.model.vocab, " is smaller than the ", s_->tokenizer.size(), " tokens of ", c.tokenizer);
  if (c.model.size != c.data.size)
    refuse("model.size = ", c.model.size, " and data.size = ", c.data.size, " must be equal");
  if (c.start.empty()) {
    s_->model = std::make_unique<Model>(c.model, uint64_t(c.seed));
  } else {
    Loaded l = load_weights(c.start);
    if (l.tokenizer.hash() != s_->tokenizer.hash()) refuse(c.start, ": was trained with another tokenizer than ", c.tokenizer);
    s_->model = std::move(l.model);
  }
  s_->flat = flatten([this](const Visit& v) { s_->model->params(v); });
  s_->optimizer = std::make_unique<Optimizer>(s_->flat, c.optimizer);
  s_->loader = std::make_unique<Loader>(c.data, s_->tokenizer, uint64_t(c.seed));
}
Trainer::~Trainer() = default;

Model& Trainer::model() { return *s_->model; }
const Tokenizer& Trainer::tokenizer() const { return s_->tokenizer; }
Loader& Trainer::loader() { return *s_->loader; }
int64_t Trainer::done() const { return s_->done; }

Trainer::Step Trainer::step() {
  const TrainConfig& c = s_->config;
  Step r{};
  const int64_t step = s_->done + 1;
  bool finite = true;
  for (int a = 0; a < c.accumulate; ++a) {
    const Batch b = s_->loader->next();
    JointBatch j{b.B, b.size, b.pixels.data(), b.text, b.caption_hash, mix(uint64_t(c.seed), uint64_t(b.step)),
                 s_->tokenizer.bos()};
    const JointLoss l = joint_loss(*s_->model, j, c.loss);
    const float k = 1.0f / float(c.accumulate);
    weighted_sum({{l.total, k}}).backward();
    r.loss += k * l.total.data()[0], r.flow += k * l.flow, r.caption += k * l.caption, r.contrast += k * l.contrast;
    finite = finite && std::isfinite(l.total.data()[0]);
  }
  const double warm = std::min(1.0, double(step) / double(std::max<int64_t>(1, c.warmup)));
  const double way = std::min(1.0, double(step) / double(c.steps));
  r.lr = c.optimizer.lr * warm * (c.final_lr + (1 - c.final_lr) * 0.5 * (1 + std::cos(3.14159265358979 * way)));
  s_->world->all_reduce(s_->flat.grads.data(), s_->flat.n, DType::f32, Reduce::mean);
  if (!finite) std::fill_n(s_->flat.grads.data(), s_->flat.n, NAN);  // so that the optimizer leaves everything as it is
  const auto o = s_->optimizer->step(step, r.lr);
  r.norm = o.norm, r.applied = o.applied;
  if (!o.applied) ++s_->skipped;
  s_->done = step;
  return r;
}

void Trainer::save() {
  std::vector<TensorOut> out;
  for (auto& [name, t] : s_->parts()) out.push_back({name, "F32", {s_->flat.n}, {t->data<uint8_t>(), t->bytes()}});
  const SafetensorsImage image = safetensors_image(
      out, {{"config", to_json(s_->config)}, {"tokenizer", hex64(s_->tokenizer.hash())},
            {"step", std::to_string(s_->done)}, {"skipped", std::to_string(s_->skipped)}});
  const std::string tokenizer = s_->tokenizer.json();
  save_checkpoint(s_->config.out, s_->done,
                  {{"state.safetensors", {}, &image}, {"tokenizer.json", as_bytes(tokenizer)}}, int(s_->config.keep));
}

bool Trainer::resume() {
  clean_checkpoints(s_->config.out);
  const auto folder = newest_checkpoint(s_->config.out);
  if (!folder) return false;
  const std::string path = *folder + "/state.safetensors";
  const Safetensors f = Safetensors::open(path);
  if (f.metadata().at("tokenizer") != hex64(s_->tokenizer.hash()))
    refuse(path, ": was trained with another tokenizer than ", s_->config.tokenizer);
  for (auto& [name, t] : s_->parts()) {
    const TensorView& v = f.at(name);
    if (v.bytes.size() != t->bytes()) refuse(path, ": is of another model size than the config; start a new 'out' folder");
    std::memcpy(t->data<void>(), v.bytes.data(), v.bytes.size());
  }
  s_->done = std::stoll(f.metadata().at("step"));
  s_->skipped = std::stoll(f.metadata().at("skipped"));
  s_->loader->seek(s_->done * s_->config.accumulate);
  return true;
}

void Trainer::with_ema(const std::function<void(const Model&)>& f) {
  struct Swap {  // puts the weights back also when f throws
    Tensor& values;
    const Tensor keep = values.clone();
    ~Swap() { std::copy_n(keep.data(), keep.count(), values.data()); }
  } swap{s_->flat.values};
  std::copy_n(s_->optimizer->ema.data(), s_->flat.n, s_->flat.values.data());
  f(*s_->model);
}

void Trainer::save_model(const std::string& dir, DType type) {
  with_ema([&](const Model&) {
    save_weights(dir, *s_->model, s_->tokenizer, type,
                 {{"training", to_json(s_->config)}, {"steps", std::to_string(s_->done)}});
  });
}

void Trainer::run(const std::function<void(const Model&, const Tokenizer&, int64_t, const std::string&)>& sample,
                  const std::function<bool()>& stop) {
  const TrainConfig& c = s_->config;
  fs::create_directories(c.out);
  write_file(c.out + "/config.toml", to_toml(c));
  RunLog log(c.out, s_->done > 0 ? std::optional<int64_t>(s_->done) : std::nullopt);
  ProgressLine line;
  const double peak = measure_peak();
  line.message(join("duet: ", count_params(*s_->model), " parameters, ", s_->loader->samples(), " samples, ", threads(),
                    " threads, ", precision() == Precision::bf16 ? "bf16 (AMX)" : "f32", ", peak ",
                    int64_t(peak / 1e9), " GFLOP/s"));
  Step mean{};
  int64_t n = 0, flops = gemm_flops();
  auto since = Clock::now();
  double wait = s_->loader->stats().wait_s;
  while (s_->done < c.steps && !stop()) {
    const Step r = step();
    mean.loss += r.loss, mean.flow += r.flow, mean.caption += r.caption, mean.contrast += r.contrast, mean.norm += r.norm;
    ++n;
    if (!r.applied) line.message(join("step ", s_->done, ": loss or gradient is not finite; the step was not applied"));
    if (s_->done % c.log_every == 0 || s_->done == c.steps) {
      const double s = seconds(since), k = 1.0 / double(n), rate = double(n) * c.accumulate * c.data.batch / s;
      const double speed = double(gemm_flops() - flops) / s, waited = s_->loader->stats().wait_s - wait;
      log.scalars(s_->done, {{"loss", mean.loss * k}, {"flow", mean.flow * k}, {"caption", mean.caption * k},
                             {"contrast", mean.contrast * k}, {"grad_norm", mean.norm * k}, {"lr", r.lr},
                             {"samples_per_s", rate}, {"gflops", speed / 1e9}, {"peak_share", speed / peak},
                             {"loader_wait", waited / s}, {"skipped_steps", double(s_->skipped)}});
      char text[200];
      std::snprintf(text, sizeof text,
                    "step %lld/%lld loss %.4f = flow %.4f caption %.3f contrast %.3f | %.0f samples/s %.0f GFLOP/s %.0f%% | %s left",
                    (long long)s_->done, (long long)c.steps, mean.loss * k, mean.flow * k, mean.caption * k,
                    mean.contrast * k, rate, speed / 1e9, 100 * speed / peak,
                    duration_text(s * k * double(c.steps - s_->done)).c_str());
      line.update(text);
      mean = {}, n = 0, flops = gemm_flops(), since = Clock::now(), wait = s_->loader->stats().wait_s;
    }
    if (s_->done % c.save_every == 0 && s_->done < c.steps) save(), log.flush();
    if (sample && c.sample_every > 0 && (s_->done % c.sample_every == 0 || s_->done == c.steps))
      with_ema([&](const Model& m) { sample(m, s_->tokenizer, s_->done, c.out); });
  }
  save();
  log.flush();
  line.finish();
  for (const auto& [reason, count] : s_->loader->stats().bad) line.message(join("skipped samples: ", count, " ", reason));
  if (s_->done >= c.steps) save_model(c.out + "/model", DType::bf16);
}

}  // namespace duet
