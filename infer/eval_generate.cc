#include "infer/eval_generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "infer/eval_text.h"
#include "infer/imagedistance.h"
#include "kernels/error.h"
#include "kernels/parallel.h"
#include "kernels/random.h"
#include "text/unicode.h"

namespace duet {
namespace {

using Eval = GenerateEval;

std::vector<Eval::Picture> list_all(const std::vector<SplitSet>& sets) {
  std::vector<Eval::Picture> out;
  for (const auto& s : sets)
    for (size_t i = 0; i < s.set.pictures.size(); ++i) {
      const Meta& m = s.set.meta[i];
      const std::string style = clean_caption(m.style), en = caption_in(m, false);
      const std::string& shown = !m.subject.empty() ? m.subject : en.empty() ? caption_in(m, true) : en;
      out.push_back({&s, int64_t(i), style.empty() ? "of " + s.set.name : style,
                     joined(without_article(caption_words(clean_caption(shown))))});
    }
  return out;
}

struct Kind {
  const char *name, *about;
};
const Kind kSeen = {"seen", "captions of training pictures"};
const Kind kVal = {"val", "captions of the validation pictures"};
const Kind kConcepts = {"held-out concepts", "captions whose concept no training picture shows"};
const Kind kPairs = {"held-out pairs", "captions whose concept is trained on, but not in this style"};
const Kind kRepeats = {"held-out pictures", "pictures held out whose concept and style are both trained on, in other pictures"};

// Which group each picture's caption would be a prompt of.
std::vector<const Kind*> kinds(const std::vector<Eval::Picture>& pictures) {
  std::map<std::string, std::set<std::string>> looks;  // of each concept of training
  for (const auto& p : pictures)
    if (p.of->split == "train") looks[p.concept_words].insert(p.look);
  std::vector<const Kind*> out;
  for (const auto& p : pictures) {
    const auto known = looks.find(p.concept_words);
    if (p.of->split == "train") out.push_back(&kSeen);
    else if (p.of->split == "val") out.push_back(&kVal);
    else out.push_back(known == looks.end() ? &kConcepts : known->second.contains(p.look) ? &kRepeats : &kPairs);
  }
  return out;
}

void check_looks(const Eval& e, const std::vector<std::string>& asked) {
  std::set<std::string> known;
  for (const auto& p : e.pictures) known.insert(p.look);
  for (const auto& look : asked)
    if (!known.contains(look)) {
      std::string names;
      for (const auto& k : known) names += (names.empty() ? "" : ", ") + k;
      refuse("--look '", look, "': no picture of these data sets looks so; they have ", names);
    }
}

void choose(Eval& e, const GenerateEvalOptions& o) {
  check_looks(e, o.looks);
  const auto kind = kinds(e.pictures);
  for (const Kind* k : {&kSeen, &kVal, &kConcepts, &kPairs, &kRepeats}) {
    std::vector<int64_t> all;
    for (size_t i = 0; i < e.pictures.size(); ++i) {
      const auto& p = e.pictures[i];
      const bool asked = std::find(o.splits.begin(), o.splits.end(), p.of->split) != o.splits.end() &&
                         (o.looks.empty() || std::find(o.looks.begin(), o.looks.end(), p.look) != o.looks.end());
      if (asked && kind[i] == k && !p.concept_words.empty()) all.push_back(int64_t(i));
    }
    if (all.empty()) continue;
    Eval::Group group{k->name, k->about, {}, {}};
    for (int64_t i : sample(int64_t(all.size()), o.n, mix(o.seed, 10 + e.groups.size()))) {
      const Meta& m = e.pictures[size_t(all[size_t(i)])].meta();
      Eval::Prompt prompt;
      prompt.source = all[size_t(i)];
      for (bool korean : {false, true})
        if (const auto c = caption_in(m, korean); !c.empty())
          prompt.text[korean] = with_style(c, clean_caption(korean && !m.style_ko.empty() ? m.style_ko : m.style));
      group.prompts.push_back(int64_t(e.prompts.size()));
      e.prompts.push_back(std::move(prompt));
    }
    e.groups.push_back(std::move(group));
  }
  if (e.prompts.empty()) refuse("no captions in these splits; name others with --split, or build the data set anew");
}

void draw_all(const EvalModel& m, Eval& e, const GenerateEvalOptions& o) {
  for (auto& group : e.groups)
    for (size_t i = 0; i < group.prompts.size(); ++i) {
      const int64_t p = group.prompts[i];
      for (bool korean : {false, true}) {
        if (e.prompts[size_t(p)].text[korean].empty()) continue;
        for (int s = 0; s < (int(i) < o.diverse ? Eval::kSeeds : 1); ++s) {
          e.prompts[size_t(p)].drawn[korean].push_back(int64_t(e.drawn.size()));
          auto& d = e.drawn.emplace_back();
          d.prompt = p, d.korean = korean, d.seed = mix(o.seed, uint64_t(1'000'000 + p * Eval::kSeeds + s)) >> 11;
        }
      }
    }
  Progress progress("drawing", int64_t(e.drawn.size()));
  for (size_t first = 0; first < e.drawn.size(); first += size_t(o.batch)) {
    const size_t last = std::min(first + size_t(o.batch), e.drawn.size());
    std::vector<std::string> prompts;
    std::vector<uint64_t> seeds;
    for (size_t i = first; i < last; ++i) {
      prompts.push_back(e.prompts[size_t(e.drawn[i].prompt)].text[e.drawn[i].korean]);
      seeds.push_back(e.drawn[i].seed);
    }
    auto images = m.draw(prompts, seeds);
    for (size_t i = first; i < last; ++i) e.drawn[i].image = std::move(images[i - first]);
    progress.at(int64_t(last));
  }
}

// each(q, distances of query q to all pictures); pieces bound the memory: a descriptor has 170 kB.
template <class F>
void compare(const std::vector<const Image*>& queries, const std::vector<Eval::Picture>& pictures, F each) {
  constexpr size_t kQueries = 512, kPiece = 256;
  const size_t N = pictures.size();
  const auto described = [](size_t n, auto image) {
    std::vector<PictureDescriptor> out(n);
    parallel_for(int64_t(n), [&](int64_t i) { out[size_t(i)] = describe(image(size_t(i))); });
    return out;
  };
  for (size_t q = 0; q < queries.size(); q += kQueries) {
    const size_t Q = std::min(kQueries, queries.size() - q);
    const auto asked = described(Q, [&](size_t i) -> const Image& { return *queries[q + i]; });
    std::vector<float> to(Q * N);
    for (size_t first = 0; first < N; first += kPiece) {
      const size_t n = std::min(kPiece, N - first);
      const auto d = distances(asked, described(n, [&](size_t i) -> const Image& { return pictures[first + i].image(); }));
      for (size_t i = 0; i < Q; ++i) std::copy_n(&d[i * n], n, &to[i * N + first]);
    }
    for (size_t i = 0; i < Q; ++i) each(q + i, std::span<const float>(&to[i * N], N));
  }
}

// Rank and distances of a picture among those of the prompt's look.
Eval::Placed place(const Eval& e, const Eval::Prompt& prompt, std::span<const float> to) {
  const auto& own = e.pictures[size_t(prompt.source)];
  Eval::Placed d;
  std::vector<float> closeness;
  std::vector<int64_t> right;
  double others = 0;
  d.to_source = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < to.size(); ++i) {
    if (e.pictures[i].look != own.look) continue;
    if (e.pictures[i].concept_words == own.concept_words) {
      right.push_back(int64_t(closeness.size()));
      d.to_source = std::min(d.to_source, double(to[i]));
    } else {
      others += double(to[i]);
    }
    closeness.push_back(-to[i]);
  }
  d.candidates = int64_t(closeness.size()), d.rank = rank_of(closeness, right);
  const size_t wrong = closeness.size() - right.size();
  d.to_others = wrong ? others / double(wrong) : Measure::kNone;
  return d;
}

// For each prompt one of the training pictures of its concept in other looks.
void find_elsewhere(Eval& e, uint64_t seed) {
  std::map<std::string, std::vector<int64_t>> of_concept;
  for (size_t i = 0; i < e.pictures.size(); ++i)
    if (e.pictures[i].of->split == "train") of_concept[e.pictures[i].concept_words].push_back(int64_t(i));
  for (size_t p = 0; p < e.prompts.size(); ++p) {
    const auto& own = e.pictures[size_t(e.prompts[p].source)];
    std::vector<int64_t> other;
    for (const int64_t i : of_concept[own.concept_words])
      if (e.pictures[size_t(i)].look != own.look) other.push_back(i);
    if (!other.empty()) e.prompts[p].elsewhere = other[size_t(sample(int64_t(other.size()), 1, mix(seed, p))[0])];
  }
}

constexpr float kSame = 0.01f;  // two training pictures as near as this are one that came twice

// The nearest training picture that is not `self` (-1: any).
int64_t nearest_training(const Eval& e, std::span<const float> to, int64_t self, float above = -1) {
  int64_t best = -1;
  for (size_t i = 0; i < to.size(); ++i)
    if (e.pictures[i].of->split == "train" && int64_t(i) != self && to[i] > above && (best < 0 || to[i] < to[size_t(best)]))
      best = int64_t(i);
  return best;
}

}  // namespace

const Measure* GenerateEval::Group::find(const std::string& name) const {
  for (const auto& m : measures)
    if (m.name == name) return &m;
  return nullptr;
}

GenerateEval eval_generate(const EvalModel& m, const std::vector<SplitSet>& sets, const GenerateEvalOptions& o) {
  if (o.n < 1 || o.batch < 1) refuse("-n ", o.n, " and --batch ", o.batch, ": at least 1 is needed");
  Eval e;
  e.pictures = list_all(sets);
  const auto trained =
      std::count_if(e.pictures.begin(), e.pictures.end(), [](const auto& p) { return p.of->split == "train"; });
  if (trained < 2) refuse("these data sets have ", trained, " training pictures; memorization needs those of training");
  choose(e, o);
  double start = seconds();
  draw_all(m, e, o);
  e.draw_seconds = seconds() - start, start = seconds();

  // Every first drawing and every true picture asked for, against all pictures.
  std::vector<const Image*> queries;
  std::vector<Eval::Drawn*> measured;
  for (auto& p : e.prompts)
    for (bool korean : {false, true})
      if (!p.drawn[korean].empty()) measured.push_back(&e.drawn[size_t(p.drawn[korean][0])]);
  find_elsewhere(e, mix(o.seed, 99));
  std::vector<Eval::Prompt*> elsewhere;
  for (auto& p : e.prompts)
    if (p.elsewhere >= 0) elsewhere.push_back(&p);
  for (const auto* d : measured) queries.push_back(&d->image);
  for (const auto& p : e.prompts) queries.push_back(&e.pictures[size_t(p.source)].image());
  for (const auto* p : elsewhere) queries.push_back(&e.pictures[size_t(p->elsewhere)].image());
  std::vector<int64_t> nearest(e.prompts.size());  // of each prompt's true picture, another of training
  std::vector<double> to_nearest(e.prompts.size());
  compare(queries, e.pictures, [&](size_t q, std::span<const float> to) {
    if (q < measured.size()) {
      Eval::Drawn& d = *measured[q];
      d.placed = place(e, e.prompts[size_t(d.prompt)], to);
      d.nearest = nearest_training(e, to, -1), d.to_nearest = to[size_t(d.nearest)];
    } else if (q >= measured.size() + e.prompts.size()) {
      Eval::Prompt& p = *elsewhere[q - measured.size() - e.prompts.size()];
      p.elsewhere_placed = place(e, p, to);
    } else {
      const size_t p = q - measured.size();
      nearest[p] = nearest_training(e, to, e.prompts[p].source), to_nearest[p] = to[size_t(nearest[p])];
    }
  });

  // How close training pictures lie where the nearest ones were found.
  std::map<int64_t, double> spacing;
  for (const auto* d : measured) spacing[d->nearest];
  for (int64_t i : nearest) spacing[i];
  std::vector<int64_t> found;
  queries.clear();
  for (const auto& [i, unknown] : spacing) found.push_back(i), queries.push_back(&e.pictures[size_t(i)].image());
  compare(queries, e.pictures, [&](size_t q, std::span<const float> to) {
    const int64_t other = nearest_training(e, to, found[q], kSame);
    spacing[found[q]] = other < 0 ? 0 : double(to[size_t(other)]);
  });
  for (auto* d : measured) d->near_copy = d->to_nearest < spacing[d->nearest] / 2;
  std::vector<char> copies;
  for (size_t p = 0; p < e.prompts.size(); ++p) copies.push_back(to_nearest[p] < spacing[nearest[p]] / 2);
  for (size_t g = 0; g < e.groups.size(); ++g)
    e.groups[g].measures = measure_group(e, e.groups[g], copies, to_nearest, mix(o.seed, 100 + g));
  e.compare_seconds = seconds() - start;
  return e;
}

std::string GenerateEval::table() const {
  const auto number = [](const MeasureKind& k, double v) {
    return std::isnan(v) ? std::string("-") : k.share ? fmt::format("{:.1f} %", 100 * v) : fmt::format("{:.4f}", v);
  };
  const auto with = [&](const MeasureKind& k, double v, const Interval& i) {
    if (std::isnan(v)) return std::string("-");
    return k.share ? fmt::format("{:.1f} % ({:.0f}..{:.0f})", 100 * v, 100 * i.low, 100 * i.high)
                   : fmt::format("{:.4f} ({:.4f}..{:.4f})", v, i.low, i.high);
  };
  std::string out;
  for (const auto& g : groups) {
    out += fmt::format("{}: {} prompts, {}\n  {:<38}{:<28}{:<28}{:<28}{:<12}{:<16}{}\n", g.name, g.prompts.size(), g.about,
                       "95 % intervals", "English", "Korean", "Korean - English", "true", "other style (n)", "chance");
    for (const auto& m : g.measures) {
      const MeasureKind& k = kind_of(m);
      out +=
          fmt::format("  {:<38}{:<28}{:<28}{:<28}{:<12}{:<16}{}\n", k.title, with(k, m.side[0].value, m.side[0].interval),
                      with(k, m.side[1].value, m.side[1].interval), with(k, m.gap, m.gap_interval), number(k, m.truth),
                      m.elsewhere_n ? fmt::format("{} ({})", number(k, m.elsewhere), m.elsewhere_n) : "-", number(k, m.chance));
    }
  }
  return out;
}

}  // namespace duet
