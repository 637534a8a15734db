// duet eval generate: what the drawings are worth; figures as JSON, a page with pictures, contact sheets.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "infer/bestof.h"
#include "infer/cli.h"
#include "infer/eval_scenes.h"
#include "infer/genreport.h"
#include "infer/sampler.h"
#include "infer/sheet.h"
#include "kernels/error.h"
#include "vision/codec.h"
#include "vision/draw.h"

namespace duet {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

constexpr int kViewSize = 64;  // what the image distance and the features look at, whatever the model draws

struct Options {
  OpenOptions open;
  DrawOptions draw;
  GenerateEvalOptions eval;
  std::vector<std::string> dirs;
  std::string out = "eval-generate", sheet, best_by = "both";
  int scenes = 50, show = 32, best = 1;
};

// Every split that is there: what is not drawn is still compared with.
std::vector<SplitSet> load_all(const Options& o) {
  std::vector<SplitSet> out;
  for (const auto& dir : o.dirs) {
    const size_t before = out.size();
    for (const char* split : {"train", "val", "heldout", "pairs"})
      if (has_split(dir, split)) out.push_back({split, load_set(dir, split, kViewSize)});
    if (out.size() == before)
      refuse(dir, ": no data set (no .tar in train, val, heldout or pairs); 'duet data build' makes one");
  }
  return out;
}

Json or_null(double v) { return std::isnan(v) ? Json() : Json(v); }
Json of(const Interval& i) { return {i.low, i.high}; }

Json json_of(const GenerateEval& e, const GenerateEval::Group& g) {
  Json j = {{"about", g.about}, {"prompts", g.prompts.size()}};
  for (const auto& m : g.measures) {
    Json& row = j["measures"][m.name];
    for (int l = 0; l < 2; ++l)
      if (const auto& s = m.side[l]; s.n)
        row[language(l)] = {{"n", s.n}, {"value", or_null(s.value)}, {"interval_95", of(s.interval)}};
    if (m.paired)
      row["korean_minus_english"] = {{"n", m.paired}, {"value", or_null(m.gap)}, {"interval_95", of(m.gap_interval)}};
    row["true_pictures"] = or_null(m.truth), row["chance"] = or_null(m.chance);
  }
  for (const auto& m : g.measures)
    if (m.elsewhere_n) j["measures"][m.name]["in_other_style"] = {{"n", m.elsewhere_n}, {"value", m.elsewhere}};
  for (int64_t p : g.prompts)
    for (const auto& drawn : e.prompts[size_t(p)].drawn) {
      if (drawn.empty()) continue;
      const auto& d = e.drawn[size_t(drawn[0])];
      const auto& source = e.pictures[size_t(e.prompts[size_t(p)].source)];
      j["drawings"].push_back({{"prompt", e.prompts[size_t(p)].text[d.korean]},
                               {"lang", language(d.korean)},
                               {"seed", d.seed},
                               {"set", source.of->set.name},
                               {"key", source.key()},
                               {"rank", d.placed.rank},
                               {"among", d.placed.candidates},
                               {"to_source", d.placed.to_source},
                               {"nearest", e.pictures[size_t(d.nearest)].key()},
                               {"to_nearest", d.to_nearest},
                               {"near_copy", d.near_copy}});
    }
  return j;
}

Json json_of(const SceneEval& s) {
  Json j = {{"drawn", Json::parse(s.drawn)}, {"captioned", Json::parse(s.captioned)}};
  for (const auto& [name, all] : {std::pair("drawn", &s.drawn_gap), std::pair("captioned", &s.captioned_gap)})
    for (const auto& g : *all)
      j["korean_minus_english"][name][g.split] = {{"whole_points", g.points}, {"interval_95", of(g.interval)}};
  return j;
}

void write_png(const fs::path& path, const Image& image) {
  write_file_atomic(path.string(), encode_png(image));
  std::fprintf(stderr, "%s\n", path.c_str());
}

// Drawings of random prompts, English and Korean in turn, as many of each group.
Image random_sheet(const GenerateEval& e, const Options& o, const std::string& how) {
  constexpr int kColumns = 8, kSide = 128, kHead = 44, kMargin = 24;
  std::vector<std::pair<Image, std::string>> cells;
  for (size_t i = 0; cells.size() < size_t(o.show); ++i) {
    const size_t before = cells.size();
    for (const auto& g : e.groups) {
      if (i >= g.prompts.size() || cells.size() >= size_t(o.show)) continue;
      const auto& p = e.prompts[size_t(g.prompts[i])];
      const int l = p.drawn[i % 2].empty() ? 1 - int(i % 2) : int(i % 2);
      cells.emplace_back(e.drawn[size_t(p.drawn[l][0])].image, p.text[l]);
    }
    if (cells.size() == before) break;
  }
  const Image sheet = contact_sheet(cells, std::min(kColumns, int(cells.size())), kSide);
  Image page(sheet.width, sheet.height + kHead);
  fill(page, 0, 0, page.width, page.height, 0xffffffff);
  draw_text(page, kMargin, kMargin, fmt::format("{} prompts chosen at random, seed {}; {}", cells.size(), o.eval.seed, how), 18,
            0x59616eff);
  blit(page, sheet, 0, kHead);
  return page;
}

Image copies_sheet(const GenerateEval& e, const Options& o) {
  std::vector<SheetCell> cells;
  for (const auto& g : e.groups)
    for (const auto* d : closest_to_training(e, g, size_t(o.show)))
      cells.push_back({{&d->image, &e.pictures[size_t(d->nearest)].image()},
                       e.prompts[size_t(d->prompt)].text[d->korean],
                       fmt::format("{:.3f}", d->to_nearest),
                       !d->near_copy});
  return captioned_sheet(
      "left: drawn; right: the nearest training picture and its distance; red: a near-copy; the closest of " +
          std::to_string(e.groups.size()) + " groups",
      cells);
}

void run(Options o) {
  check_draw_options(o.draw);
  if (!o.sheet.empty()) check_png_target("--sheet", o.sheet);
  check_folder_target("--out", o.out);
  const Opened opened = open_model(o.open);
  settle(o.draw, opened.loaded.sampling);
  if (o.scenes > 0 && opened.size() < 16)
    refuse(opened.loaded.path, ": draws ", opened.size(), " pixels a side; scenes need 16, or say --scenes 0");
  const auto sets = load_all(o);
  EvalModel model = eval_model(opened, o.draw, 1);
  if (o.best > 1) model = best_of(model, opened, o.draw, o.best, best_by(o.best_by));
  const GenerateEval e = eval_generate(model, sets, o.eval);
  SceneEval scenes;
  if (o.scenes > 0) scenes = eval_scenes(model, {o.scenes, o.eval.seed, o.eval.batch, std::min(o.show, o.scenes)});

  const std::string precise = arithmetic();
  Json j = {{"eval", "generate"},
            {"weights", opened.loaded.path},
            {"weights_xxh3", hex64(opened.loaded.hash)},
            {"precision", precise},
            {"seed", o.eval.seed},
            {"n", o.eval.n},
            {"looks", o.eval.looks},
            {"seeds_a_prompt", GenerateEval::kSeeds}};
  j["steps"] = o.draw.steps, j["guidance"] = o.draw.guidance, j["guide_from"] = o.draw.guide_from;
  j["guide_to"] = o.draw.guide_to, j["shift"] = o.draw.shift, j["heun"] = o.draw.heun, j["finish"] = name_of(o.draw.finish);
  j["best_of"] = o.best;
  if (o.best > 1) j["best_by"] = o.best_by;
  for (const auto& s : sets)
    j["sets"].push_back(
        {{"name", s.set.name}, {"split", s.split}, {"pictures", s.set.pictures.size()}, {"unreadable", s.set.bad}});
  for (const auto& g : e.groups) j["groups"][g.name] = json_of(e, g);
  if (o.scenes > 0) j["scenes"] = json_of(scenes);
  j["seconds"] = {
      {"draw", e.draw_seconds}, {"compare", e.compare_seconds}, {"scenes", scenes.draw_seconds + scenes.caption_seconds}};

  std::string how = fmt::format("{} steps, guidance {}", o.draw.steps, o.draw.guidance);
  if (o.draw.guide_from > 0 || o.draw.guide_to < 1)
    how += fmt::format(" for t in {} to {}", o.draw.guide_from, o.draw.guide_to);
  how += fmt::format(", shift {}{}", o.draw.shift, o.draw.heun ? ", Heun" : "");
  if (o.best > 1) how += fmt::format(", best of {} by {}", o.best, o.best_by);
  PageHead head{"What " + opened.name + " draws",
                {{"weights", hex64(opened.loaded.hash)},
                 {"precision", precise},
                 {"sampler", how},
                 {"seed", std::to_string(o.eval.seed)}}};
  for (const auto& look : o.eval.looks) head.facts.push_back({"look", look});
  for (const auto& s : sets) head.facts.push_back({s.set.name + " " + s.split, std::to_string(s.set.pictures.size())});
  const fs::path out = o.out;
  make_folder(o.out);
  write_file((out / "eval.json").string(), j.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  write_file((out / "report.html").string(), generate_page(e, o.scenes > 0 ? &scenes : nullptr, head, o.show));
  write_png(out / "nearest.png", copies_sheet(e, o));
  if (!o.sheet.empty()) write_png(o.sheet, random_sheet(e, o, opened.name + ", " + how));
  std::printf("%s%s; %s (%s), seed %llu; drawn in %.1f s, compared in %.1f s\n%s\n%s\n", e.table().c_str(), how.c_str(),
              opened.loaded.path.c_str(), precise.c_str(), (unsigned long long)o.eval.seed, e.draw_seconds, e.compare_seconds,
              o.scenes > 0 ? scenes.table.c_str() : "", (out / "report.html").c_str());
}

}  // namespace

void add_generate_eval(CLI::App* eval) {
  auto* verb = eval->add_subcommand(
      "generate",
      "draw captions in both languages; judge the drawings by measures that are not the model's; a page with pictures");
  auto o = std::make_shared<Options>();
  verb->add_option("DIR", o->dirs, "data sets, as 'duet data build' writes them")->required();
  verb->add_option("-n,--count", o->eval.n,
                   "prompts of each group: seen, held-out concepts, held-out pairs of concept and style")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  verb->add_option("--split", o->eval.splits, "whose captions are drawn: train, heldout, pairs, val; may be given again")
      ->check(CLI::IsMember({"train", "heldout", "pairs", "val"}))
      ->capture_default_str();
  verb->add_option("--look", o->eval.looks,
                   "only prompts of this look: a style, or \"of NAME\" for a data set without one; may be given again");
  verb->add_option("--out", o->out, "folder for eval.json, report.html, nearest.png")->capture_default_str();
  verb->add_option("--sheet", o->sheet, "also a PNG of drawings of random prompts, for a model card");
  verb->add_option("--show", o->show, "pictures of each gallery and sheet")->check(CLI::Range(1, 500))->capture_default_str();
  verb->add_option("--diverse", o->eval.diverse, "prompts of each group drawn from four seeds")
      ->check(CLI::Range(0, 10000))
      ->capture_default_str();
  verb->add_option("--scenes", o->scenes, "scenes of each of seen, unseen in en, ko, as in eval scenes; 0: none")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  verb->add_option("--best-of", o->best, "draw as many of each and keep the one that the model reads best")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  verb->add_option("--best-by", o->best_by, "what --best-of goes by: contrastive, caption or both")
      ->check(CLI::IsMember({"contrastive", "caption", "both"}))
      ->capture_default_str();
  verb->add_option("--batch", o->eval.batch, "pictures drawn together; changes speed only")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  verb->add_option("--seed", o->eval.seed, "of everything random: choice, noise, intervals")->capture_default_str();
  add_draw_options(verb, o->draw);
  add_open_options(verb, o->open);
  verb->footer("  duet eval generate data/emoji data/stamps -n 100 --steps 16 --out report");
  verb->callback([o] { run(*o); });
}

}  // namespace duet
