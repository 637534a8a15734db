#include "infer/eval_icons.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "infer/imagedistance.h"
#include "infer/sheet.h"
#include "kernels/error.h"
#include "kernels/parallel.h"
#include "kernels/random.h"
#include "text/unicode.h"

namespace duet {
namespace {

// Which pictures, in which language; the prompt as training words it.
std::vector<IconDrawing> choose(const std::vector<EvalSet>& sets, const IconEvalOptions& o) {
  std::vector<IconDrawing> all, chosen;
  for (size_t s = 0; s < sets.size(); ++s)
    for (size_t i = 0; i < sets[s].meta.size(); ++i) {
      const Meta& m = sets[s].meta[i];
      if (!caption_in(m, false).empty() || !caption_in(m, true).empty())
        all.emplace_back().set = int(s), all.back().source = int64_t(i);
    }
  for (int64_t i : sample(int64_t(all.size()), o.n, mix(o.seed, 1))) {
    IconDrawing d = all[size_t(i)];
    const Meta& m = sets[size_t(d.set)].meta[size_t(d.source)];
    d.korean = chosen.size() % 2 != 0;
    if (caption_in(m, d.korean).empty()) d.korean = !d.korean;
    d.prompt = caption_in(m, d.korean);
    if (o.styled) d.prompt = with_style(d.prompt, clean_caption(m.style));
    chosen.push_back(std::move(d));
  }
  return chosen;
}

std::vector<PictureDescriptor> describe_all(const std::vector<const Image*>& images) {
  std::vector<PictureDescriptor> out(images.size());
  parallel_for(int64_t(images.size()), [&](int64_t i) { out[size_t(i)] = describe(*images[size_t(i)]); });
  return out;
}

// Compares the drawings of one set, and their sources, with all its pictures; pieces bound the memory.
void compare(std::vector<IconDrawing*>& drawings, const EvalSet& set) {
  constexpr size_t kPiece = 256;
  const size_t D = drawings.size(), N = set.pictures.size();
  std::vector<const Image*> queries;
  for (const auto* d : drawings) queries.push_back(&d->drawn);
  for (const auto* d : drawings) queries.push_back(&set.pictures[size_t(d->source)]);
  const auto described = describe_all(queries);
  std::vector<float> to(2 * D * N);
  for (size_t first = 0; first < N; first += kPiece) {
    std::vector<const Image*> piece;
    for (size_t i = first; i < std::min(first + kPiece, N); ++i) piece.push_back(&set.pictures[i]);
    const auto d = distances(described, describe_all(piece));
    for (size_t q = 0; q < 2 * D; ++q) std::copy_n(&d[q * piece.size()], piece.size(), &to[q * N + first]);
  }
  for (size_t i = 0; i < D; ++i) {
    IconDrawing& d = *drawings[i];
    const float *drawn = &to[i * N], *source = &to[(D + i) * N];
    std::vector<float> closeness(N);
    std::transform(drawn, drawn + N, closeness.begin(), [](float x) { return -x; });
    d.rank = rank_of(closeness, std::vector<int64_t>{d.source});
    d.nearest = std::min_element(drawn, drawn + N) - drawn;
    d.to_source = drawn[d.source], d.to_nearest = drawn[d.nearest];
    d.spacing = std::numeric_limits<double>::infinity();
    for (size_t j = 0; j < N; ++j)
      if (int64_t(j) != d.source) d.spacing = std::min(d.spacing, double(source[j]));
  }
}

}  // namespace

IconEval eval_icons(const EvalModel& m, const std::vector<EvalSet>& sets, const IconEvalOptions& o) {
  if (o.n < 1 || o.batch < 1) refuse("-n ", o.n, " and --batch ", o.batch, ": at least 1 is needed");
  IconEval out;
  out.drawings = choose(sets, o);
  if (out.drawings.empty()) refuse("no captions in these data sets; build them with 'duet data build'");
  const size_t n = out.drawings.size();
  Progress progress("drawing icons", int64_t(n));
  double start = seconds();
  for (size_t first = 0; first < n; first += size_t(o.batch)) {
    std::vector<std::string> prompts;
    std::vector<uint64_t> seeds;
    for (size_t i = first; i < std::min(first + size_t(o.batch), n); ++i)
      prompts.push_back(out.drawings[i].prompt), seeds.push_back(mix(o.seed, 1'000'000 + i));
    auto images = m.draw(prompts, seeds);
    for (size_t i = 0; i < images.size(); ++i) out.drawings[first + i].drawn = std::move(images[i]);
    progress.at(int64_t(first + prompts.size()));
  }
  out.draw_seconds = seconds() - start, start = seconds();
  for (size_t s = 0; s < sets.size(); ++s) {
    std::vector<IconDrawing*> of_set;
    for (auto& d : out.drawings)
      if (d.set == int(s)) of_set.push_back(&d);
    if (!of_set.empty()) compare(of_set, sets[s]);
  }
  out.rank_seconds = seconds() - start;

  // One row for each set and language, one for all; chance differs with the size of the set, so each query keeps its own.
  const auto add_row = [&](const std::string& name, auto belongs) {
    std::vector<int64_t> ranks;
    std::vector<double> chance[3], hit[3];
    int64_t most = 0;
    for (const auto& d : out.drawings) {
      if (!belongs(d)) continue;
      const int64_t N = int64_t(sets[size_t(d.set)].pictures.size());
      ranks.push_back(d.rank), most = std::max(most, N);
      for (int k = 0; k < 3; ++k) chance[k].push_back(chance_within(RankSummary::kWithin[k], N));
    }
    if (ranks.empty()) return;
    RankSummary r = summarize_ranks(ranks, std::vector<int64_t>(ranks.size(), 1), most, mix(o.seed, out.rows.size() + 50));
    for (int k = 0; k < 3; ++k) r.chance[k] = mean(chance[k]);
    out.rows.push_back({name, r});
  };
  for (size_t s = 0; s < sets.size(); ++s)
    for (bool korean : {false, true})
      add_row(sets[s].name + " " + language(korean),
              [&](const IconDrawing& d) { return d.set == int(s) && d.korean == korean; });
  for (bool korean : {false, true})
    add_row(std::string("all ") + language(korean), [&](const IconDrawing& d) { return d.korean == korean; });
  add_row("all", [](const IconDrawing&) { return true; });

  std::vector<double> to_source, to_nearest, spacing, copies;
  for (const auto& d : out.drawings) {
    to_source.push_back(d.to_source), to_nearest.push_back(d.to_nearest);
    if (std::isfinite(d.spacing)) spacing.push_back(d.spacing), copies.push_back(d.to_nearest < d.spacing / 2);
  }
  out.median_to_source = median(to_source), out.median_to_nearest = median(to_nearest), out.median_spacing = median(spacing);
  out.near_copies = mean(copies);
  return out;
}

std::string IconEval::table() const {
  std::string out = fmt::format("{:<14}{:>6}{:>8}  {:<28}{:<18}{:>12}\n", "own source", "n", "among",
                                "within 10 (95 %; chance)", "first (chance)", "median rank");
  for (const auto& [name, r] : rows)
    out += fmt::format("{:<14}{:>6}{:>8}  {:<28}{:<18}{:>12.1f}\n", name, r.n, r.candidates,
                       fmt::format("{:.1f} % ({:.0f}..{:.0f}; {:.2f} %)", 100 * r.share[2], 100 * r.interval[2].low,
                                   100 * r.interval[2].high, 100 * r.chance[2]),
                       fmt::format("{:.1f} % ({:.2f} %)", 100 * r.share[0], 100 * r.chance[0]), r.median_rank);
  return out + fmt::format(
                   "Median distance of a drawing to its source {:.4f}, to the nearest training picture {:.4f}; of a source to "
                   "its nearest\nneighbour {:.4f}. {:.1f} % of drawings lie nearer to a training picture than half of that "
                   "(nearly a copy).\n",
                   median_to_source, median_to_nearest, median_spacing, 100 * near_copies);
}

Image icon_sheet(const IconEval& eval, const std::vector<EvalSet>& sets, int count, uint64_t seed) {
  const auto chosen = sample(int64_t(eval.drawings.size()), count, mix(seed, 2));
  std::vector<SheetCell> cells;
  for (int64_t i : chosen) {
    const IconDrawing& d = eval.drawings[size_t(i)];
    cells.push_back(
        {{&d.drawn, &sets[size_t(d.set)].pictures[size_t(d.source)]}, d.prompt, fmt::format("#{}", d.rank), d.rank <= 10});
  }
  return captioned_sheet(
      fmt::format("left: drawn from the words; right: the training picture of that caption; {} of {} chosen at "
                  "random (seed {}); #: rank of the right one by image distance",
                  chosen.size(), eval.drawings.size(), seed),
      cells);
}

}  // namespace duet
