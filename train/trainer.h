// A training run: config in, checkpoints, logs and weights out. Resumes to the same bits.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "fusion/distill.h"
#include "fusion/joint.h"
#include "text/tokenizer.h"
#include "train/loader.h"
#include "train/optimizer.h"

namespace duet {

struct TrainConfig {
  std::string out = "runs/duet";  // checkpoints, logs, samples and, at the end, weights
  std::string tokenizer = "";     // tokenizer.json
  // Weights to start from instead of random ones, see fusion/grow.h for which fit; with distill.teacher by default those.
  std::string start = "";
  int64_t steps = 1000, warmup = 100;
  double final_lr = 0.05;  // share of lr the cosine ends at
  int accumulate = 1;      // batches a step
  int64_t seed = 1;
  bool recompute = false;          // on a card: keep less for the backward pass and make it again; for batches that do not fit
  std::string precision = "auto";  // auto (bf16 or fp16 where one is faster), bf16, fp16, f32
  double loss_scale = 4096;        // with fp16 gradients are of the loss times this: small ones would be lost. A power of two
  int64_t save_every = 200, keep = 2, log_every = 10, sample_every = 500;
  ModelConfig model;
  DataConfig data;
  JointConfig loss;
  DistillConfig distill;
  OptimizerConfig optimizer;
  template <class V>
  void fields(V&& v) {
    v("out", out), v("tokenizer", tokenizer), v("start", start), v("steps", steps), v("warmup", warmup);
    v("final_lr", final_lr), v("accumulate", accumulate), v("seed", seed), v("recompute", recompute), v("precision", precision),
        v("loss_scale", loss_scale);
    v("save_every", save_every), v("keep", keep), v("log_every", log_every), v("sample_every", sample_every);
    v("model", model), v("data", data), v("loss", loss), v("distill", distill), v("optimizer", optimizer);
  }
};

class Trainer {
 public:
  // find: where weights lie that `start` and `distill.teacher` name; none: there.
  explicit Trainer(const TrainConfig&, const std::function<std::string(const std::string&)>& find = {});
  ~Trainer();
  // From the newest checkpoint of config.out; false if there is none. Keys that are not as before go to stderr.
  bool resume();

  struct Step {
    double loss, flow, caption, contrast, norm, lr;
    bool applied;
  };
  Step step();  // one optimizer step
  int64_t done() const;
  void save();                                     // a checkpoint
  void save_model(const std::string& dir, DType);  // EMA weights and tokenizer
  // Runs f while the model holds its EMA weights.
  void with_ema(const std::function<void(const Model&)>& f);

  // Steps until config.steps, with logs, checkpoints, and `sample` (may be empty) every sample_every steps and at the end.
  // Ends early, saved, when stop() says so.
  void run(const std::function<void(const Model&, const Tokenizer&, int64_t step, const std::string& dir)>& sample,
           const std::function<bool()>& stop);

  Model& model();
  const Tokenizer& tokenizer() const;
  Loader& loader();

 private:
  struct State;
  std::unique_ptr<State> s_;
};

// Writes to `dir` the EMA weights and tokenizer of the newest checkpoint in `out`, as the run's end would have; all that it
// takes is in the checkpoint. Returns its step. Refuses an `out` without one.
int64_t export_checkpoint(const std::string& out, const std::string& dir, DType);

}  // namespace duet
