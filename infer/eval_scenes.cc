#include "infer/eval_scenes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "infer/scenecheck.h"
#include "kernels/error.h"
#include "kernels/parallel.h"
#include "kernels/random.h"

namespace duet {
namespace {

struct Group {
  SceneSplit split;
  Lang lang;
  std::string name() const { return std::string(split == SceneSplit::seen ? "seen " : "unseen ") + language(lang == Lang::ko); }
};
const Group kGroups[] = {{SceneSplit::seen, Lang::en},
                         {SceneSplit::seen, Lang::ko},
                         {SceneSplit::heldout, Lang::en},
                         {SceneSplit::heldout, Lang::ko}};

std::vector<std::string> attributes(const Score& s, bool wrong) {
  std::vector<std::string> out;
  for (int a = 0; a < kAttributes; ++a)
    if (s.tally[a].total && (!wrong || s.tally[a].right < s.tally[a].total)) out.push_back(name(Attribute(a)));
  return out;
}

std::string verdict(const SceneEval::Judged& j) {
  return j.said + (j.wrong.empty() ? "" : fmt::format("  [wrong: {}]", fmt::join(j.wrong, ", ")));
}

SceneEval::Judged judged(bool drawn, const Group& g, int index, const std::string& said, const Scene& asked, const Score& s) {
  return {drawn,
          g.name(),
          index,
          said,
          int(asked.things.size()),
          asked.background == kGrey,
          attributes(s, false),
          attributes(s, true)};
}

SceneEval::Gap gap(const std::string& split, const std::vector<double>& en, const std::vector<double>& ko, uint64_t seed) {
  std::vector<double> difference;
  for (size_t i = 0; i < en.size(); ++i) difference.push_back(100 * (ko[i] - en[i]));
  return {split, mean(difference), bootstrap(difference, seed)};
}

// The differences between the languages, split by split; whole: of each group, 1 where everything was right.
std::vector<SceneEval::Gap> gaps(const std::vector<std::vector<double>>& whole, uint64_t seed) {
  return {gap("seen", whole[0], whole[1], mix(seed, 101)), gap("unseen", whole[2], whole[3], mix(seed, 102))};
}

std::string gap_lines(const SceneReport& report, const std::vector<SceneEval::Gap>& all) {
  std::string out;
  for (const auto& g : all) {
    out += fmt::format("Korean minus English, {}: whole scene {:+.1f} points (95 % {:+.1f} .. {:+.1f});", g.split, g.points,
                       g.interval.low, g.interval.high);
    SceneReport r = report;
    for (int a = 0; a < kAttributes; ++a) {
      const auto &ko = r.group(g.split + " ko"), &en = r.group(g.split + " en");
      if (en.tally[a].total && ko.tally[a].total)
        out += fmt::format(" {} {:+.1f}", name(Attribute(a)), percent(ko.tally[size_t(a)]) - percent(en.tally[size_t(a)]));
    }
    out += "\n";
  }
  return out;
}

}  // namespace

SceneEval eval_scenes(const EvalModel& m, const SceneEvalOptions& o) {
  if (o.n < 1 || o.batch < 1) refuse("-n ", o.n, " and --batch ", o.batch, ": at least 1 is needed");
  SceneEval out;
  SceneReport drawn, captioned;
  std::vector<std::vector<double>> drawn_whole, captioned_whole;
  Progress drawing("drawing scenes", 4 * int64_t(o.n));
  for (const Group& g : kGroups) {
    auto& whole = drawn_whole.emplace_back();
    for (int first = 0; first < o.n; first += o.batch) {
      const int count = std::min(o.batch, o.n - first);
      std::vector<ScenePrompt> prompts;
      std::vector<std::string> texts;
      std::vector<uint64_t> seeds;
      for (int i = first; i < first + count; ++i) {
        prompts.push_back(random_prompt(mix(o.seed, uint64_t(i)), g.split, g.lang));
        texts.push_back(prompts.back().text), seeds.push_back(mix(o.seed, 1'000'000 + uint64_t(i)));
      }
      const double start = seconds();
      const auto images = m.draw(texts, seeds);
      out.draw_seconds += seconds() - start;
      std::vector<Score> scores(size_t(count), Score{});
      parallel_for(count, [&](int64_t i) { scores[size_t(i)] = check(images[size_t(i)], prompts[size_t(i)]).score; });
      for (size_t i = 0; i < images.size(); ++i) {
        drawn.group(g.name()).add(scores[i], prompts[i].scene);
        whole.push_back(scores[i].whole());
        out.judged.push_back(judged(true, g, first + int(i), prompts[i].text, prompts[i].scene, scores[i]));
        if (first + int(i) < o.show) out.cells.emplace_back(images[i], verdict(out.judged.back()));
      }
      drawing.at(int64_t(&g - kGroups) * o.n + first + count);
    }
  }
  Progress reading("captioning scenes", 4 * int64_t(o.n));
  for (const Group& g : kGroups) {
    auto& whole = captioned_whole.emplace_back();
    for (int first = 0; first < o.n; first += o.batch) {
      const int count = std::min(o.batch, o.n - first);
      std::vector<Scene> scenes;
      std::vector<Image> images;
      for (int i = first; i < first + count; ++i) {
        scenes.push_back(random_scene(mix(o.seed, uint64_t(i)), g.split));
        images.push_back(render(scenes.back(), m.size));
      }
      const double start = seconds();
      const auto said = m.caption(images, g.lang == Lang::ko);
      out.caption_seconds += seconds() - start;
      for (size_t i = 0; i < said.size(); ++i) {
        const Score score = score_caption(parse_caption(said[i], g.lang), scenes[i]);
        captioned.group(g.name()).add(score, scenes[i]);
        out.judged.push_back(judged(false, g, first + int(i), said[i], scenes[i], score));
        whole.push_back(score.whole());
      }
      reading.at(int64_t(&g - kGroups) * o.n + first + count);
    }
  }
  out.drawn_gap = gaps(drawn_whole, o.seed), out.captioned_gap = gaps(captioned_whole, mix(o.seed, 7));
  out.drawn = drawn.json(), out.captioned = captioned.json();
  out.table = "Drawn from prompts, judged by a program that looks at the pictures\n" + drawn.table() +
              gap_lines(drawn, out.drawn_gap) + "\nTrue scenes captioned, what was said against what is there\n" +
              captioned.table() + gap_lines(captioned, out.captioned_gap);
  return out;
}

}  // namespace duet
