// duet eval: what a model can do, in figures, each with its n, its seed and what chance would give.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "infer/bestof.h"
#include "infer/calibration.h"
#include "infer/classify.h"
#include "infer/cli.h"
#include "infer/eval_binding.h"
#include "infer/eval_compare.h"
#include "infer/eval_icons.h"
#include "infer/eval_read.h"
#include "infer/eval_scenes.h"
#include "infer/guess.h"
#include "infer/sampler.h"
#include "kernels/files.h"
#include "kernels/random.h"
#include "text/korean.h"
#include "vision/codec.h"
#include "vision/draw.h"

namespace duet {
namespace {

using Json = nlohmann::ordered_json;

struct EvalOptions {
  OpenOptions open;
  DrawOptions draw;
  std::vector<std::string> dirs;
  std::string split = "heldout", lang = "en", json, sheet, results, refs, sentence, by = "embedding", calibrate, calibration;
  int n = 200, batch = 24, beam = 4, show = 12, best = 1;
  uint64_t seed = 1;
  bool plain = false, deep = false, among_train = false;
};

EvalOptions& options(const std::string& verb) {  // each verb has its own, fresh when it is added
  static std::map<std::string, EvalOptions> all;
  return all[verb] = {};
}

void add_common(CLI::App* verb, EvalOptions& o) {
  add_open_options(verb, o.open);
  verb->add_option("--seed", o.seed, "of everything random: choice, noise, intervals")->capture_default_str();
  verb->add_option("--json", o.json, "also write all figures to this file; - is standard output, the table then on stderr");
}

void add_drawing(CLI::App* verb, EvalOptions& o) {
  add_draw_options(verb, o.draw);
  verb->add_option("--best-of", o.best, "draw as many of each and keep the one that the model reads best")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  verb->add_option("--batch", o.batch, "pictures drawn together; changes speed only")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
}

void add_sets(CLI::App* verb, EvalOptions& o, bool many) {
  auto* dirs = verb->add_option("DIR", o.dirs, "data set, as 'duet data build' writes it")->required();
  if (!many) dirs->expected(1);
}

void add_split(CLI::App* verb, EvalOptions& o) {
  verb->add_option("--split", o.split, "heldout, val, train or pairs")
      ->check(CLI::IsMember({"heldout", "val", "train", "pairs"}))
      ->capture_default_str();
}

void check_targets(const EvalOptions& o) {
  if (!o.json.empty() && o.json != "-") check_target("--json", o.json);
  if (!o.sheet.empty()) check_png_target("--sheet", o.sheet);
  if (!o.results.empty()) check_target("--results", o.results);
  if (!o.refs.empty()) check_target("--refs", o.refs);
}

Json of(const Interval& i) { return i.known() ? Json{i.low, i.high} : Json(); }

Json of(const RankSummary& r) {
  Json j = {{"n", r.n}, {"candidates", r.candidates}, {"median_rank", r.median_rank}};
  for (int k = 0; k < 3; ++k)
    j[fmt::format("within_{}", RankSummary::kWithin[k])] = {
        {"share", r.share[k]}, {"interval_95", of(r.interval[k])}, {"chance", r.chance[k]}};
  return j;
}

Json header(const char* verb, const EvalOptions& o, const Opened& opened) {
  return {{"eval", verb},
          {"weights", opened.loaded.path},
          {"weights_xxh3", hex64(opened.loaded.hash)},
          {"precision", arithmetic()},
          {"seed", o.seed}};
}

void put_drawing(Json& j, const EvalOptions& o) {
  j["steps"] = o.draw.steps, j["guidance"] = o.draw.guidance, j["heun"] = o.draw.heun, j["finish"] = name_of(o.draw.finish);
  j["best_of"] = o.best;
  j["shift"] = o.draw.shift, j["guide_from"] = o.draw.guide_from, j["guide_to"] = o.draw.guide_to;
}

void report(const EvalOptions& o, const Json& j, const std::string& table) {
  std::fprintf(o.json == "-" ? stderr : stdout, "%s", table.c_str());
  const std::string text = j.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
  if (o.json == "-") std::fputs(text.c_str(), stdout);
  else if (!o.json.empty()) write_file(o.json, text);
}

void write_sheet(const EvalOptions& o, const Image& sheet) {
  if (o.sheet.empty()) return;
  write_file_atomic(o.sheet, encode_png(sheet));
  std::fprintf(stderr, "%s\n", o.sheet.c_str());
}

std::vector<EvalSet> load_sets(const EvalOptions& o, const std::string& split, int size) {
  std::vector<EvalSet> sets;
  for (const auto& dir : o.dirs)
    sets.push_back(load_set(dir, split, size, split == o.split ? SplitBy::verb : SplitBy::nothing));
  return sets;
}

Json named_sets(const std::vector<EvalSet>& sets) {
  Json j = Json::array();
  for (const auto& s : sets) j.push_back({{"name", s.name}, {"pictures", s.pictures.size()}, {"unreadable", s.bad}});
  return j;
}

EvalModel drawing_model(const EvalOptions& o, const Opened& opened) {
  const EvalModel one = eval_model(opened, o.draw, o.beam);
  return o.best > 1 ? best_of(one, opened, o.draw, o.best, BestBy::both) : one;
}

std::string best_of_words(const EvalOptions& o) { return o.best > 1 ? fmt::format(", best of {}", o.best) : ""; }

std::string heading(const std::string& what, const EvalOptions& o, const Opened& opened) {
  return fmt::format("{}; {} ({}), seed {}\n", what, opened.loaded.path, arithmetic(), o.seed);
}

void run_scenes(EvalOptions o) {
  check_targets(o);
  check_draw_options(o.draw);
  const Opened opened = open_model(o.open);
  settle(o.draw, opened.loaded.sampling);
  if (opened.size() < 16) refuse(opened.loaded.path, ": draws ", opened.size(), " pixels a side; the checker needs 16");
  const SceneEval e = eval_scenes(drawing_model(o, opened), {o.n, o.seed, o.batch, o.sheet.empty() ? 0 : o.show});
  Json j = header("scenes", o, opened);
  put_drawing(j, o);
  j["n"] = o.n, j["beam"] = o.beam;
  j["drawn"] = Json::parse(e.drawn), j["captioned"] = Json::parse(e.captioned);
  for (const auto& [name, all] : {std::pair("drawn", &e.drawn_gap), std::pair("captioned", &e.captioned_gap)})
    for (const auto& g : *all)
      j["korean_minus_english"][name][g.split] = {{"whole_points", g.points}, {"interval_95", of(g.interval)}};
  for (const auto& s : e.judged)
    j["scenes"].push_back({{"of", s.drawn ? "drawn" : "captioned"},
                           {"group", s.group},
                           {"index", s.index},
                           {s.drawn ? "prompt" : "said", s.said},
                           {"things", s.things},
                           {"grey", s.grey},
                           {"asked", s.asked},
                           {"wrong", s.wrong}});
  j["seconds"] = {{"draw", e.draw_seconds}, {"caption", e.caption_seconds}};
  report(o, j,
         heading(fmt::format("Scenes: {} of each group, {} steps, guidance {}{}, captions with beam {}", o.n, o.draw.steps,
                             o.draw.guidance, best_of_words(o), o.beam),
                 o, opened) +
             e.table + fmt::format("\ndrawn in {:.1f} s, captioned in {:.1f} s\n", e.draw_seconds, e.caption_seconds));
  if (!o.sheet.empty()) write_sheet(o, contact_sheet(e.cells, std::min(o.show, 12), 128));
}

void run_binding(const EvalOptions& o) {
  check_targets(o);
  const Opened opened = open_model(o.open);
  const int S = opened.size();
  if (S < 16) refuse(opened.loaded.path, ": draws ", S, " pixels a side; scenes need 16");
  const auto guess = [&](const std::vector<std::string>& prompts, const std::vector<float>& under, float t,
                         const std::vector<uint64_t>& seeds) {
    return guess_clean(opened.model(), opened.tokenizer(), prompts, under, S, t, seeds);
  };
  const BindingEval e = eval_binding(guess, {o.n, o.seed, o.batch, S});
  Json j = header("binding", o, opened);
  j["n"] = o.n;
  for (const auto& r : e.rows)
    j["rows"].push_back({{"lang", language(r.korean)},
                         {"exchanged", r.colors ? "colours" : "shapes"},
                         {"noise_over", r.t == 0      ? "nothing"
                                        : r.exchanged ? "exchanged"
                                                      : "said"},
                         {"t", r.t},
                         {"share_said", r.share},
                         {"interval_95", of(r.interval)}});
  report(o, j, heading(fmt::format("Binding: {} scenes of two things in each language", o.n), o, opened) + e.table());
}

void run_icons(EvalOptions o) {
  check_targets(o);
  check_draw_options(o.draw);
  const Opened opened = open_model(o.open);
  settle(o.draw, opened.loaded.sampling);
  const auto sets = load_sets(o, "train", opened.size());
  const IconEval e = eval_icons(drawing_model(o, opened), sets, {o.n, o.seed, !o.plain, o.batch});
  Json j = header("icons", o, opened);
  put_drawing(j, o);
  j["n"] = e.drawings.size(), j["styled"] = !o.plain, j["sets"] = named_sets(sets);
  for (const auto& [name, r] : e.rows) j["own_source"][name] = of(r);
  j["distance"] = {{"median_to_source", e.median_to_source},
                   {"median_to_nearest", e.median_to_nearest},
                   {"median_source_to_neighbour", e.median_spacing},
                   {"near_copies", e.near_copies}};
  for (const auto& d : e.drawings)
    j["drawings"].push_back({{"set", sets[size_t(d.set)].name},
                             {"key", sets[size_t(d.set)].keys[size_t(d.source)]},
                             {"lang", language(d.korean)},
                             {"prompt", d.prompt},
                             {"rank", d.rank},
                             {"to_source", d.to_source},
                             {"nearest", sets[size_t(d.set)].keys[size_t(d.nearest)]},
                             {"to_nearest", d.to_nearest}});
  j["seconds"] = {{"draw", e.draw_seconds}, {"rank", e.rank_seconds}};
  report(o, j,
         heading(fmt::format("Icons: {} training captions{}, {} steps, guidance {}{}", e.drawings.size(),
                             o.plain ? "" : " with their style named", o.draw.steps, o.draw.guidance, best_of_words(o)),
                 o, opened) +
             e.table() + fmt::format("drawn in {:.1f} s, ranked in {:.1f} s\n", e.draw_seconds, e.rank_seconds));
  if (!o.sheet.empty()) write_sheet(o, icon_sheet(e, sets, o.show, o.seed));
}

void run_retrieval(const EvalOptions& o) {
  check_targets(o);
  const Opened opened = open_model(o.open);
  const auto sets = load_sets(o, o.split, opened.size());
  const auto others = o.among_train ? load_sets(o, "train", opened.size()) : std::vector<EvalSet>();
  const RetrievalEval e = eval_retrieval(eval_model(opened, o.draw, o.beam), sets, others, o.seed);
  Json j = header("retrieval", o, opened);
  j["split"] = o.split, j["sets"] = named_sets(sets), j["among_train"] = o.among_train;
  for (const auto& r : e.rows) {
    Json row = {
        {"set", r.set}, {"lang", language(r.korean)}, {"direction", r.from_text ? "text_to_picture" : "picture_to_text"}};
    row.update(of(r.ranks));
    j["rows"].push_back(row);
  }
  report(o, j, heading("Retrieval on " + o.split + ", per cent", o, opened) + e.table());
}

void run_classify(EvalOptions o) {
  check_targets(o);
  if (!o.calibrate.empty()) check_target("--calibrate", o.calibrate);
  if (!o.calibrate.empty() && o.split == "train")
    refuse("--calibrate of --split train: of what a model was trained on it is too sure; name val or heldout");
  const Opened opened = open_model(o.open);
  std::optional<Calibration> known_calibration;
  if (!o.calibration.empty()) {
    known_calibration = calibration_for(o.calibration, opened);
    o.by = known_calibration->by, o.sentence = known_calibration->sentence;
  }
  const EvalSet set = load_set(o.dirs.at(0), o.split, opened.size());
  std::vector<Meta> known;  // all categories of training may be said, also those that the split lacks
  if (!known_calibration && o.split != "train" && has_split(o.dirs[0], "train")) {
    const Dataset train = Dataset::open(o.dirs[0], "train");
    for (int64_t i = 0; i < train.size(); ++i) known.push_back(train.meta(i));
  }
  // A calibration's classes are what is asked, whichever of them these pictures lack.
  const auto there = categories({&set.meta, &known}, o.deep), &labels = known_calibration ? known_calibration->labels : there;
  if (there.empty() || labels.size() < 2)
    refuse(o.dirs[0], ": ",
           there.empty() ? "its pictures have no categories" : "all its pictures have one category, " + labels[0],
           "; build it from a folder with a folder of pictures for each category, or name one as 'group' in each "
           "picture's .json");
  for (const auto& label : there)
    if (std::find(labels.begin(), labels.end(), label) == labels.end())
      refuse(o.calibration, ": knows no class '", label, "', which ", o.dirs[0], "/", o.split,
             " has; calibrate anew with --calibrate");
  const auto window = window_of_set(o.dirs[0]);
  const auto words = [](const std::optional<Window>& w) {
    return w ? fmt::format("{}/{}", w->center, w->width) : "each file's own";
  };
  if (known_calibration && words(known_calibration->window) != words(window))
    refuse(o.calibration, ": is of pictures read with --window ", words(known_calibration->window), ", and ", o.dirs[0],
           " was built with ", words(window));
  if (known_calibration && !known_calibration->set_hash.empty() && known_calibration->split == o.split &&
      known_calibration->set_hash == hash_of_set(o.dirs[0]))
    say(join(o.calibration, ": was learnt from these pictures, of which it tells too good a tale; report on another split"));
  const Classifier classifier(opened.model(), opened.tokenizer(), labels, o.sentence,
                              o.by == "caption" ? ClassifyBy::caption : ClassifyBy::embedding);
  const ClassifyEval raw = eval_classify(classifier, set, labels, o.deep, o.seed);
  ClassifyEval e = raw;
  std::string sets, warmth;
  Json sets_json;
  if (known_calibration) {
    warmth = fmt::format(", calibrated by {} (temperature {:.2f})", o.calibration, known_calibration->temperature);
    for (auto& p : e.probabilities) p = at_temperature(p, known_calibration->temperature);
    e.measures = class_measures(e.probabilities, e.truth, units_of(e.unit), mix(o.seed, 3));
    const SetMeasures m = measure_sets(*known_calibration, raw.probabilities, raw.truth, units_of(raw.unit), mix(o.seed, 4));
    sets = fmt::format("sets made to hold the truth in {:.0f} %: hold it in {:.1f} %{}; {:.2f} classes on average\n",
                       100 * Calibration::kCoverage, 100 * m.coverage,
                       m.coverage_interval.known() ? fmt::format(" (95 % {:.1f} .. {:.1f})", 100 * m.coverage_interval.low,
                                                                 100 * m.coverage_interval.high)
                                                   : "",
                       m.size);
    sets_json = {{"made_for", Calibration::kCoverage},
                 {"hold_truth", m.coverage},
                 {"interval_95", of(m.coverage_interval)},
                 {"mean_size", m.size}};
  }
  if (!o.calibrate.empty()) {
    Calibration c = calibrate(raw.probabilities, raw.truth, units_of(raw.unit), mix(o.seed, 5));
    c.labels = labels, c.by = o.by, c.sentence = o.sentence, c.weights_xxh3 = hex64(opened.loaded.hash), c.window = window;
    c.set_hash = hash_of_set(o.dirs[0]), c.split = o.split;
    save_calibration(o.calibrate, c);
    sets = fmt::format("{}: temperature {:.2f}{}, of {} pictures{}; report on others\n", o.calibrate, c.temperature,
                       c.resampled.size() < 40
                           ? ""
                           : fmt::format(" (95 % {:.2f} .. {:.2f})", middle_95(c.resampled).low, middle_95(c.resampled).high),
                       c.pictures, c.units < c.pictures ? fmt::format(" of {} units", c.units) : "");
    if (c.q >= 1)
      sets += fmt::format("too few for sets that leave out a class: {:.0f} % take 9 units at least\n",
                          100 * Calibration::kCoverage);
  }
  const ClassSummary& s = e.summary;
  const ClassMeasures& m = e.measures;
  Json j = header("classify", o, opened);
  j["split"] = o.split, j["set"] = set.name, j["by"] = o.by, j["templates"] = classifier.templates();
  j["deep"] = o.deep, j["n"] = s.n, j["classes"] = s.classes, j["classes_present"] = s.present;
  j["accuracy"] = {
      {"share", s.accuracy}, {"interval_95", of(m.accuracy_interval)}, {"majority", s.majority}, {"uniform", s.uniform}};
  j["balanced_accuracy"] = {{"share", s.balanced},
                            {"interval_95", of(m.balanced_interval)},
                            {"one_class", s.balanced_chance},
                            {"uniform", s.uniform}};
  const auto number = [](double v) { return std::isnan(v) ? Json() : Json(v); };
  const double classes = double(s.classes);
  j["auroc"] = {{"mean", number(m.auroc)}, {"interval_95", of(m.auroc_interval)}};
  j["log_loss"] = {{"mean", m.log_loss}, {"interval_95", of(m.log_loss_interval)}, {"uniform", std::log(classes)}};
  j["brier_score"] = {{"mean", m.brier}, {"interval_95", of(m.brier_interval)}, {"uniform", 1 - 1 / classes}};
  j["calibration"] = {
      {"error", m.calibration_error}, {"by_chance_alone", m.calibration_by_chance}, {"mean_confidence", m.confidence}};
  j["resampled_units"] = m.units;
  if (known_calibration) j["temperature"] = known_calibration->temperature, j["sets"] = sets_json;
  for (size_t c = 0; c < e.labels.size(); ++c)
    j["by_class"][e.labels[c]] = {{"right", s.right[c]},
                                  {"total", s.total[c]},
                                  {"auroc", number(m.by_class[c].auroc)},
                                  {"auroc_interval_95", of(m.by_class[c].interval)}};
  for (size_t t = 0; t < e.labels.size(); ++t)
    for (size_t g = 0; g < e.labels.size(); ++g)
      if (m.confusion[t][g])
        j["confusion"].push_back({{"truth", e.labels[t]}, {"guess", e.labels[g]}, {"n", m.confusion[t][g]}});
  j["labels"] = e.labels;
  for (size_t i = 0; i < e.picture.size(); ++i)
    j["predictions"].push_back({{"key", set.keys[size_t(e.picture[i])]},
                                {"truth", e.labels[size_t(e.truth[i])]},
                                {"guess", e.labels[size_t(e.guess[i])]},
                                {"unit", e.unit[i]},
                                {"probabilities", e.probabilities[i]}});
  report(o, j, heading("Classes of " + set.name + ", " + o.split + ", by " + o.by + warmth, o, opened) + e.table() + sets);
}

void run_caption(const EvalOptions& o) {
  check_targets(o);
  const Opened opened = open_model(o.open);
  const EvalSet set = load_set(o.dirs.at(0), o.split, opened.size());
  const CaptionEval e = eval_caption(eval_model(opened, o.draw, o.beam), set, o.lang == "ko", o.seed);
  Json j = header("caption", o, opened);
  j["split"] = o.split, j["set"] = set.name, j["lang"] = o.lang, j["beam"] = o.beam, j["n"] = e.said.size();
  j["exact"] = {{"share", e.exact}, {"interval_95", of(e.exact_interval)}};
  j["names_concept"] = {{"share", e.named}, {"interval_95", of(e.named_interval)}};
  j["names_concept_in_any_beam"] = {{"share", e.named_any}, {"interval_95", of(e.named_any_interval)}};
  j["shared_words"] = {{"bleu_1", e.bleu1}, {"bleu_4", e.bleu4}, {"rouge_l", e.rouge_l}, {"cider_d", e.cider_d}};
  for (const auto& s : e.said)
    j["captions"].push_back({{"key", set.keys[size_t(s.picture)]},
                             {"said", s.texts[0]},
                             {"beams", s.texts},
                             {"references", s.references},
                             {"exact", s.exact},
                             {"names_concept", s.named},
                             {"names_concept_in_any_beam", s.named_any},
                             {"cider_d", s.cider_d},
                             {"rouge_l", s.rouge_l}});
  j["seconds"] = e.caption_seconds;
  report(o, j,
         heading(fmt::format("Captions of {}, {}, {}, beam {}", set.name, o.split, o.lang, o.beam), o, opened) + e.table());
  if (!o.results.empty()) write_file(o.results, coco_results(e, set));
  if (!o.refs.empty()) write_file(o.refs, coco_references(e, set));
}

constexpr int64_t kMostResult = int64_t(1) << 30;

void run_compare(const EvalOptions& o) {
  check_targets(o);
  const auto read = [](std::string file) {
    if (std::filesystem::is_directory(file)) file += "/eval.json";  // as generate --out leaves it
    return EvalResult{file, read_file(file, kMostResult)};
  };
  const Comparison c = compare_evals(read(o.dirs.at(0)), read(o.dirs.at(1)), o.seed);
  report(o, Json::parse(c.to_json()), c.table());
}

}  // namespace

void add_eval_verbs(CLI::App& app) {
  auto* eval = app.add_subcommand(
      "eval", "what a model can do, in figures: generate, scenes, binding, icons, retrieval, classify, caption; compare");
  eval->require_subcommand(1);
  add_generate_eval(eval);

  auto* scenes = eval->add_subcommand("scenes", "draw scenes from prompts and let a program check them; caption true scenes");
  EvalOptions& s = options("scenes");
  s.beam = 1;
  scenes->add_option("-n,--count", s.n, "scenes of each of seen, unseen in en, ko")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  scenes->add_option("--beam", s.beam, "beams of a caption; 1: greedy")->check(CLI::Range(1, 64))->capture_default_str();
  scenes->add_option("--sheet", s.sheet, "PNG of drawings of each group, with what is wrong");
  scenes->add_option("--show", s.show, "drawings of each group on the sheet")->check(CLI::Range(1, 200))->capture_default_str();
  add_drawing(scenes, s), add_common(scenes, s);
  scenes->footer("Unseen scenes hold combinations of shape, colour and relation that training leaves out.");
  scenes->callback([&s] { run_scenes(s); });

  auto* binding = eval->add_subcommand("binding", "does it know which of two things has which shape and colour, by the words?");
  EvalOptions& b = options("binding");
  b.n = 120;
  binding->add_option("-n,--count", b.n, "scenes in each language")->check(CLI::Range(1, 100000))->capture_default_str();
  binding->add_option("--batch", b.batch, "pictures guessed together; changes speed only")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  add_common(binding, b);
  binding->footer("One guess from a noisy picture, without guidance. See infer/eval_binding.h.");
  binding->callback([&b] { run_binding(b); });

  auto* icons = eval->add_subcommand("icons", "draw training captions; rank their own pictures by a plain image distance");
  EvalOptions& i = options("icons");
  i.n = 300, i.show = 64;
  add_sets(icons, i, true);
  icons->add_option("-n,--count", i.n, "captions, half of them Korean")->check(CLI::Range(1, 100000))->capture_default_str();
  icons->add_option("--sheet", i.sheet, "PNG of drawings beside their own pictures");
  icons->add_option("--show", i.show, "pairs on the sheet")->check(CLI::Range(1, 1000))->capture_default_str();
  icons->add_flag("--plain", i.plain, "do not name the style: \"apple\" instead of \"apple, emoji\"");
  add_drawing(icons, i), add_common(icons, i);
  icons->callback([&i] { run_icons(i); });

  auto* retrieval = eval->add_subcommand("retrieval", "find pictures by text and texts by picture, in both languages");
  EvalOptions& r = options("retrieval");
  add_sets(retrieval, r, true), add_split(retrieval, r), add_common(retrieval, r);
  retrieval->add_flag("--among-train", r.among_train, "texts must find their pictures among the training pictures too");
  retrieval->callback([&r] { run_retrieval(r); });

  auto* classify = eval->add_subcommand(
      "classify", "pictures into the categories of their data set, by name; intervals by unit (data build --together)");
  EvalOptions& c = options("classify");
  add_sets(classify, c, false), add_split(classify, c), add_common(classify, c);
  classify->add_flag("--deep", c.deep, "the last folder of a category instead of the first");
  auto* sentence =
      classify->add_option("--template", c.sentence, "sentence with {} for the label (default: the built-in ones)");
  auto* by = classify->add_option("--by", c.by, "embedding or caption likelihood")
                 ->check(CLI::IsMember({"embedding", "caption"}))
                 ->capture_default_str();
  auto* learn = classify->add_option(
      "--calibrate", c.calibrate,
      "learn from this split what its probabilities are worth, into this file (.json): infer/calibration.h");
  classify
      ->add_option("--calibration", c.calibration,
                   "such a file, learnt of another split: its probabilities and sets are judged")
      ->excludes(learn)
      ->excludes(sentence)
      ->excludes(by);
  classify->callback([&c] { run_classify(c); });

  auto* caption = eval->add_subcommand("caption", "caption pictures and compare with what people wrote");
  EvalOptions& p = options("caption");
  add_sets(caption, p, false), add_split(caption, p), add_common(caption, p);
  caption->add_option("--lang", p.lang, "en or ko")->check(CLI::IsMember({"en", "ko"}))->capture_default_str();
  caption->add_option("--beam", p.beam, "beams; 1: greedy")->check(CLI::Range(1, 64))->capture_default_str();
  caption->add_option("--results", p.results, "captions as pycocoevalcap reads them");
  caption->add_option("--refs", p.refs, "references in COCO format, with the same image ids");
  caption->callback([&p] { run_caption(p); });

  auto* compare =
      eval->add_subcommand("compare", "two results of the same evaluation, item by item: what differs, and how surely");
  EvalOptions& t = options("compare");
  compare->add_option("RESULT", t.dirs, "what --json of scenes, icons, caption or classify wrote, or the folder of generate")
      ->required()
      ->expected(2);
  compare->add_option("--seed", t.seed, "of the intervals")->capture_default_str();
  compare->add_option("--json", t.json, "also write the rows to this file; - is standard output, the table then on stderr");
  compare->footer(
      "  duet eval caption data/mine --weights one --json one.json; the same with other\n"
      "  duet eval compare one.json other.json");
  compare->callback([&t] { run_compare(t); });
}

}  // namespace duet
