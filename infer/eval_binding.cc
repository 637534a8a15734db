#include "infer/eval_binding.h"

#include <fmt/format.h>

#include <utility>

#include "infer/eval_model.h"
#include "kernels/error.h"
#include "kernels/random.h"
#include "vision/patch.h"
#include "vision/scene.h"
#include "vision/scenetext.h"

namespace duet {
namespace {

struct Pair {
  Scene scene;
  std::string words;
};

// Two things of different shapes and colours, both named, that the words put in relation.
std::vector<Pair> related_pairs(int n, Lang lang, uint64_t seed) {
  std::vector<Pair> out;
  for (uint64_t i = 0; int(out.size()) < n; ++i) {
    const Scene s = random_scene(mix(seed, i), SceneSplit::seen);
    if (s.things.size() != 2 || s.things[0].shape == s.things[1].shape || s.things[0].color == s.things[1].color) continue;
    std::string words = caption(s, lang, mix(seed, 1'000'000 + i));
    const ParsedScene said = parse_caption(words, lang);
    if (said.relations.empty() || said.things.size() != 2 || !said.things[0].color || !said.things[1].color) continue;
    out.push_back({s, std::move(words)});
  }
  return out;
}

Scene exchange(Scene s, bool colors) {
  if (colors) std::swap(s.things[0].color, s.things[1].color);
  else std::swap(s.things[0].shape, s.things[1].shape);
  return s;
}

std::vector<float> pixels_of(const Scene& s, int size) {
  std::vector<float> out(size_t(size) * size * 4);
  to_pixels(render(s, size), out.data());
  return out;
}

double distance(const float* a, const std::vector<float>& b) {
  double d = 0;
  for (size_t i = 0; i < b.size(); ++i) d += double(a[i] - b[i]) * double(a[i] - b[i]);
  return d;
}

}  // namespace

BindingEval eval_binding(const GuessFn& guess, const BindingOptions& o) {
  if (o.n < 1 || o.batch < 1) refuse("-n ", o.n, " and --batch ", o.batch, ": at least 1 is needed");
  BindingEval out;
  Progress progress("exchanging things", 4 * int64_t(1 + 2 * std::size(BindingEval::kTimes)) * o.n);
  int64_t done = 0;
  const size_t each = size_t(o.size) * size_t(o.size) * 4;
  for (const bool korean : {false, true}) {
    const auto pairs = related_pairs(o.n, korean ? Lang::ko : Lang::en, o.seed);
    for (const bool colors : {false, true}) {
      const auto row = [&](bool exchanged, double t) {
        std::vector<double> nearer;
        for (int first = 0; first < o.n; first += o.batch) {
          const int count = std::min(o.batch, o.n - first);
          std::vector<std::string> prompts;
          std::vector<std::vector<float>> own, other;
          std::vector<float> under;
          std::vector<uint64_t> seeds;
          for (int i = first; i < first + count; ++i) {
            const Pair& p = pairs[size_t(i)];
            prompts.push_back(p.words), seeds.push_back(mix(o.seed, 2'000'000 + uint64_t(i)));
            own.push_back(pixels_of(p.scene, o.size)), other.push_back(pixels_of(exchange(p.scene, colors), o.size));
            const auto& seen = exchanged ? other.back() : own.back();
            under.insert(under.end(), seen.begin(), seen.end());
          }
          const auto x = guess(prompts, under, float(t), seeds);
          CHECK(x.size() == under.size(), "a guess for each of ", count, " pictures");
          for (size_t i = 0; i < size_t(count); ++i)
            nearer.push_back(distance(x.data() + i * each, own[i]) < distance(x.data() + i * each, other[i]));
          progress.at(done += count);
        }
        out.rows.push_back({korean, colors, exchanged, t, mean(nearer), share_interval(nearer, mix(o.seed, out.rows.size()))});
      };
      row(false, 0);
      for (const bool exchanged : {false, true})
        for (const double t : BindingEval::kTimes) row(exchanged, t);
    }
  }
  return out;
}

std::string BindingEval::table() const {
  constexpr size_t kEach = 1 + 2 * std::size(kTimes);
  std::string out = fmt::format("{:<10}{:>22}{:>24}{:>24}\n{:<10}{:>22}", "", "", "over what is said", "over the exchanged",
                                "exchanged", "noise alone");
  for (int k = 0; k < 2; ++k)
    for (const double t : kTimes) out += fmt::format("{:>8}", fmt::format("t {}", t));
  for (size_t r = 0; r + kEach <= rows.size(); r += kEach) {
    const Row& first = rows[r];
    out += fmt::format(
        "\n{:<10}{:>22}", fmt::format("{} {}", first.colors ? "colours" : "shapes", first.korean ? "ko" : "en"),
        fmt::format("{:.1f} ({:.0f} .. {:.0f})", 100 * first.share, 100 * first.interval.low, 100 * first.interval.high));
    for (size_t k = 1; k < kEach; ++k) out += fmt::format("{:>8.1f}", 100 * rows[r + k].share);
  }
  return out + "\n% of guesses nearer to what is said than to the scene with the two exchanged; by chance 50\n";
}

}  // namespace duet
