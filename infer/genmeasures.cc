// The measures of one group of prompts: see infer/eval_generate.h.
#include <algorithm>
#include <cmath>

#include "infer/edges.h"
#include "infer/eval_generate.h"
#include "infer/imagedistance.h"
#include "infer/setdistance.h"
#include "kernels/error.h"
#include "kernels/parallel.h"
#include "kernels/random.h"

namespace duet {
namespace {

using Eval = GenerateEval;
constexpr int kResamples = 1000, kBlocks = 10, kNeighbours = 3;
constexpr int64_t kMostReference = 3000;  // true pictures that a set is compared with
constexpr size_t kFewest = 8;             // drawings and true pictures that a set's measures need

bool known(double v) { return !std::isnan(v); }

// Of values one a prompt, kNone where there is none: means, bootstrap intervals, and the difference over those that have both.
Measure of_values(const std::string& name, const std::vector<double>& en, const std::vector<double>& ko, uint64_t seed) {
  Measure m;
  m.name = name;
  const std::vector<double>* all[2] = {&en, &ko};
  for (int l = 0; l < 2; ++l) {
    std::vector<double> v;
    std::copy_if(all[l]->begin(), all[l]->end(), std::back_inserter(v), known);
    if (v.empty()) continue;
    // Hits and misses; a picture's stray alpha may be 0 too, but is no miss.
    const bool hits = name != "stray_alpha" && std::all_of(v.begin(), v.end(), [](double x) { return x == 0 || x == 1; });
    const uint64_t own = mix(seed, uint64_t(l));
    m.side[l] = {int64_t(v.size()), mean(v), hits ? share_interval(v, own) : bootstrap(v, own)};
  }
  std::vector<double> difference;
  for (size_t i = 0; i < en.size(); ++i)
    if (known(en[i]) && known(ko[i])) difference.push_back(ko[i] - en[i]);
  m.paired = int64_t(difference.size());
  if (!difference.empty()) m.gap = mean(difference), m.gap_interval = bootstrap(difference, mix(seed, 2));
  return m;
}

// What the set measures of a group are taken from. of[l] (prompts): index into drawn[l], -1: none.
struct Sets {
  FeatureSet drawn[2], truth, reference;
  std::vector<int64_t> of[2];
};

Sets sets_of(const Eval& e, const Eval::Group& g, uint64_t seed) {
  Sets s;
  std::vector<char> asked(e.pictures.size());
  std::vector<std::string> looks;
  std::vector<const Image*> drawn[2], truth, others;
  for (int64_t p : g.prompts) {
    const auto& prompt = e.prompts[size_t(p)];
    asked[size_t(prompt.source)] = 1;
    looks.push_back(e.pictures[size_t(prompt.source)].look);
    truth.push_back(&e.pictures[size_t(prompt.source)].image());
    for (int l = 0; l < 2; ++l) {
      s.of[l].push_back(prompt.drawn[l].empty() ? -1 : int64_t(drawn[l].size()));
      if (!prompt.drawn[l].empty()) drawn[l].push_back(&e.drawn[size_t(prompt.drawn[l][0])].image);
    }
  }
  std::sort(looks.begin(), looks.end());
  std::vector<int64_t> rest;
  for (size_t i = 0; i < e.pictures.size(); ++i)
    if (!asked[i] && std::binary_search(looks.begin(), looks.end(), e.pictures[i].look)) rest.push_back(int64_t(i));
  for (int64_t i : sample(int64_t(rest.size()), kMostReference, seed))
    others.push_back(&e.pictures[size_t(rest[size_t(i)])].image());
  for (int l = 0; l < 2; ++l) s.drawn[l] = features(drawn[l]);
  s.truth = features(truth), s.reference = features(others);
  return s;
}

Measure kernel_measure(const Sets& s, uint64_t seed) {
  const KernelReference reference(s.reference);
  Measure m;
  m.name = "kernel_distance", m.truth = reference.distance(s.truth);
  KernelReference::Sample of[2];
  for (int l = 0; l < 2; ++l)
    if (s.drawn[l].size() >= kFewest) of[l] = reference.sample(s.drawn[l]);
  // Prompts are resampled; each counts as often in both languages.
  const auto value = [&](int l, const std::vector<double>& counts) {
    std::vector<double> w(s.drawn[l].size());
    for (size_t p = 0; p < counts.size(); ++p)
      if (s.of[l][p] >= 0) w[size_t(s.of[l][p])] = counts[p];
    return reference.distance(of[l], w);
  };
  const std::vector<double> once(s.of[0].size(), 1);
  std::vector<double> both;  // 1: drawn in both languages
  for (size_t p = 0; p < once.size(); ++p) both.push_back(s.of[0][p] >= 0 && s.of[1][p] >= 0);
  const auto shared = std::count(both.begin(), both.end(), 1.0);
  std::vector<std::vector<double>> counts;
  for (int r = 0; r < kResamples; ++r) counts.push_back(resample_counts(int64_t(once.size()), mix(seed, uint64_t(r))));
  for (int l = 0; l < 2; ++l) {
    if (of[l].to.empty()) continue;
    std::vector<double> v(kResamples);
    parallel_for(kResamples, [&](int64_t r) { v[size_t(r)] = value(l, counts[size_t(r)]); });
    m.side[l] = {int64_t(of[l].to.size()), value(l, once), middle_95(v)};
  }
  if (shared >= int64_t(kFewest)) {
    const auto masked = [&](std::vector<double> c) {
      for (size_t p = 0; p < c.size(); ++p) c[p] *= both[p];
      return c;
    };
    std::vector<double> v(kResamples);
    parallel_for(kResamples, [&](int64_t r) {
      const auto c = masked(counts[size_t(r)]);
      v[size_t(r)] = value(1, c) - value(0, c);
    });
    m.paired = shared, m.gap = value(1, both) - value(0, both), m.gap_interval = middle_95(v);
  }
  return m;
}

// Intervals by the jackknife over blocks of prompts: resampling with replacement would make a set narrower than it is.
Measure frechet_measure(const Sets& s) {
  const FrechetReference reference(s.reference);
  Measure m;
  m.name = "frechet_distance", m.truth = reference.distance(s.truth);
  const auto without = [&](int l, int block, bool shared) {
    FeatureSet left;
    for (size_t p = 0; p < s.of[l].size(); ++p)
      if (s.of[l][p] >= 0 && int(p % kBlocks) != block && (!shared || s.of[1 - l][p] >= 0))
        left.push_back(s.drawn[l][size_t(s.of[l][p])]);
    return left;
  };
  const auto spread = [](const std::vector<double>& v, double at) {
    double sum = 0;
    for (double x : v) sum += (x - mean(v)) * (x - mean(v));
    const double half = 1.96 * std::sqrt(sum * (kBlocks - 1) / kBlocks);
    return Interval{at - half, at + half};
  };
  std::vector<double> left[2] = {std::vector<double>(kBlocks), std::vector<double>(kBlocks)}, gap(kBlocks);
  const bool measured[2] = {s.drawn[0].size() >= kFewest, s.drawn[1].size() >= kFewest};
  const size_t shared = without(0, -1, true).size();
  parallel_for(kBlocks, [&](int64_t b) {
    for (int l = 0; l < 2; ++l)
      if (measured[l]) left[l][size_t(b)] = reference.distance(without(l, int(b), false));
    if (shared == s.of[0].size()) gap[size_t(b)] = left[1][size_t(b)] - left[0][size_t(b)];
    else if (shared >= kFewest)
      gap[size_t(b)] = reference.distance(without(1, int(b), true)) - reference.distance(without(0, int(b), true));
  });
  for (int l = 0; l < 2; ++l) {
    if (!measured[l]) continue;
    const double value = reference.distance(s.drawn[l]);
    m.side[l] = {int64_t(s.drawn[l].size()), value, spread(left[l], value)};
  }
  if (shared >= kFewest) {
    m.paired = int64_t(shared);
    m.gap = reference.distance(without(1, -1, true)) - reference.distance(without(0, -1, true));
    m.gap_interval = spread(gap, m.gap);
  }
  return m;
}

std::vector<double> as_values(const std::vector<char>& v) { return {v.begin(), v.end()}; }

// Against as many true pictures as were drawn: both manifolds should be as dense.
void manifold_measures(const Sets& s, uint64_t seed, std::vector<Measure>& out) {
  FeatureSet some;
  for (int64_t i : sample(int64_t(s.reference.size()), int64_t(s.truth.size()), mix(seed, 1)))
    some.push_back(s.reference[size_t(i)]);
  std::vector<double> precise[2], covered[2];
  for (int l = 0; l < 2; ++l) {
    const bool enough = s.drawn[l].size() >= kFewest;
    const auto in = in_manifold(s.drawn[l], some, kNeighbours);
    for (int64_t i : s.of[l]) precise[l].push_back(enough && i >= 0 ? double(in[size_t(i)]) : Measure::kNone);
    covered[l] =
        enough ? as_values(in_manifold(some, s.drawn[l], kNeighbours)) : std::vector<double>(some.size(), Measure::kNone);
  }
  out.push_back(of_values("precision", precise[0], precise[1], mix(seed, 2)));
  out.back().truth = mean(as_values(in_manifold(s.truth, some, kNeighbours)));
  out.push_back(of_values("recall", covered[0], covered[1], mix(seed, 3)));
  out.back().truth = mean(as_values(in_manifold(some, s.truth, kNeighbours)));
}

// How cleanly the drawings are cut out, beside the true pictures of the same prompts.
void edge_measures(const Eval& e, const Eval::Group& g, uint64_t seed, std::vector<Measure>& out) {
  std::vector<double> stray[2], width[2], true_stray, true_width;
  for (int64_t p : g.prompts) {
    const auto& prompt = e.prompts[size_t(p)];
    for (int l = 0; l < 2; ++l) {
      const EdgeFigures d = prompt.drawn[l].empty() ? EdgeFigures{Measure::kNone, Measure::kNone}
                                                    : edges_of(e.drawn[size_t(prompt.drawn[l][0])].image);
      stray[l].push_back(d.stray), width[l].push_back(d.width);
    }
    const EdgeFigures t = edges_of(e.pictures[size_t(prompt.source)].image());
    true_stray.push_back(t.stray);
    if (known(t.width)) true_width.push_back(t.width);
  }
  out.push_back(of_values("stray_alpha", stray[0], stray[1], mix(seed, 1)));
  out.back().truth = mean(true_stray);
  out.push_back(of_values("edge_width", width[0], width[1], mix(seed, 2)));
  if (!true_width.empty()) out.back().truth = mean(true_width);
}

double mean_distance(const std::vector<PictureDescriptor>& d) {
  double sum = 0;
  for (size_t i = 0; i < d.size(); ++i)
    for (size_t j = 0; j < i; ++j) sum += distance(d[i], d[j]);
  return sum / (double(d.size()) * double(d.size() - 1) / 2);
}

// How far the seeds of a prompt are apart, and true pictures of the same look and other concepts.
void diversity_measure(const Eval& e, const Eval::Group& g, uint64_t seed, std::vector<Measure>& out) {
  constexpr size_t kTrue = 64;
  std::vector<double> apart[2];
  for (int64_t p : g.prompts)
    for (int l = 0; l < 2; ++l) {
      std::vector<PictureDescriptor> d;
      for (int64_t i : e.prompts[size_t(p)].drawn[l]) d.push_back(describe(e.drawn[size_t(i)].image));
      apart[l].push_back(d.size() > 1 ? mean_distance(d) : Measure::kNone);
    }
  Measure m = of_values("diversity", apart[0], apart[1], seed);
  if (m.side[0].n + m.side[1].n == 0) return;
  std::vector<double> between;
  std::vector<const Eval::Picture*> truth;
  for (size_t i = 0; i < std::min(kTrue, g.prompts.size()); ++i)
    truth.push_back(&e.pictures[size_t(e.prompts[size_t(g.prompts[i])].source)]);
  std::vector<PictureDescriptor> d;
  for (const auto* t : truth) d.push_back(describe(t->image()));
  for (size_t i = 0; i < truth.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (truth[i]->look == truth[j]->look && truth[i]->concept_words != truth[j]->concept_words)
        between.push_back(distance(d[i], d[j]));
  if (!between.empty()) m.truth = mean(between);
  out.push_back(std::move(m));
}

}  // namespace

const std::vector<MeasureKind> kMeasures = {
    {"within_1", "own picture is the nearest",
     "The true picture with the prompt's words is the nearest to the drawing among all pictures of the look that was asked. In "
     "another style: the same of a true picture of the concept in another style, taken for the drawing: what the right thing "
     "in "
     "a wrong style reaches.",
     true, 1},
    {"within_10", "own picture within the 10 nearest", "The same, among the ten nearest.", true, 1},
    {"within_50", "own picture within the 50 nearest", "The same, among the fifty nearest.", true, 1},
    {"to_source", "distance to own picture",
     "Mean image distance from a drawing to its true picture; chance: to all other pictures of the look.", false, -1},
    {"near_copies", "near-copies of training pictures",
     "Share of drawings that lie nearer to a training picture than half of what lies between that picture and its own nearest "
     "other training picture. True: the same of the true pictures of the prompts, beside the rest of training.",
     true, 0},
    {"to_nearest", "distance to nearest training picture",
     "Mean image distance to the nearest training picture. True: from the true pictures to the nearest other one.", false, 0},
    {"kernel_distance", "kernel distance",
     "Unbiased squared maximum mean discrepancy (kernel (x.y/D + 1)^3) between the drawings and true pictures of the same "
     "looks, "
     "those of the prompts left out. True: of the prompts' own pictures; 0 means alike.",
     false, -1},
    {"frechet_distance", "Frechet distance",
     "Frechet distance between the same sets. It falls with the number of pictures: compare it with the value of the true "
     "pictures, which are as many.",
     false, -1},
    {"precision", "precision", "Share of drawings within the manifold of true pictures (3 nearest neighbours).", true, 1},
    {"recall", "recall", "Share of true pictures within the manifold of the drawings.", true, 1},
    {"diversity", "distance between seeds",
     "Mean image distance between the drawings of one prompt from four seeds. True: between true pictures of different "
     "concepts "
     "of one look.",
     false, 0},
    {"stray_alpha", "partly transparent off the outline",
     "Share of a picture's pixels that are neither clear nor opaque and more than two pixels from the outline, where alpha "
     "crosses one half: haze, holes; of true pictures shadows and glass.",
     true, -1},
    {"edge_width", "width of the outline",
     "Partly transparent pixels within two pixels of the outline, a pixel of outline; pictures that have one.", false, 0},
};

const MeasureKind& kind_of(const Measure& m) {
  for (const auto& k : kMeasures)
    if (m.name == k.name) return k;
  CHECK(false, "a measure of kMeasures, not ", m.name);
  return kMeasures[0];
}

std::vector<Measure> measure_group(const Eval& e, const Eval::Group& g, std::span<const char> true_copies,
                                   std::span<const double> true_to_nearest, uint64_t seed) {
  std::vector<Measure> out;
  const auto per_prompt = [&](const std::string& name, auto value) {
    std::vector<double> v[2];
    for (int64_t p : g.prompts)
      for (int l = 0; l < 2; ++l) {
        const auto& drawn = e.prompts[size_t(p)].drawn[l];
        v[l].push_back(drawn.empty() ? Measure::kNone : double(value(e.drawn[size_t(drawn[0])])));
      }
    out.push_back(of_values(name, v[0], v[1], mix(seed, out.size())));
  };
  const auto mean_over = [&](auto value) {
    std::vector<double> v;
    for (int64_t p : g.prompts) {
      const auto& prompt = e.prompts[size_t(p)];
      const auto& drawn = prompt.drawn[prompt.drawn[0].empty()];
      if (const double x = value(p, e.drawn[size_t(drawn[0])]); known(x)) v.push_back(x);
    }
    return v.empty() ? Measure::kNone : mean(v);
  };
  const auto elsewhere = [&](auto value) {
    std::vector<double> v;
    for (const int64_t p : g.prompts)
      if (const auto& prompt = e.prompts[size_t(p)]; prompt.elsewhere >= 0) v.push_back(value(prompt.elsewhere_placed));
    out.back().elsewhere_n = int64_t(v.size());
    if (!v.empty()) out.back().elsewhere = mean(v);
  };
  for (const int k : Eval::kWithin) {
    per_prompt("within_" + std::to_string(k), [&](const Eval::Drawn& d) { return d.placed.rank <= k; });
    out.back().chance = mean_over([&](int64_t, const Eval::Drawn& d) { return chance_within(k, d.placed.candidates); });
    elsewhere([&](const Eval::Placed& p) { return double(p.rank <= k); });
    out.back().truth = 1;
  }
  per_prompt("to_source", [](const Eval::Drawn& d) { return d.placed.to_source; });
  out.back().chance = mean_over([](int64_t, const Eval::Drawn& d) { return d.placed.to_others; });
  elsewhere([](const Eval::Placed& p) { return p.to_source; });
  per_prompt("near_copies", [](const Eval::Drawn& d) { return d.near_copy; });
  out.back().truth = mean_over([&](int64_t p, const Eval::Drawn&) { return double(true_copies[size_t(p)]); });
  per_prompt("to_nearest", [](const Eval::Drawn& d) { return d.to_nearest; });
  out.back().truth = mean_over([&](int64_t p, const Eval::Drawn&) { return true_to_nearest[size_t(p)]; });
  const Sets s = sets_of(e, g, mix(seed, 50));
  if (s.truth.size() >= kFewest && s.reference.size() >= kFewest) {
    out.push_back(kernel_measure(s, mix(seed, 51)));
    out.push_back(frechet_measure(s));
    manifold_measures(s, mix(seed, 52), out);
  }
  diversity_measure(e, g, mix(seed, 53), out);
  edge_measures(e, g, mix(seed, 54), out);
  return out;
}

}  // namespace duet
