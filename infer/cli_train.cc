#include <atomic>
#include <csignal>
#include <cstdio>
#include <filesystem>

#include "fusion/fields.h"
#include "infer/cli.h"
#include "infer/sampler.h"
#include "kernels/device.h"
#include "kernels/error.h"
#include "text/korean.h"
#include "train/trainer.h"
#include "vision/codec.h"
#include "vision/draw.h"
#include "vision/patch.h"

namespace duet {
namespace {

std::atomic<int> asked{0};
void on_signal(int) {
  if (asked.fetch_add(1) > 0) std::_Exit(130);  // the second time: at once
}

// What a person wants to see while it trains: the same words, the same noise, again and again.
const char* const kWords[] = {"a red circle",
                              "파란 별",
                              "a small green triangle above a yellow square",
                              "빨간 원이 파란 사각형의 왼쪽에 있다",
                              "grinning face",
                              "고양이",
                              "rocket",
                              "사과",
                              "dog face",
                              "무지개",
                              "airplane",
                              "피자",
                              "red heart",
                              "나무",
                              "butterfly",
                              "자동차"};

void sample_grid(const Model& m, const Tokenizer& tokenizer, int64_t step, const std::string& dir) {
  std::vector<DrawRequest> requests;
  for (const char* w : kWords) requests.push_back({prompt_ids(tokenizer, w), {}, requests.size() + 1});
  const auto pixels = draw(m, tokenizer, requests, {});
  std::vector<std::pair<Image, std::string>> cells;
  const int S = int(m.config.size);
  for (size_t i = 0; i < requests.size(); ++i)
    cells.emplace_back(from_pixels(pixels.data() + i * size_t(S * S * 4), S, S), kWords[i]);
  make_folder(dir + "/samples");
  char name[40];
  std::snprintf(name, sizeof name, "/samples/step-%08lld.png", (long long)step);
  write_file_atomic(dir + name, encode_png(contact_sheet(cells, 8, 128)));
}

// A stopped run has checkpoints and no weights yet.
std::string what_next(const std::string& config, const std::string& out) {
  const std::string again = "  duet train " + config + " --set out=" + out;
  return "with the same --set as now:\n" + again + " --resume                goes on\n" + again + " --export " + out +
         "/model  writes its weights as they are\n";
}

}  // namespace

void add_train_verb(CLI::App& app) {
  auto* verb = app.add_subcommand("train", "train a model: flow, caption and contrastive losses in one run");
  struct Given {
    std::string path, exported, device = "auto";
    std::vector<std::string> sets;
    bool resume = false, show = false;
  };
  const auto given = std::make_shared<Given>();
  verb->add_option("CONFIG", given->path, "TOML file, for example assets/configs/xs.toml")->required();
  verb->add_option("--set", given->sets, "change a key: --set optimizer.lr=0.002 --set data.batch=32");
  add_device_option(verb, given->device);
  verb->add_flag("--resume", given->resume,
                 "go on from the newest checkpoint of 'out'; the same bits as if it had never stopped");
  verb->add_option("--export", given->exported,
                   "write the newest checkpoint's EMA weights and tokenizer to this folder, and leave")
      ->check([](const std::string& folder) { return folder.empty() ? "name a folder to write the weights to" : ""; });
  verb->add_flag("--show", given->show, "print the whole config and leave");
  verb->footer("Ctrl-C saves a checkpoint and leaves; a second Ctrl-C leaves at once.");
  verb->callback([given] {
    const auto& [path, exported, device, sets, resume, show] = *given;
    TrainConfig c;
    load_toml(path, c);
    for (const auto& s : sets) set_key(c, s);
    if (show) {
      std::fputs(to_toml(c).c_str(), stdout);
      return;
    }
    asked = 0;
    if (!exported.empty()) {
      const int64_t step = export_checkpoint(c.out, exported, DType::bf16);
      std::printf("%s: weights of step %lld\n", exported.c_str(), (long long)step);
      return;
    }
    choose_device(device);
    Trainer trainer(c, find_weights);
    if (resume) {
      if (!trainer.resume()) say(join("no checkpoint in ", c.out, " yet; starting at step 0"));
    } else if (std::filesystem::exists(c.out + "/log.jsonl")) {
      refuse(c.out, ": holds a run already; add --resume to go on with it or set another 'out'");
    }
    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
    trainer.run(sample_grid, [] { return asked > 0; });
    const bool whole = trainer.done() >= c.steps;
    std::printf("%s after %lld steps: %s\n", whole ? "done" : "stopped", (long long)trainer.done(), c.out.c_str());
    if (!whole) std::printf("%s", what_next(path, c.out).c_str());
  });
}

}  // namespace duet
