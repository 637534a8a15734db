#include "train/trainer.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "fusion/fields.h"
#include "fusion/weights.h"
#include "kernels/safetensors.h"
#include "tests/fusion/tiny.h"
#include "tests/train/faketree.h"
#include "train/checkpoint.h"

extern char** environ;

namespace duet {
namespace {
namespace fs = std::filesystem;

TrainConfig tiny(const std::string& out) {
  TrainConfig c;
  load_toml(std::string(DUET_SOURCE_DIR) + "/assets/configs/tiny.toml", c);
  c.tokenizer = std::string(DUET_SOURCE_DIR) + "/" + c.tokenizer;
  c.out = out;
  return c;
}

void run(Trainer& t) {
  t.run({}, [] { return false; });
}

std::string checkpoint(const std::string& root, int64_t step) {
  char name[40];
  std::snprintf(name, sizeof name, "/step-%08lld", (long long)step);
  return root + name;
}

// Names of the tensors of two checkpoints that are not the same bits: of weights, m, v and ema.
std::string differing(const std::string& a, const std::string& b) {
  const Safetensors x = Safetensors::open(a + "/state.safetensors"), y = Safetensors::open(b + "/state.safetensors");
  EXPECT_EQ(x.tensors().size(), 4u);
  std::string names;
  for (const auto& [name, t] : x.tensors())
    if (as_text(t.bytes) != as_text(y.at(name).bytes)) names += name + " ";
  return names;
}

// One batch, its noise and noise levels held fixed, is learnt by heart.
TEST(Trainer, OverfitsOneBatch) {
  const SettingsBack back;
  set_precision(Precision::f32);
  Model m(tiny_config());
  Flat f = flatten([&](const Visit& v) { m.params(v); });
  Optimizer o(f, {.decay = 0, .clip = 0});
  // Pictures whose patches are slopes of colour: the flow head sees 32 channels, so 64 free values a patch would not fit.
  TinyBatch t(4);
  for (size_t i = 0; i < t.pixels.size(); ++i) {
    const uint64_t of = i / 1024 * 4 + i % 4;  // picture and channel
    const float x = float(i / 4 % 16) / 8 - 1, y = float(i / 64 % 16) / 8 - 1;
    t.pixels[i] = 0.5f * (normal(1, of) + normal(2, of) * x + normal(3, of) * y);
  }
  const JointConfig c{.drop = 0, .read = 1};
  JointLoss first, last;
  constexpr int kSteps = 800;
  for (int step = 1; step <= kSteps; ++step) {
    last = joint_loss(m, t.batch, c);
    if (step == 1) first = last;
    last.total.backward();
    o.step(step, 0.01 * std::min(1.0, 1.1 - double(step) / kSteps));
  }
  std::printf("one batch: flow %.4f -> %.2e, caption %.3f -> %.2e, contrast %.3f -> %.2e\n", double(first.flow),
              double(last.flow), double(first.caption), double(last.caption), double(first.contrast), double(last.contrast));
  EXPECT_LT(last.flow, 0.01 * first.flow);
  EXPECT_LT(last.caption, 0.01 * first.caption);
  EXPECT_LT(last.contrast, 0.01 * first.contrast);
}

TEST(Trainer, ResumingSaysWhichSettingsAreOthers) {
  const SettingsBack back;
  const TestFolder dir;
  TrainConfig c = tiny(dir / "run");
  c.precision = "f32";
  Trainer first(c);
  first.step(), first.save();
  const auto said = [](const TrainConfig& now) {
    Trainer again(now);
    testing::internal::CaptureStderr();
    EXPECT_TRUE(again.resume());
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(said(c), "");
  const int64_t seed = c.seed;
  c.seed = seed + 1, c.optimizer.lr = 0.5;
  EXPECT_EQ(said(c), join("duet: not as before: optimizer.lr ",
                          nlohmann::json::parse(to_json(tiny(dir / "run")))["optimizer"]["lr"].dump(),
                          " -> 0.5\nduet: not as before: seed ", seed, " -> ", seed + 1, "\n"));
}

// The weights of a checkpoint are those that the run writes at its end, and nothing but the checkpoint is needed.
TEST(Trainer, ExportsWhatACheckpointHolds) {
  const SettingsBack back;
  const TestFolder dir;
  TrainConfig c = tiny(dir / "run");
  c.precision = "f32", c.steps = 3, c.warmup = 1;
  Trainer t(c);
  run(t);
  EXPECT_EQ(export_checkpoint(c.out, dir / "again", DType::bf16), 3);
  for (const char* file : {"/model.safetensors", "/tokenizer.json"})
    EXPECT_EQ(read_file(dir / ("again" + std::string(file)), 1 << 26), read_file(c.out + "/model" + file, 1 << 26)) << file;
  const std::string none = dir / "none";
  EXPECT_EQ(refusal([&] { export_checkpoint(none, dir / "x", DType::bf16); }),
            none + ": holds no checkpoint to export; 'out' is the folder that the run wrote to (--set out=FOLDER)");
}

TEST(Trainer, LooksForItsStartWhereItIsTold) {
  const SettingsBack back;
  const TestFolder dir;
  TrainConfig c = tiny(dir / "run");
  Trainer first(c);
  first.save_model(dir / "weights", DType::f32);
  c.start = "shipped";
  EXPECT_NE(refusal([&] { Trainer t(c); }), "");
  std::string asked;
  Trainer t(c, [&](const std::string& name) { return asked = name, dir / "weights"; });
  EXPECT_EQ(asked, "shipped");
}

TEST(Trainer, SaysThatCaptionsAreCut) {
  const SettingsBack back;
  const TestFolder dir;
  const auto said = [&](const std::string& out, int most) {
    TrainConfig c = tiny(dir / out);
    c.steps = c.log_every = 1, c.precision = "f32", c.data.max_tokens = most;
    Trainer t(c);
    testing::internal::CaptureStderr();
    run(t);
    return testing::internal::GetCapturedStderr();
  };
  const std::string whole = said("whole", 200), cut = said("cut", 4);
  EXPECT_EQ(whole.find("captions cut"), std::string::npos) << whole;
  EXPECT_NE(cut.find("captions cut at data.max_tokens 4: "), std::string::npos) << cut;
  EXPECT_NE(cut.find("; the longest has "), std::string::npos) << cut;
}

TEST(Trainer, ATokenizerThatIsNotThereNamesItsKey) {
  const TestFolder dir;
  TrainConfig c = tiny(dir / "run");
  c.tokenizer = dir / "none.json";
  EXPECT_EQ(refusal([&] { Trainer t(c); }).find(join("config key 'tokenizer': ", c.tokenizer, ": no such file; ")), 0u);
}

// A student of one step learns what its teacher does in two: its loss falls below what it was as a copy of the teacher, it
// goes on to the same bits after a stop, and its weights say how to draw with them.
TEST(Trainer, LearnsFewStepsFromATeacher) {
  const SettingsBack back;
  const TestFolder dir;
  TrainConfig c = tiny(dir / "teacher");
  c.steps = 30, c.warmup = 2, c.save_every = 1000, c.precision = "f32";
  Trainer teacher(c);
  run(teacher);

  const auto student = [&](const std::string& name, int64_t steps) {
    TrainConfig s = tiny(dir / name);
    s.steps = steps, s.warmup = 2, s.save_every = 1000, s.precision = "f32", s.seed = 5;
    s.distill = {.teacher = dir / "teacher/model", .steps = 2, .parts = 2, .guidance = 2, .shift = 3};
    return s;
  };
  Trainer whole(student("whole", 40));
  double first = 0, last = 0;
  for (int i = 0; i < 40; ++i) (i < 5 ? first : last) += i < 5 || i >= 35 ? whole.step().flow : (whole.step(), 0);
  EXPECT_LT(last, 0.7 * first);

  Trainer half(student("half", 4));
  half.step(), half.step(), half.save();
  Trainer again(student("half", 4)), straight(student("straight", 4));
  ASSERT_TRUE(again.resume());
  run(again), run(straight);
  EXPECT_EQ(differing(checkpoint(dir / "half", 4), checkpoint(dir / "straight", 4)), "");

  const Loaded l = load_weights(dir / "half/model");
  EXPECT_EQ(l.sampling.steps, 2);
  EXPECT_EQ(l.sampling.guidance, 1);
  EXPECT_EQ(load_weights(dir / "teacher/model").sampling.steps, Sampling{}.steps);
  TrainConfig other = student("other", 4);
  other.model.hidden -= 16;
  EXPECT_THROW(Trainer{other}, Error);
}

TEST(Trainer, ResumesAtEveryStepToTheSameBits) {
  const SettingsBack back;
  const TestFolder dir;
  for (const char* precision : {"f32", "bf16", "fp16"}) {
    if (precision == std::string("bf16") && bf16_unit() == Bf16Unit::none) continue;
    if (precision == std::string("fp16") && !has_fp16()) continue;
    const auto config = [&](const std::string& name) {
      TrainConfig c = tiny(dir / (precision + name));
      c.precision = precision, c.steps = 6, c.warmup = 2, c.save_every = 1, c.keep = 100, c.accumulate = 2;
      c.data.batch = 4;
      return c;
    };
    set_threads(1);
    Trainer whole(config("whole"));
    EXPECT_FALSE(whole.resume());
    run(whole);
    EXPECT_EQ(whole.done(), 6);
    for (int threads : {1, 2})
      for (int64_t k = 1; k < 6; ++k) {
        set_threads(threads);
        const TrainConfig c = config(join(threads, "from", k));
        fs::create_directories(c.out);
        fs::copy(checkpoint(config("whole").out, k), checkpoint(c.out, k), fs::copy_options::recursive);
        Trainer again(c);
        EXPECT_TRUE(again.resume());
        EXPECT_EQ(again.done(), k);
        run(again);
        EXPECT_EQ(differing(checkpoint(config("whole").out, 6), checkpoint(c.out, 6)), "")
            << "resumed at " << k << " with " << threads << " threads, " << precision;
      }
  }
}

// A loss too large for a float: the step changes nothing, is counted, and the next one goes on.
TEST(Trainer, ANonFiniteLossIsNotApplied) {
  const SettingsBack back;
  const TestFolder dir;
  TrainConfig c = tiny(dir / "run");
  c.loss.flow = 3e38;
  Trainer t(c);
  const auto bits = [&] {
    t.save();
    return checkpoint(c.out, t.done());
  };
  const std::string before = bits();
  const Trainer::Step s = t.step();
  EXPECT_FALSE(s.applied);
  EXPECT_FALSE(std::isfinite(s.loss));
  EXPECT_EQ(differing(before, bits()), "");
  EXPECT_EQ(Safetensors::open(checkpoint(c.out, 1) + "/state.safetensors").metadata().at("skipped"), "1");
  c.steps = 30, c.out = dir / "diverged";
  try {
    Trainer(c).run({}, [] { return false; });
    ADD_FAILURE() << "30 steps, none of them applied";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("training has diverged: lower optimizer.lr"), std::string::npos) << e.what();
  }
  EXPECT_FALSE(fs::exists(c.out + "/model"));
  for (const double lr : {0.0, -1.0}) {
    TrainConfig none = c;
    none.optimizer.lr = lr;
    EXPECT_THROW(Trainer{none}, Error) << lr;
  }
  c.loss.flow = 1, c.out = dir / "sound";
  Trainer sound(c);
  sound.save();
  EXPECT_TRUE(sound.step().applied);
  sound.save();
  EXPECT_EQ(differing(checkpoint(c.out, 0), checkpoint(c.out, 1)), "ema m v weights ");
}

// The loss is scaled for fp16 and its gradients are scaled back: a norm 4096 times off would show. How exact fp16 is:
// Joint.Fp16GradientsAreF32s.
TEST(Trainer, Fp16StepsHaveTheNormOfF32s) {
  if (!has_fp16()) GTEST_SKIP() << "this CPU has no AVX-512 FP16";
  const SettingsBack back;
  const TestFolder dir;
  const auto first = [&](const char* precision, double scale) {
    TrainConfig c = tiny(dir / precision);
    c.precision = precision, c.loss_scale = scale;
    return Trainer(c).step();
  };
  const auto want = first("f32", 1);
  for (const double scale : {256.0, 4096.0}) {
    const auto got = first("fp16", scale);
    EXPECT_TRUE(got.applied);
    EXPECT_NEAR(got.norm / want.norm, 1, 0.1) << scale;
    EXPECT_NEAR(got.loss / want.loss, 1, 0.1) << scale;
  }
  EXPECT_FALSE(first("fp16", 0x1p100).applied) << "beyond a half's range";
  TrainConfig c = tiny(dir / "odd");
  c.loss_scale = 1000;
  EXPECT_THROW(Trainer{c}, Error) << "no power of two";
}

TEST(Trainer, WritesWeightsThatDraw) {
  const SettingsBack back;
  const TestFolder dir;
  TrainConfig c = tiny(dir / "run");
  c.steps = 3, c.save_every = 100;
  Trainer t(c);
  run(t);
  const Loaded l = load_weights(c.out + "/model");
  EXPECT_EQ(l.metadata.at("steps"), "3");
  c.start = c.out + "/model", c.out = dir / "more";
  Trainer more(c);
  EXPECT_TRUE(more.step().applied);
  // What the first weights knew, the next ones do.
  save_weights(dir / "styled", t.model(), t.tokenizer(), DType::f32, {{"styles", "emoji, 3D"}});
  c.start = dir / "styled";
  Trainer(c).save_model(dir / "again", DType::f32);
  EXPECT_EQ(load_weights(dir / "again").styles, (std::vector<std::string>{"emoji", "3D"}));
}

// Weights of a smaller model start a larger one: what they have is taken, what is new begins as it does in a new model.
TEST(Trainer, StartsFromWeightsThatLackAPart) {
  const SettingsBack back;
  const TestFolder dir;
  TrainConfig c = tiny(dir / "run");
  c.model.refine = 0;
  Trainer small(c);
  small.save_model(dir / "small", DType::f32);
  c.start = dir / "small", c.model.refine = 8;
  Trainer grown(c);
  const auto all = [](Model& m) {
    std::map<std::string, Tensor> out;
    m.params([&](const std::string& name, Var& v) { out[name] = v.value(); });
    return out;
  };
  Model fresh(c.model, uint64_t(c.seed));
  const auto from = all(small.model()), got = all(grown.model()), begun = all(fresh);
  EXPECT_GT(got.size(), from.size());
  for (const auto& [name, t] : got) {
    const auto& want = from.count(name) ? from : begun;
    EXPECT_EQ(std::memcmp(t.data(), want.at(name).data(), t.bytes()), 0) << name;
  }
  const auto complaint = [&](const TrainConfig& c) -> std::string {
    try {
      Trainer t(c);
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  };
  TrainConfig other = c;
  other.model.hidden /= 2;
  EXPECT_NE(complaint(other).find("give both the same sizes"), std::string::npos) << complaint(other);
  grown.save_model(dir / "grown", DType::f32);
  c.start = dir / "grown", c.model.refine = 0;
  EXPECT_NE(complaint(c).find("which the config's [model] lacks"), std::string::npos) << complaint(c);
}

TEST(Trainer, RefusesConfigsThatDoNotFit) {
  const TestFolder dir;
  const auto complaint = [&](const std::function<void(TrainConfig&)>& change) -> std::string {
    TrainConfig c = tiny(dir / "run");
    change(c);
    try {
      Trainer t(c);
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  };
  EXPECT_EQ(complaint([](auto&) {}), "accepted");
  EXPECT_NE(complaint([](auto& c) { c.model.vocab = 300; }).find("model.vocab"), std::string::npos);
  EXPECT_NE(complaint([](auto& c) { c.data.size = 32; }).find("must be equal"), std::string::npos);
  EXPECT_NE(complaint([](auto& c) { c.precision = "f64"; }).find("f64"), std::string::npos);
  EXPECT_NE(complaint([](auto& c) { c.steps = 0; }).find("steps"), std::string::npos);
}

// What the killed process runs; see below.
TrainConfig killed_config(const std::string& out) {
  TrainConfig c = tiny(out);
  c.steps = 40, c.save_every = 1, c.keep = 2, c.data.batch = 4;
  return c;
}

TEST(TrainerChild, DISABLED_TrainsUntilItIsKilled) {
  const char* out = std::getenv("DUET_TEST_RUN");
  ASSERT_TRUE(out);
  Trainer t(killed_config(out));
  t.resume();
  run(t);
}

// kill -9 at any moment, also in the middle of a save: the newest checkpoint loads, no step that was saved is lost, and the
// run that goes on ends at the bits of one that was never killed. DUET_KILLS sets how many times (30).
TEST(Trainer, SurvivesKill9) {
  const SettingsBack back;
  const TestFolder dir;
  const int kills = std::getenv("DUET_KILLS") ? std::atoi(std::getenv("DUET_KILLS")) : 30;
  {
    Trainer whole(killed_config(dir / "whole"));
    run(whole);
  }
  int killed = 0, saving = 0, runs = 0;
  for (; killed < kills; ++runs) {
    const std::string out = dir / join("run", runs);
    int64_t newest = 0;
    for (;;) {
      const std::string variable = "DUET_TEST_RUN=" + out;
      std::vector<char*> env;
      for (char** e = environ; *e; ++e) env.push_back(*e);
      env.push_back(const_cast<char*>(variable.c_str())), env.push_back(nullptr);
      const char* args[] = {"train_tests", "--gtest_filter=TrainerChild.*", "--gtest_also_run_disabled_tests",
                            "--gtest_brief=1", nullptr};
      posix_spawn_file_actions_t files;
      posix_spawn_file_actions_init(&files);
      posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
      posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
      pid_t child;
      ASSERT_EQ(posix_spawn(&child, "/proc/self/exe", &files, nullptr, const_cast<char**>(args), env.data()), 0);
      posix_spawn_file_actions_destroy(&files);
      // Wait for its first new checkpoint, so that every process gets somewhere, then a moment more.
      int status = 0;
      pid_t ended = 0;
      const auto start = std::chrono::steady_clock::now();
      while (killed < kills && !fs::exists(checkpoint(out, newest + 1)) && !(ended = waitpid(child, &status, WNOHANG))) {
        ASSERT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60)) << "no progress";
        std::this_thread::sleep_for(std::chrono::microseconds(300));
      }
      if (killed < kills && !ended) {
        std::this_thread::sleep_for(std::chrono::microseconds(int64_t(30000 * uniform(77, uint64_t(killed)))));
        ::kill(child, SIGKILL);
        ++killed;
      }
      if (!ended) {
        ASSERT_EQ(waitpid(child, &status, 0), child);
      }
      for (const auto& e : fs::directory_iterator(out)) saving += e.path().filename().string().starts_with(".tmp");
      const auto found = newest_checkpoint(out);
      ASSERT_TRUE(found) << "after kill " << killed;
      verify_checkpoint(*found);
      ASSERT_GE(checkpoint_step(*found), newest) << "a saved step was lost by kill " << killed;
      newest = checkpoint_step(*found);
      if (WIFEXITED(status)) {
        ASSERT_EQ(WEXITSTATUS(status), 0);
        break;
      }
    }
    EXPECT_EQ(newest, 40);
    EXPECT_EQ(differing(checkpoint(dir / "whole", 40), checkpoint(out, 40)), "");
    EXPECT_EQ(as_text(Safetensors::open(out + "/model/model.safetensors").at("table").bytes),
              as_text(Safetensors::open(dir / "whole/model/model.safetensors").at("table").bytes));
  }
  std::printf("%d kills in %d runs, %d of them in the middle of a save\n", killed, runs, saving);
}

}  // namespace
}  // namespace duet
