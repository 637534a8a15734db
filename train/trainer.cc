#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <deque>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "fusion/fields.h"
#include "fusion/grow.h"
#include "fusion/weights.h"
#include "kernels/collectives.h"
#include "kernels/device.h"
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

static Tokenizer tokenizer_of(const std::string& path) {
  if (!fs::exists(path))
    refuse("config key 'tokenizer': ", path,
           ": no such file; paths of a config count from where duet is started: start it in the "
           "folder they are made for, or name the file with --set tokenizer=PATH");
  return Tokenizer::load(path);
}

struct Trainer::State {
  explicit State(const TrainConfig& c) : config(c), tokenizer(tokenizer_of(c.tokenizer)) {}
  TrainConfig config;
  Tokenizer tokenizer;
  std::unique_ptr<Model> model, teacher;
  Flat flat;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Loader> loader;
  std::unique_ptr<Collectives> world = join_world(World::from_env());
  int64_t done = 0, skipped = 0;
  std::vector<std::string> styles;  // that the data or the weights it starts from know

  // Steps whose numbers are still on the device, and those that were read since the last look.
  struct Pending {
    int64_t step;
    double lr;
    Tensor numbers;  // loss, flow, caption, contrast, gradient norm, 0 where the step was not applied
  };
  std::vector<Pending> pending;
  std::vector<std::pair<int64_t, Trainer::Step>> settled;
  void advance();
  void settle();

  // Parts of a checkpoint: one tensor each over the flat buffer.
  std::vector<std::pair<std::string, Tensor*>> parts() {
    return {{"weights", &flat.values}, {"m", &optimizer->m}, {"v", &optimizer->v}, {"ema", &optimizer->ema}};
  }
};

Trainer::Trainer(const TrainConfig& config, const std::function<std::string(const std::string&)>& find)
    : s_(new State(config)) {
  TrainConfig& c = s_->config;
  if (!(c.optimizer.lr > 0)) refuse("config key 'optimizer.lr': ", c.optimizer.lr, " is not above 0");
  if (c.steps < 1 || c.accumulate < 1) refuse("steps and accumulate must be 1 or more");
  choose_precision(c.precision);
  if (!(c.loss_scale >= 1) || std::exp2(std::round(std::log2(c.loss_scale))) != c.loss_scale)
    refuse("loss_scale = ", c.loss_scale, " is no power of two from 1 up");
  set_recompute(c.recompute);
  if (s_->tokenizer.size() > c.model.vocab)
    refuse("model.vocab = ", c.model.vocab, " is smaller than the ", s_->tokenizer.size(), " tokens of ", c.tokenizer);
  if (c.model.size != c.data.size) refuse("model.size = ", c.model.size, " and data.size = ", c.data.size, " must be equal");
  s_->model = std::make_unique<Model>(c.model, uint64_t(c.seed));
  std::vector<std::string> learned;
  const auto load = [&](const std::string& path) {
    Loaded l = load_weights(find ? find(path) : path);
    if (l.tokenizer.hash() != s_->tokenizer.hash()) refuse(path, ": was trained with another tokenizer than ", c.tokenizer);
    learned = l.styles;
    return std::move(l.model);
  };
  if (!c.distill.teacher.empty()) {
    s_->teacher = load(c.distill.teacher);
    if (s_->teacher->config.patch != c.model.patch)
      refuse(c.distill.teacher, ": has patches of ", s_->teacher->config.patch, " pixels, the config's model.patch is ",
             c.model.patch);
  }
  if (const std::string& from = c.start.empty() ? c.distill.teacher : c.start; !from.empty())
    take_parameters(*s_->model, *load(from), from);
  s_->flat = flatten([this](const Visit& v) { s_->model->params(v); }, device());
  s_->optimizer = std::make_unique<Optimizer>(s_->flat, c.optimizer);
  s_->loader = std::make_unique<Loader>(c.data, s_->tokenizer, uint64_t(c.seed));
  s_->styles = s_->loader->styles();
  for (const auto& s : learned)
    if (std::find(s_->styles.begin(), s_->styles.end(), s) == s_->styles.end()) s_->styles.push_back(s);
}
Trainer::~Trainer() = default;

Model& Trainer::model() { return *s_->model; }
const Tokenizer& Trainer::tokenizer() const { return s_->tokenizer; }
Loader& Trainer::loader() { return *s_->loader; }
int64_t Trainer::done() const { return s_->done; }

// One step, asked of the device and not waited for.
void Trainer::State::advance() {
  const TrainConfig& c = config;
  const int64_t step = done + 1;
  const Kernels& k = kernels(flat.values);
  const Tensor numbers = Tensor::zeros({6}, DType::f32, flat.values.device());
  const auto number = [&](int64_t i) { return numbers.slice(i, {1}); };
  const float share = 1.0f / float(c.accumulate), scale = precision() == Precision::fp16 ? float(c.loss_scale) : 1;
  for (int a = 0; a < c.accumulate; ++a) {
    const Batch b = loader->next();
    JointBatch j{
        b.B, b.size, b.pixels.data(), b.text, b.caption_hash, mix(uint64_t(c.seed), uint64_t(b.step)), tokenizer.bos()};
    if (!b.perturbed.empty()) j.perturbed = b.perturbed.data();
    FlowGoal goal;
    if (teacher) goal = distill_goal(*teacher, j, c.loss, c.distill), j.goal = &goal;
    const JointLoss l = joint_loss(*model, j, c.loss);
    weighted_sum({{l.total, share * scale}}).backward();
    const Tensor parts[] = {l.total.value(), l.flow.t, l.caption.t, l.contrast.t};
    for (int64_t i = 0; i < 4; ++i)
      if (parts[i]) k.add_scaled(number(i), parts[i], share);
  }
  const double warm = std::min(1.0, double(step) / double(std::max<int64_t>(1, c.warmup)));
  const double way = std::min(1.0, double(step) / double(c.steps));
  const double lr = c.optimizer.lr * warm * (c.final_lr + (1 - c.final_lr) * 0.5 * (1 + std::cos(3.14159265358979 * way)));
  world->all_reduce(flat.grads.data(), flat.n, DType::f32, Reduce::mean);
  copy_values(numbers.slice(4, {2}), optimizer->apply(step, lr, number(0), scale));
  pending.push_back({step, lr, numbers});
  done = step;
}

void Trainer::State::settle() {
  for (const Pending& p : pending) {
    const Tensor host = p.numbers.to(Device::cpu);
    const float* n = host.data();
    settled.push_back({p.step, {n[0], n[1], n[2], n[3], n[4], p.lr, n[5] != 0}});
    if (n[5] == 0) ++skipped;
  }
  pending.clear();
}

Trainer::Step Trainer::step() {
  s_->advance(), s_->settle();
  const Step last = s_->settled.back().second;
  s_->settled.clear();
  return last;
}

void Trainer::save() {
  s_->settle();
  std::vector<TensorOut> out;
  std::deque<Tensor> on_host;
  for (auto& [name, t] : s_->parts()) {
    const Tensor& h = on_host.emplace_back(t->to(Device::cpu));
    out.push_back({name, "F32", {s_->flat.n}, {h.data<uint8_t>(), h.bytes()}});
  }
  const SafetensorsImage image = safetensors_image(out, {{"config", to_json(s_->config)},
                                                         {"tokenizer", hex64(s_->tokenizer.hash())},
                                                         {"styles", styles_line(s_->styles)},
                                                         {"step", std::to_string(s_->done)},
                                                         {"skipped", std::to_string(s_->skipped)}});
  const std::string tokenizer = s_->tokenizer.json();
  save_checkpoint(s_->config.out, s_->done, {{"state.safetensors", {}, &image}, {"tokenizer.json", as_bytes(tokenizer)}},
                  int(s_->config.keep));
}

// "data.batch 64 -> 16" for every key of a config that is another than it was: whoever forgets a --set should see it.
static std::vector<std::string> differences(const std::string& was, const std::string& is) {
  const auto keys = [](const std::string& json) { return nlohmann::json::parse(json).flatten(); };
  const auto a = keys(was), b = keys(is);
  std::map<std::string, std::pair<std::string, std::string>> all;
  for (const auto& [key, value] : a.items())
    if (!value.is_null()) all[key].first = value.dump();  // null: an empty list
  for (const auto& [key, value] : b.items())
    if (!value.is_null()) all[key].second = value.dump();
  std::vector<std::string> out;
  for (const auto& [key, values] : all) {
    const auto& [before, now] = values;
    if (before == now) continue;
    std::string name = key.substr(1);
    std::replace(name.begin(), name.end(), '/', '.');
    out.push_back(join(name, " ", before.empty() ? "(none)" : before, " -> ", now.empty() ? "(none)" : now));
  }
  return out;
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
    const Tensor host(t->shape());
    std::memcpy(host.data<void>(), v.bytes.data(), v.bytes.size());
    copy_values(*t, host);
  }
  for (const auto& line : differences(f.metadata().at("config"), to_json(s_->config)))
    std::fprintf(stderr, "duet: not as before: %s\n", line.c_str());
  s_->flat.changed();
  s_->done = std::stoll(f.metadata().at("step"));
  s_->skipped = std::stoll(f.metadata().at("skipped"));
  s_->loader->seek(s_->done * s_->config.accumulate);
  return true;
}

void Trainer::with_ema(const std::function<void(const Model&)>& f) {
  struct Swap {  // puts the weights back also when f throws
    Flat& flat;
    const Tensor keep = flat.values.clone();
    ~Swap() { copy_values(flat.values, keep), flat.changed(); }
  } swap{s_->flat};
  copy_values(s_->flat.values, s_->optimizer->ema), s_->flat.changed();
  f(*s_->model);
}

static Provenance provenance(const TrainConfig& c, int64_t steps, const std::string& styles) {
  Provenance made{{"training", to_json(c)}, {"steps", std::to_string(steps)}};
  if (!c.distill.teacher.empty()) {
    Sampling sampling{c.distill.steps, 1, c.distill.shift};
    made["sampling"] = to_json(sampling);
  }
  if (!styles.empty()) made["styles"] = styles;
  return made;
}

void Trainer::save_model(const std::string& dir, DType type) {
  const Provenance made = provenance(s_->config, s_->done, styles_line(s_->styles));
  with_ema([&](const Model&) { save_weights(dir, *s_->model, s_->tokenizer, type, made); });
}

int64_t export_checkpoint(const std::string& out, const std::string& dir, DType type) {
  clean_checkpoints(out);
  const auto folder = newest_checkpoint(out);
  if (!folder) refuse(out, ": holds no checkpoint to export; 'out' is the folder that the run wrote to (--set out=FOLDER)");
  const std::string path = *folder + "/state.safetensors";
  const Safetensors f = Safetensors::open(path);
  TrainConfig c;
  from_json(f.metadata().at("config"), path, c);
  Model m(c.model);
  const Flat flat = flatten([&](const Visit& v) { m.params(v); });
  const TensorView& ema = f.at("ema");
  if (ema.bytes.size() != flat.values.bytes()) refuse(path, ": its weights are of another size than its config says");
  std::memcpy(flat.values.data<void>(), ema.bytes.data(), ema.bytes.size());
  const auto styles = f.metadata().find("styles");  // earlier checkpoints did not say
  const int64_t steps = std::stoll(f.metadata().at("step"));
  save_weights(dir, m, Tokenizer::load(*folder + "/tokenizer.json"), type,
               provenance(c, steps, styles == f.metadata().end() ? "" : styles->second));
  return steps;
}

// In a row. One alone is a batch out of the ordinary, or in fp16 an overflow; weights that are gone never apply a step again.
constexpr int64_t kMostRefused = 8;

void Trainer::run(const std::function<void(const Model&, const Tokenizer&, int64_t, const std::string&)>& sample,
                  const std::function<bool()>& stop) {
  const TrainConfig& c = s_->config;
  make_folder(c.out);
  write_file(c.out + "/config.toml", to_toml(c));
  RunLog log(c.out, s_->done > 0 ? std::optional<int64_t>(s_->done) : std::nullopt);
  ProgressLine line;
  const Device where = s_->model->device();
  const double peak = measure_peak(where);
  line.message(join("duet: ", count_params(*s_->model), " parameters, ", s_->loader->samples(), " samples, ",
                    where == Device::cuda ? kernels(where).name() : join(threads(), " threads"), ", ",
                    precision_name(precision(), where == Device::cuda), ", peak ", int64_t(peak / 1e9), " GFLOP/s"));
  Step mean{};
  int64_t refused = 0, n = 0, flops = gemm_flops();
  auto since = Clock::now();
  double wait = s_->loader->stats().wait_s;
  int64_t told = 0;
  const auto tell_cut = [&] {
    const Loader::Stats seen = s_->loader->stats();
    if (seen.cut == told) return;
    told = seen.cut;
    line.message(join("captions cut at data.max_tokens ", c.data.max_tokens, ": ", seen.cut, " of ", seen.captions,
                      "; the longest has ", seen.longest));
  };
  while (s_->done < c.steps && !stop()) {
    s_->advance();
    if (where == Device::cpu || s_->done % c.log_every == 0 || s_->done == c.steps) s_->settle();
    for (const auto& [at, r] : s_->settled) {
      mean.loss += r.loss, mean.flow += r.flow, mean.caption += r.caption, mean.contrast += r.contrast, mean.norm += r.norm;
      mean.lr = r.lr, ++n;
      refused = r.applied ? 0 : refused + 1;
      if (!r.applied) line.message(join("step ", at, ": loss or gradient is not finite; the step was not applied"));
      if (refused == kMostRefused) {
        log.flush();
        line.finish();
        refuse(c.out, ": ", kMostRefused, " steps in a row were not finite, up to step ", at, "; training has diverged: lower ",
               "optimizer.lr (", c.optimizer.lr, "); nothing was saved since the last checkpoint");
      }
    }
    s_->settled.clear();
    if (s_->done % c.log_every == 0 || s_->done == c.steps) {
      const double s = seconds(since), k = 1.0 / double(n), rate = double(n) * c.accumulate * c.data.batch / s;
      const double speed = double(gemm_flops() - flops) / s, waited = s_->loader->stats().wait_s - wait;
      log.scalars(s_->done, {{"loss", mean.loss * k},
                             {"flow", mean.flow * k},
                             {"caption", mean.caption * k},
                             {"contrast", mean.contrast * k},
                             {"grad_norm", mean.norm * k},
                             {"lr", mean.lr},
                             {"samples_per_s", rate},
                             {"gflops", speed / 1e9},
                             {"peak_share", speed / peak},
                             {"loader_wait", waited / s},
                             {"skipped_steps", double(s_->skipped)}});
      char text[200];
      std::snprintf(text, sizeof text,
                    "step %lld/%lld loss %.4f = flow %.4f caption %.3f contrast %.3f | %.0f samples/s %.0f GFLOP/s "
                    "%.0f%% | %s left",
                    (long long)s_->done, (long long)c.steps, mean.loss * k, mean.flow * k, mean.caption * k, mean.contrast * k,
                    rate, speed / 1e9, 100 * speed / peak, duration_text(s * k * double(c.steps - s_->done)).c_str());
      line.update(text);
      if (told == 0) tell_cut();
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
  tell_cut();
  if (s_->done >= c.steps) save_model(c.out + "/model", DType::bf16);
}

}  // namespace duet
