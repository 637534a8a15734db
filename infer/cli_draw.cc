#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <span>
#include <sstream>

#include "fusion/shards.h"
#include "fusion/styles.h"
#include "infer/bestof.h"
#include "infer/cli.h"
#include "infer/frame.h"
#include "infer/pngmeta.h"
#include "infer/sampler.h"
#include "kernels/error.h"
#include "kernels/files.h"
#include "kernels/quote.h"
#include "text/korean.h"
#include "text/unicode.h"
#include "vision/codec.h"
#include "vision/draw.h"
#include "vision/patch.h"

namespace duet {
namespace {

constexpr int64_t kMostSeed = int64_t(1) << 53;  // JSON readers keep whole numbers up to here
constexpr int kUsualBest = 4;                    // twice the time of one
constexpr int kMostTokens = 64;
constexpr size_t kMostWords = 1 << 20;  // bytes that are counted, though most are left out

struct GenerateOptions {
  std::string prompt, prompts, out, negative, style, size;
  int count = 1, width = 0, height = 0;
  int best = 0;  // 0: kUsualBest where no seed is named and there are words to choose by, else 1
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
// given: the same before clean_caption() cut them to a caption's length. what: names them in a warning.
std::vector<int> ids_of(const Tokenizer& tokenizer, const std::string& what, const std::string& words,
                        const std::string& given) {
  if (words.empty()) return {};
  const size_t whole = 1 + tokenizer.encode(given).size();
  if (whole > kMostTokens)
    say(join(what, " has ", whole, " tokens; the last ", whole - kMostTokens, " are left out",
             given == words ? "" : ", and the file's text keeps the beginning alone"));
  return prompt_ids(tokenizer, words, kMostTokens);
}

// A prompt as it was said, and how a message calls it.
struct Said {
  std::string what, words;
};

std::string all_of_stdin() {
  std::string all(kMostWords + 1, 0);
  all.resize(std::fread(all.data(), 1, all.size(), stdin));
  if (all.size() > kMostWords) refuse("--prompts -: more than ", kMostWords, " bytes");
  return all;
}

// The lines of a file that say something.
std::vector<Said> lines_of(const std::string& file) {
  std::string all = file == "-" ? all_of_stdin() : read_file(file, kMostWords);
  if (all.starts_with("\xef\xbb\xbf")) all.erase(0, 3);  // a byte order mark, as Windows' editors write it
  std::istringstream text(all);
  std::vector<Said> out;
  std::string line;
  for (int n = 1; std::getline(text, line); ++n) {
    const std::string what = file + ", line " + std::to_string(n);
    if (const size_t at = broken_utf8(line); at != line.npos)
      refuse(what, ": ", shown_byte(line, at), " is not UTF-8; save the prompts as plain text in UTF-8");
    if (!clean_caption(line).empty()) out.push_back({what, line});
  }
  if (out.empty()) refuse("--prompts ", file, ": says nothing; write one prompt a line");
  return out;
}

// One prompt, made ready.
struct Asked {
  DrawnMeta meta;
  std::string words;  // as the model is told
  DrawRequest request;
  bool learned = true;  // the model knows the style, or none was said, or the model does not say what it knows
};

// settings: what is the same for all, the style as it was said and the negative prompt with it; not_this: its ids.
Asked ask(const Opened& opened, const DrawnMeta& settings, const std::vector<int>& not_this, const Said& said) {
  const std::string prompt = clean_caption(said.words, kMostWords);
  Asked a{.meta = settings, .words = {}, .request = {}};
  a.meta.prompt = clean_caption(prompt);
  const auto learned = learned_style(opened.loaded.styles, a.meta.style, prompt_is_korean(a.meta.prompt, a.meta.style));
  a.learned = learned || a.meta.style.empty() || opened.loaded.styles.empty();
  if (learned) a.meta.style = *learned;
  a.words = with_style(a.meta.prompt, a.meta.style);
  a.request = {ids_of(opened.tokenizer(), said.what, a.words, with_style(prompt, a.meta.style)), not_this, 0};
  return a;
}

struct Drawn {
  const Asked* asked;
  int number;  // of this prompt's pictures, from 0
  Image image;
  int64_t seed = 0;
};

// Each of them alone, or the best of its own --best-of seeds.
void draw_piece(const Opened& opened, const GenerateOptions& o, std::span<Drawn> pieces) {
  const auto seed = [&](const Drawn& d, size_t k) { return o.seed + int64_t(d.number) * o.best + int64_t(k); };
  if (o.best > 1) {
    std::vector<Wanted> wanted;
    for (const Drawn& d : pieces) {
      wanted.push_back({d.asked->words, d.asked->request, {}});
      for (int k = 0; k < o.best; ++k) wanted.back().seeds.push_back(uint64_t(seed(d, size_t(k))));
    }
    auto kept = draw_best(opened.model(), opened.tokenizer(), wanted, o.draw, BestBy::both);
    for (size_t i = 0; i < pieces.size(); ++i)
      pieces[i].image = framed(kept[i].image, o.width, o.height), pieces[i].seed = seed(pieces[i], kept[i].seed);
    return;
  }
  std::vector<DrawRequest> requests;
  for (Drawn& d : pieces) {
    d.seed = seed(d, 0);
    requests.push_back(d.asked->request), requests.back().seed = uint64_t(d.seed);
  }
  const int w = o.draw.width, h = o.draw.height;
  const auto pixels = draw(opened.model(), opened.tokenizer(), requests, o.draw);
  for (size_t i = 0; i < pieces.size(); ++i)
    pieces[i].image = framed(finished(pixels.data() + i * size_t(w) * size_t(h) * 4, w, h, o.draw.finish), o.width, o.height);
}

// What was written, prompt by prompt: {"file", "seed"} of each picture; and the cells of a page of all, where one is wanted.
struct Written {
  std::vector<nlohmann::ordered_json> files;
  std::vector<std::pair<Image, std::string>> cells;
  double seconds = 0;
};

// o.out with the number of the prompt, where a file gave them, and of the picture, where there are several.
std::string path_of(const GenerateOptions& o, size_t prompt, int number) {
  std::string path = o.out;
  if (!o.prompts.empty()) path = numbered(path, std::to_string(prompt + 1));
  if (o.count > 1) path = numbered(path, std::to_string(number + 1));
  return path;
}

std::string cell_words(const GenerateOptions& o, const Drawn& d) {
  const std::string seed = "seed " + std::to_string(d.seed);
  if (o.prompts.empty()) return seed;
  return o.count > 1 ? d.asked->words + ", " + seed : d.asked->words;
}

Written draw_all(const Opened& opened, const GenerateOptions& o, const std::vector<Asked>& asked) {
  std::vector<Drawn> pictures;
  for (const Asked& a : asked)
    for (int i = 0; i < o.count; ++i) pictures.push_back({&a, i, {}});
  // Batches of about 1024 patches: large enough to fill the machine, small enough for its memory.
  const int64_t side = o.draw.width / opened.model().config.patch;
  const size_t piece = size_t(std::max<int64_t>(1, 1024 / (side * side)));
  const auto start = std::chrono::steady_clock::now();
  Written out;
  out.files.assign(asked.size(), nlohmann::ordered_json::array());
  for (size_t first = 0; first < pictures.size(); first += piece) {
    const std::span<Drawn> now(&pictures[first], std::min(piece, pictures.size() - first));
    draw_piece(opened, o, now);
    for (Drawn& d : now) {
      const size_t k = size_t(d.asked - asked.data());
      DrawnMeta meta = d.asked->meta;
      meta.seed = d.seed;
      const std::string path = path_of(o, k, d.number);
      write_file_atomic(path, encode_png(d.image, drawn_texts(meta)));
      if (!o.json) std::printf("%s\n", path.c_str());
      out.files[k].push_back({{"file", path}, {"seed", d.seed}});
      if (o.grid) out.cells.emplace_back(std::move(d.image), cell_words(o, d));
      d.image = {};
    }
  }
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return out;
}

// The page of all: of several prompts a row each, where a row can hold its pictures.
std::string write_grid(const GenerateOptions& o, const std::vector<Asked>& asked, const Written& w) {
  const std::string path = numbered(o.out, "grid");
  const bool rows = !o.prompts.empty() && o.count > 1 && o.count <= 12;
  const int columns = rows ? o.count : std::clamp(int(std::ceil(std::sqrt(double(w.cells.size())))), 1, 12);
  DrawnMeta meta = asked[0].meta;
  meta.seed = w.files[0][0]["seed"];  // the page is the way back to its first picture, or to all prompts
  for (size_t k = 1; k < asked.size(); ++k) meta.prompt += "\n" + asked[k].meta.prompt;
  write_file_atomic(
      path, encode_png(contact_sheet(w.cells, columns, std::clamp(std::max(o.width, o.height), 128, 256)), drawn_texts(meta)));
  if (!o.json) std::printf("%s\n", path.c_str());
  return path;
}

void print_summary(const GenerateOptions& o, const Asked& first, const Written& w) {
  constexpr size_t kMostNamed = 12;  // seeds on a line; all are in their files
  std::string seeds = std::to_string(o.seed);
  if (const int64_t last = o.seed + int64_t(o.count) * o.best - 1; last > o.seed) seeds += join(" to ", last);
  if (o.best > 1) {
    size_t named = 0;
    seeds += ", kept";
    for (const auto& files : w.files)
      for (const auto& f : files)
        if (named++ < kMostNamed) seeds += join(" ", f["seed"].get<int64_t>());
    if (named > kMostNamed) seeds += " ...";
  }
  std::fprintf(stderr, "duet: seed %s, %d steps, guidance %g, %dx%d, %s: %.2f s\n", seeds.c_str(), o.draw.steps,
               o.draw.guidance, o.width, o.height, first.meta.precision.c_str(), w.seconds);
}

void print_json(const GenerateOptions& o, const std::vector<Asked>& asked, const Written& w, const std::string& grid) {
  const DrawnMeta& meta = asked[0].meta;
  nlohmann::ordered_json j;
  if (o.prompts.empty()) {
    j = {{"prompt", meta.prompt}, {"negative", meta.negative}, {"style", meta.style}, {"files", w.files[0]}};
  } else {
    for (size_t k = 0; k < asked.size(); ++k)
      j["prompts"].push_back({{"prompt", asked[k].meta.prompt}, {"style", asked[k].meta.style}, {"files", w.files[k]}});
    j["negative"] = meta.negative;
  }
  j.update({{"steps", meta.steps},
            {"guidance", o.draw.guidance},
            {"heun", meta.heun},
            {"shift", meta.shift},
            {"guide_from", meta.guide_from},
            {"guide_to", meta.guide_to},
            {"finish", meta.finish},
            {"width", meta.width},
            {"height", meta.height},
            {"precision", meta.precision},
            {"model", meta.model},
            {"model_hash", meta.model_hash},
            {"seconds", w.seconds}});
  if (!grid.empty()) j["grid"] = grid;
  std::printf("%s\n", j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

// "512" or "300x150"; what is wrong with it, else empty.
std::string read_size(const std::string& said, int& width, int& height) {
  const char *at = said.data(), *end = at + said.size();
  const auto number = [&](int& n) {
    const auto read = std::from_chars(at, end, n);
    at = read.ptr;
    return read.ec == std::errc();
  };
  bool ok = number(width);
  height = width;
  if (ok && at != end) ok = (*at == 'x' || *at == 'X') && (++at, number(height));
  if (!ok || at != end) return shown(said) + ": expected a number of pixels, or WIDTHxHEIGHT";
  if (can_frame(width, height)) return "";
  return join(said, " cannot be drawn; sides from ", kLeastSide, " to ", kMostSide, ", none over four times the other");
}

void set_size(GenerateOptions& o, const Opened& opened) {
  o.draw.width = o.draw.height = o.width = o.height = opened.size();
  if (!o.size.empty()) read_size(o.size, o.width, o.height);
}

std::string strange_style(const std::string& weights, const std::vector<std::string>& known, const std::string& said) {
  const std::string meant = likely_style(known, said);
  return join(weights, " has not learned the style ", shown(said), "; ",
              meant.empty() ? "it knows " + both_names(known) : "did you mean " + meant);
}

// Prompts made ready, with the warnings that belong to them. Settles o.draw.guidance: without any words there is none.
std::vector<Asked> ask_all(const Opened& opened, GenerateOptions& o, DrawnMeta settings, const std::string& negative,
                           const std::vector<Said>& prompts) {
  settings.width = o.width, settings.height = o.height;
  if (o.width != o.draw.width || o.height != o.draw.height)
    settings.drawn_width = o.draw.width, settings.drawn_height = o.draw.height;
  settings.precision = arithmetic();
  settings.model = opened.name, settings.model_hash = hex64(opened.loaded.hash), settings.version = kVersion;
  const auto not_this = ids_of(opened.tokenizer(), "the negative prompt", settings.negative, negative);
  if (!not_this.empty() && o.draw.guidance == 1)
    say(join("--negative does nothing at guidance 1",
             opened.loaded.sampling.guidance == 1 ? ", which is how these weights draw" : ""));
  std::vector<Asked> asked;
  for (const Said& p : prompts) asked.push_back(ask(opened, settings, not_this, p));
  if (asked[0].request.prompt.empty()) {  // the only one: a file's say something
    asked[0].request.prompt = {opened.tokenizer().bos()};
    if (not_this.empty()) o.draw.guidance = 1;  // nothing to steer by
  }
  for (Asked& a : asked) a.meta.take(o.draw);
  for (const Asked& a : asked)
    if (const std::string letter = unread_letter(opened.tokenizer(), a.meta.prompt); !letter.empty()) {
      say(join(opened.name, " has not learned to read ", shown(letter), "; say it in words of English or Korean"));
      break;
    }
  if (const auto a = std::find_if(asked.begin(), asked.end(), [](const Asked& x) { return !x.learned; }); a != asked.end())
    say(strange_style(opened.name, opened.loaded.styles, a->meta.style));
  return asked;
}

void generate(GenerateOptions o) {
  std::vector<Said> prompts;
  if (!o.prompts.empty()) prompts = lines_of(o.prompts);
  else utf8_or_refuse("prompt", o.prompt), prompts.push_back({"the prompt", o.prompt});
  DrawnMeta settings;
  const std::string negative = clean_caption(utf8_or_refuse("--negative", o.negative), kMostWords);
  settings.negative = clean_caption(negative), settings.style = clean_caption(utf8_or_refuse("--style", o.style));
  if (o.best == 0) o.best = o.seed < 0 && !clean_caption(prompts[0].words).empty() ? kUsualBest : 1;
  if (o.seed < 0) o.seed = std::random_device{}();
  if (const int64_t most = kMostSeed - (int64_t(o.count) * o.best - 1); o.seed > most)
    refuse("--seed ", o.seed, " is too large: the last picture's must be at most 2^53, so with as many the first at most ",
           most);
  if (o.best > 1 && clean_caption(prompts[0].words).empty()) refuse("--best-of needs words to judge by; the prompt has none");
  if (o.out.empty()) o.out = "duet-" + std::to_string(o.seed) + ".png";
  check_png_target("-o", o.out, ", which carries the prompt along");

  check_draw_options(o.draw);
  const Opened opened = open_model(o.open);
  settle(o.draw, opened.loaded.sampling);
  set_size(o, opened);
  const auto asked = ask_all(opened, o, settings, negative, prompts);
  const Written written = draw_all(opened, o, asked);
  const std::string grid = o.grid ? write_grid(o, asked, written) : "";
  if (o.json) print_json(o, asked, written, grid);
  else print_summary(o, asked[0], written);
}

}  // namespace

void add_draw_verbs(CLI::App& app) {
  auto* verb = app.add_subcommand("generate", "draw pictures from words: PNG with transparency, prompt and seed inside");
  auto o = std::make_shared<GenerateOptions>();
  verb->add_option("PROMPT", o->prompt, "what to draw, English or Korean; \"\" draws whatever the model likes");
  verb->add_option("--prompts", o->prompts,
                   "FILE with a prompt a line instead (- is standard input): one picture of each, all from the same seeds")
      ->excludes("PROMPT");
  verb->add_option(
      "-o,--out", o->out,
      "FILE.png; with -n above 1 or --prompts FILE-1.png ... (with both FILE-1-1.png ...; default: duet-SEED.png)");
  verb->add_option("-n,--count", o->count, "how many, with seeds SEED, SEED+1 ... (with --best-of N: of N seeds each)")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  verb->add_option("--best-of", o->best,
                   "begin as many for each and keep the one that the model reads best (default: 4; with --seed 1, which is "
                   "that seed's own)")
      ->check(CLI::Range(1, 64));
  verb->add_option("--seed", o->seed, "0 and up; the same seed and settings give the same bytes (default: random, printed)")
      ->check(CLI::Range(int64_t(0), kMostSeed));
  verb->add_option("--size", o->size,
                   "pixels a side, or WIDTHxHEIGHT (default: what the model learned, at which all is drawn and then scaled)")
      ->check(CLI::Validator(
          [](const std::string& said) {
            int w = 0, h = 0;
            return read_size(said, w, h);
          },
          ""));
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
      "  duet generate \"고양이\" -n 4 --grid --style emoji -o cat.png\n"
      "  duet generate --prompts icons.txt --style outline --seed 7 --grid -o icon.png");
  verb->callback([o, verb] {
    if (verb->count("--prompts") && o->prompts.empty()) throw CLI::ValidationError("--prompts", "names no file");
    if (!verb->count("PROMPT") && !verb->count("--prompts")) throw CLI::RequiredError("PROMPT, or --prompts FILE,");
    generate(*o);
  });
}

}  // namespace duet
