#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <random>

#include "fusion/shards.h"
#include "fusion/styles.h"
#include "infer/bestof.h"
#include "infer/cli.h"
#include "infer/pngmeta.h"
#include "infer/sampler.h"
#include "kernels/error.h"
#include "text/unicode.h"
#include "vision/codec.h"
#include "vision/draw.h"
#include "vision/patch.h"

namespace duet {
namespace {

constexpr int64_t kMostSeed = int64_t(1) << 53;  // JSON readers keep whole numbers up to here
constexpr int kMostSize = 1024, kMostTokens = 64;
constexpr size_t kMostWords = 1 << 20;  // bytes that are counted, though most are left out

struct GenerateOptions {
  std::string prompt, out, negative, style;
  int count = 1, size = 0, best = 1;
  int64_t seed = -1;
  DrawOptions draw;
  bool json = false, grid = false;
  OpenOptions open;
};

// "a/b.png" -> "a/b-3.png"
std::string numbered(const std::string& file, const std::string& part) {
  return file.substr(0, file.size() - 4) + "-" + part + ".png";
}

// The words as the model gets them. None at all: the text of no words, which draws whatever it likes.
// given: all of them, before a caption's length was cut to.
std::vector<int> ids_of(const Tokenizer& tokenizer, const char* what, const std::string& words, const std::string& given) {
  if (words.empty()) return {};
  const size_t whole = 1 + tokenizer.encode(given).size();
  if (whole > kMostTokens)
    std::fprintf(stderr, "duet: the %s has %zu tokens; the last %zu are left out%s\n", what, whole, whole - kMostTokens,
                 given == words ? "" : ", and the file's text keeps the beginning alone");
  return prompt_ids(tokenizer, words, kMostTokens);
}

struct Kept {
  Image image;
  int64_t seed;
};

// Pictures `first` to before `last`, each the best of its own --best-of seeds. words: as the model was told.
std::vector<Kept> draw_piece(const Opened& opened, const GenerateOptions& o, const DrawRequest& request,
                             const std::string& words, int first, int last) {
  const int w = o.draw.width, h = o.draw.height;
  std::vector<DrawRequest> requests;
  for (int64_t i = int64_t(first) * o.best; i < int64_t(last) * o.best; ++i) {
    requests.push_back(request);
    requests.back().seed = uint64_t(o.seed + i);
  }
  const auto pixels = draw(opened.model(), opened.tokenizer(), requests, o.draw);
  std::vector<Image> drawn;
  for (size_t i = 0; i < requests.size(); ++i)
    drawn.push_back(finished(pixels.data() + i * size_t(w) * size_t(h) * 4, w, h, o.draw.finish));
  std::vector<Kept> out;
  for (size_t i = 0; i < drawn.size(); i += size_t(o.best)) {
    const std::span<const Image> own(&drawn[i], size_t(o.best));
    const size_t best = o.best > 1 ? best_of(own_scores(opened.model(), opened.tokenizer(), words, own, BestBy::both)) : 0;
    out.push_back({own[best], int64_t(requests[i + best].seed)});
  }
  return out;
}

void generate(GenerateOptions o) {
  DrawnMeta meta;
  const std::string prompt = clean_caption(utf8_or_refuse("prompt", o.prompt), kMostWords),
                    negative = clean_caption(utf8_or_refuse("--negative", o.negative), kMostWords);
  meta.prompt = clean_caption(prompt), meta.negative = clean_caption(negative);
  meta.style = clean_caption(utf8_or_refuse("--style", o.style));
  if (o.seed < 0) o.seed = std::random_device{}();
  if (o.seed > kMostSeed - (int64_t(o.count) * o.best - 1))
    refuse("--seed ", o.seed, " is too large; up to 2^53 there is room for every picture");
  if (o.best > 1 && meta.prompt.empty()) refuse("--best-of needs words to judge by; the prompt has none");
  if (o.out.empty()) o.out = "duet-" + std::to_string(o.seed) + ".png";
  check_png_target("-o", o.out, ", which carries the prompt along");

  check_draw_options(o.draw);
  const Opened opened = open_model(o.open);
  settle(o.draw, opened.loaded.sampling);
  if (const auto& known = opened.loaded.styles; !meta.style.empty() && !known.empty()) {
    if (const auto name = learned_style(known, meta.style, prompt_is_korean(meta.prompt, meta.style))) meta.style = *name;
    else
      std::fprintf(stderr, "duet: %s has not learned the style '%s'; it knows %s\n", opened.name.c_str(), meta.style.c_str(),
                   both_names(known).c_str());
  }
  const Model& m = opened.model();
  const int S = o.size ? o.size : opened.size(), patch = int(m.config.patch);
  if (S < patch || S > kMostSize || S % patch)
    refuse("--size ", S, ": must be a multiple of ", patch, ", from ", patch, " to ", kMostSize, "; this model learned at ",
           opened.size());
  o.draw.width = o.draw.height = S;
  meta.width = meta.height = S;
  meta.precision = arithmetic();
  meta.model = opened.name, meta.model_hash = hex64(opened.loaded.hash), meta.version = kVersion;

  const std::string words = with_style(meta.prompt, meta.style);
  DrawRequest request{ids_of(opened.tokenizer(), "prompt", words, with_style(prompt, meta.style)),
                      ids_of(opened.tokenizer(), "negative prompt", meta.negative, negative), 0};
  if (request.prompt.empty()) {
    request.prompt = {opened.tokenizer().bos()};
    if (request.negative.empty()) o.draw.guidance = 1;  // nothing to steer by
  }
  meta.take(o.draw);
  // Pieces of about 1024 patches: large enough to fill the machine, small enough for its memory.
  const int piece = std::max(1, 1024 * patch / S * patch / S / o.best);
  const auto start = std::chrono::steady_clock::now();
  nlohmann::ordered_json files = nlohmann::ordered_json::array();
  std::vector<std::pair<Image, std::string>> cells;
  for (int first = 0; first < o.count; first += piece) {
    for (const Kept& kept : draw_piece(opened, o, request, words, first, std::min(o.count, first + piece))) {
      const Image& image = kept.image;
      meta.seed = kept.seed;
      const std::string path = o.count == 1 ? o.out : numbered(o.out, std::to_string(files.size() + 1));
      write_file_atomic(path, encode_png(image, drawn_texts(meta)));
      if (!o.json) std::printf("%s\n", path.c_str());
      files.push_back({{"file", path}, {"seed", meta.seed}});
      if (o.grid) cells.emplace_back(image, "seed " + std::to_string(meta.seed));
    }
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::string grid;
  if (o.grid) {
    grid = numbered(o.out, "grid");
    const int columns = std::clamp(int(std::ceil(std::sqrt(double(o.count)))), 1, 12);
    meta.seed = files[0]["seed"];  // the page is the way back to its first picture
    write_file_atomic(grid, encode_png(contact_sheet(cells, columns, std::clamp(S, 128, 256)), drawn_texts(meta)));
    if (!o.json) std::printf("%s\n", grid.c_str());
  }
  if (!o.json) {
    std::string kept;
    if (o.best > 1) {
      kept = join(" to ", o.seed + int64_t(o.count) * o.best - 1, ", kept");
      for (const auto& f : files) kept += join(" ", f["seed"].get<int64_t>());
    }
    std::fprintf(stderr, "duet: seed %lld%s, %d steps, guidance %g, %dx%d, %s: %.2f s\n", (long long)o.seed, kept.c_str(),
                 o.draw.steps, o.draw.guidance, S, S, meta.precision.c_str(), seconds);
    return;
  }
  nlohmann::ordered_json j{{"prompt", meta.prompt},
                           {"negative", meta.negative},
                           {"style", meta.style},
                           {"files", files},
                           {"steps", meta.steps},
                           {"guidance", o.draw.guidance},
                           {"heun", meta.heun},
                           {"shift", meta.shift},
                           {"guide_from", meta.guide_from},
                           {"guide_to", meta.guide_to},
                           {"finish", meta.finish},
                           {"width", S},
                           {"height", S},
                           {"precision", meta.precision},
                           {"model", meta.model},
                           {"model_hash", meta.model_hash},
                           {"seconds", seconds}};
  if (o.grid) j["grid"] = grid;
  std::printf("%s\n", j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

}  // namespace

void add_draw_verbs(CLI::App& app) {
  auto* verb = app.add_subcommand("generate", "draw pictures from words: PNG with transparency, prompt and seed inside");
  auto o = std::make_shared<GenerateOptions>();
  verb->add_option("PROMPT", o->prompt, "what to draw, English or Korean; \"\" draws whatever the model likes")->required();
  verb->add_option("-o,--out", o->out, "FILE.png; with -n above 1 FILE-1.png ... (default: duet-SEED.png)");
  verb->add_option("-n,--count", o->count, "how many, with seeds SEED, SEED+1 ... (with --best-of N: of N seeds each)")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  verb->add_option("--best-of", o->best, "draw as many for each and keep the one that the model reads best")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  verb->add_option("--seed", o->seed, "0 and up; the same seed and settings give the same bytes (default: random, printed)")
      ->check(CLI::Range(int64_t(0), kMostSeed));
  verb->add_option("--size", o->size, "pixels a side (default: what the model learned; meant for up to twice that)")
      ->check(CLI::Range(1, kMostSize));
  add_draw_options(verb, o->draw);
  verb->add_option("--negative", o->negative, "words to steer away from");
  verb->add_option("--style", o->style,
                   "look, said after the prompt: emoji, photo, outline ...; duet info lists what weights know");
  verb->add_flag("--grid", o->grid, "also one page of all: FILE-grid.png");
  verb->add_flag("--json", o->json, "print what was written, and how, as JSON");
  add_open_options(verb, o->open);
  verb->footer(
      "Paths go to standard output, the seed to standard error.\n"
      "  duet generate \"a red circle above a blue star\" -o circle.png --seed 7\n"
      "  duet generate \"고양이\" -n 4 --grid --style emoji -o cat.png");
  verb->callback([o] { generate(*o); });
}

}  // namespace duet
