#include "infer/eval_read.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "fusion/styles.h"
#include "kernels/error.h"
#include "kernels/parallel.h"
#include "kernels/random.h"
#include "text/unicode.h"

namespace duet {
namespace {

constexpr int64_t kFewOfAClass = 10;  // resampling so few shows only what they happen to be
constexpr size_t kPiece = 64;

// Unit rows of one set: its captioned pictures, their different captions, and which belongs to which.
struct Matched {
  UnitRows pictures, texts;
  std::vector<size_t> text_of;  // (pictures)
};

// (queries) ranks and (queries) numbers of right answers
struct Ranks {
  std::vector<int64_t> rank, relevant;
};

Ranks rank_all(const UnitRows& queries, const UnitRows& candidates, const std::vector<std::vector<int64_t>>& relevant) {
  Ranks out;
  out.rank.resize(queries.size());
  parallel_for(int64_t(queries.size()), [&](int64_t q) {
    std::vector<float> score;
    for (const auto& c : candidates) {
      double dot = 0;
      for (size_t e = 0; e < c.size(); ++e) dot += double(c[e]) * queries[size_t(q)][e];
      score.push_back(float(dot));
    }
    out.rank[size_t(q)] = rank_of(score, relevant[size_t(q)]);
  });
  for (const auto& r : relevant) out.relevant.push_back(int64_t(r.size()));
  return out;
}

}  // namespace

static std::vector<UnitRows> look_at(const EvalModel& m, const std::vector<EvalSet>& sets) {
  std::vector<UnitRows> out;
  int64_t all = 0, done = 0;
  for (const auto& s : sets) all += int64_t(s.pictures.size());
  Progress progress("looking at pictures", all);
  for (const auto& s : sets) {
    auto& rows = out.emplace_back();
    for (size_t i = 0; i < s.pictures.size(); i += kPiece) {
      const auto piece = std::span(s.pictures).subspan(i, std::min(kPiece, s.pictures.size() - i));
      for (auto& r : m.embed_pictures(piece)) rows.push_back(std::move(r));
      progress.at(done += int64_t(piece.size()));
    }
  }
  return out;
}

RetrievalEval eval_retrieval(const EvalModel& m, const std::vector<EvalSet>& sets, const std::vector<EvalSet>& others,
                             uint64_t seed) {
  RetrievalEval out;
  const auto seen = look_at(m, sets), beside = look_at(m, others);
  const auto evaluate = [&](const std::string& name, size_t first, size_t last) {
    for (bool korean : {false, true}) {
      Matched match;
      std::vector<std::string> texts;
      std::map<std::string, size_t> known;
      for (size_t s = first; s < last; ++s)
        for (size_t i = 0; i < sets[s].pictures.size(); ++i) {
          const std::string caption = caption_in(sets[s].meta[i], korean);
          if (caption.empty()) continue;
          const auto [at, fresh] = known.emplace(caption, texts.size());
          if (fresh) texts.push_back(caption);
          match.pictures.push_back(seen[s][i]), match.text_of.push_back(at->second);
        }
      if (texts.size() < 2) continue;
      match.texts = m.embed_texts(texts);
      std::vector<std::vector<int64_t>> pictures_of(texts.size()), texts_of;
      for (size_t p = 0; p < match.pictures.size(); ++p) {
        pictures_of[match.text_of[p]].push_back(int64_t(p));
        texts_of.push_back({int64_t(match.text_of[p])});
      }
      UnitRows gallery = match.pictures;
      for (size_t s = 0; s < others.size(); ++s)
        for (size_t i = 0; i < beside[s].size(); ++i)
          if (!known.count(caption_in(others[s].meta[i], korean))) gallery.push_back(beside[s][i]);
      const Ranks find = rank_all(match.texts, gallery, pictures_of);
      const Ranks tell = rank_all(match.pictures, match.texts, texts_of);
      const uint64_t row = out.rows.size();
      out.rows.push_back(
          {name, korean, true, summarize_ranks(find.rank, find.relevant, int64_t(gallery.size()), mix(seed, row))});
      out.rows.push_back(
          {name, korean, false, summarize_ranks(tell.rank, tell.relevant, int64_t(texts.size()), mix(seed, row + 1))});
    }
  };
  for (size_t s = 0; s < sets.size(); ++s) evaluate(sets[s].name, s, s + 1);
  if (sets.size() > 1) evaluate("together", 0, sets.size());
  if (out.rows.empty()) refuse("fewer than two captions in either language; nothing to search among");
  return out;
}

std::string RetrievalEval::table() const {
  std::string out = fmt::format("{:<14}{:<5}{:<17}{:>5}{:>7}", "set", "lang", "direction", "n", "among");
  for (int k : RankSummary::kWithin) out += fmt::format("  {:<24}", fmt::format("R@{} (95 %; chance)", k));
  out += fmt::format("{:>12}{:>16}\n", "median rank", "R@10 / chance");
  for (const auto& [set, korean, from_text, r] : rows) {
    out += fmt::format("{:<14}{:<5}{:<17}{:>5}{:>7}", set, language(korean), from_text ? "text to picture" : "picture to text",
                       r.n, r.candidates);
    for (int k = 0; k < 3; ++k)
      out += fmt::format("  {:<24}", fmt::format("{:.1f} ({:.0f}..{:.0f}; {:.1f})", 100 * r.share[k], 100 * r.interval[k].low,
                                                 100 * r.interval[k].high, 100 * r.chance[k]));
    out += fmt::format("{:>12.1f}{:>14.1f} x\n", r.median_rank, r.share[2] / r.chance[2]);
  }
  return out;
}

std::string readable_category(const std::string& group, bool deep) {
  const size_t slash = group.find('/');
  std::string name = deep && slash != std::string::npos ? group.substr(group.rfind('/') + 1) : group.substr(0, slash);
  for (char& c : name) {
    if (c == '_' || c == '-') c = ' ';
    if (c >= 'A' && c <= 'Z') c = char(c + 32);
  }
  return clean_caption(name);
}

std::vector<std::string> categories(const std::vector<const std::vector<Meta>*>& all, bool deep) {
  std::set<std::string> names;
  for (const auto* metas : all)
    for (const auto& m : *metas) names.insert(readable_category(m.group, deep));
  names.erase("");
  return {names.begin(), names.end()};
}

ClassifyEval eval_classify(const Probabilities& classify, const EvalSet& set, const std::vector<std::string>& labels, bool deep,
                           uint64_t seed) {
  ClassifyEval out;
  out.labels = labels;
  Progress progress("classifying", int64_t(set.pictures.size()));
  for (size_t first = 0; first < set.pictures.size(); first += kPiece) {
    const auto piece = std::span(set.pictures).subspan(first, std::min(kPiece, set.pictures.size() - first));
    const auto probabilities = classify(piece);
    for (size_t i = 0; i < piece.size(); ++i) {
      const auto at = std::find(labels.begin(), labels.end(), readable_category(set.meta[first + i].group, deep));
      if (at == labels.end()) continue;  // a picture without a category
      const auto& p = probabilities[i];
      out.truth.push_back(int(at - labels.begin()));
      out.picture.push_back(int64_t(first + i));
      out.unit.push_back(set.meta[first + i].unit);
      out.probabilities.push_back(p);
      out.guess.push_back(int(std::max_element(p.begin(), p.end()) - p.begin()));
    }
    progress.at(int64_t(first + piece.size()));
  }
  if (out.truth.empty()) refuse(set.name, ": no picture has a category (\"group\" in its metadata)");
  out.summary = summarize_classes(out.truth, out.guess, int(labels.size()));
  out.measures = class_measures(out.probabilities, out.truth, units_of(out.unit), mix(seed, 3));
  return out;
}

std::string ClassifyEval::table() const {
  const auto& s = summary;
  const auto within = [](const Interval& i) {
    return !i.known() ? "too few to say how sure" : fmt::format("95 % {:.1f} .. {:.1f}", 100 * i.low, 100 * i.high);
  };
  std::string out = fmt::format(
      "{} pictures, {} classes to choose from, {} occur\n"
      "accuracy          {:5.1f} % ({}); always the commonest class {:.1f} %, at random {:.1f} %\n"
      "balanced accuracy {:5.1f} % ({}); always one class {:.1f} %, at random {:.1f} %\n",
      s.n, s.classes, s.present, 100 * s.accuracy, within(measures.accuracy_interval), 100 * s.majority, 100 * s.uniform,
      100 * s.balanced, within(measures.balanced_interval), 100 * s.balanced_chance, 100 * s.uniform);
  for (size_t c = 0; c < labels.size(); ++c)
    if (s.total[c])
      out += fmt::format("  {:<24}{:>4} of {:<4}  {}\n", labels[c], s.right[c], s.total[c], measures.by_class[c].words());
  out += measures.table(labels);
  if (measures.units < s.n)
    out += fmt::format("intervals resample {} units: pictures that belong together are one\n", measures.units);
  if (const auto few = std::count_if(s.total.begin(), s.total.end(), [](int64_t n) { return n > 0 && n < kFewOfAClass; }))
    out += fmt::format("classes with fewer than {} pictures: {}; intervals of so few say little\n", kFewOfAClass, few);
  if (s.present < s.classes) out += fmt::format("classes without a picture here: {}\n", s.classes - s.present);
  return out;
}

std::vector<std::string> references_in(const Meta& m, bool korean) {
  std::vector<std::string> out;
  const auto add = [&](const std::string& s) {
    const std::string c = clean_caption(s);
    if (!caption_words(c).empty() && std::find(out.begin(), out.end(), c) == out.end()) out.push_back(c);
  };
  add(korean ? m.caption_ko : m.caption);
  for (const auto& s : korean ? m.captions_ko : m.captions) add(s);
  return out;
}

std::string without_style(const std::string& caption) {
  for (const StyleName& style : kStyleNames)
    for (const char* word : {style.en, style.ko})
      if (const std::string end = std::string(", ") + word; caption.ends_with(end))
        return caption.substr(0, caption.size() - end.size());
  return caption;
}

CaptionEval eval_caption(const EvalModel& m, const EvalSet& set, bool korean, uint64_t seed) {
  CaptionEval out;
  for (size_t i = 0; i < set.pictures.size(); ++i)
    if (auto r = references_in(set.meta[i], korean); !r.empty())
      out.said.push_back({int64_t(i), {}, std::move(r), false, false, false, 0, 0});
  if (out.said.empty()) {
    const bool other =
        std::any_of(set.meta.begin(), set.meta.end(), [&](const auto& m) { return !references_in(m, !korean).empty(); });
    refuse(set.name, ": no caption in '", language(korean), "' to compare with; ",
           other ? join("there are some in '", language(!korean), "': --lang ", language(!korean))
                 : "choose another set or --split");
  }
  Progress progress("captioning", int64_t(out.said.size()));
  const double start = seconds();
  for (size_t first = 0; first < out.said.size(); first += kPiece) {
    const size_t n = std::min(kPiece, out.said.size() - first);
    std::vector<Image> images;
    for (size_t i = 0; i < n; ++i) images.push_back(set.pictures[size_t(out.said[first + i].picture)]);
    auto texts = m.captions(images, korean);
    for (size_t i = 0; i < n; ++i) out.said[first + i].texts = std::move(texts[i]);
    progress.at(int64_t(first + n));
  }
  out.caption_seconds = seconds() - start;
  std::vector<CaptionPair> pairs;
  std::vector<double> exact, named, named_any;
  for (auto& s : out.said) {
    CaptionPair p{caption_words(without_style(s.texts.at(0))), {}};
    for (const auto& r : s.references) p.references.push_back(caption_words(r));
    for (const auto& r : p.references) {
      s.exact = s.exact || r == p.said, s.named = s.named || names(p.said, r, korean);
      for (const auto& text : s.texts) s.named_any = s.named_any || names(caption_words(without_style(text)), r, korean);
    }
    exact.push_back(s.exact), named.push_back(s.named), named_any.push_back(s.named_any);
    pairs.push_back(std::move(p));
  }
  out.exact = mean(exact), out.named = mean(named), out.named_any = mean(named_any);
  out.exact_interval = share_interval(exact, mix(seed, 1)), out.named_interval = share_interval(named, mix(seed, 2));
  out.named_any_interval = share_interval(named_any, mix(seed, 3));
  out.bleu1 = bleu(pairs, 1), out.bleu4 = bleu(pairs, 4);
  const auto rouge = rouge_l_each(pairs);
  const auto cider = cider_d_each(pairs);
  for (size_t i = 0; i < cider.size(); ++i) out.said[i].cider_d = cider[i], out.said[i].rouge_l = rouge[i];
  out.cider_d = mean(cider), out.rouge_l = mean(rouge);
  return out;
}

std::string CaptionEval::table() const {
  return fmt::format(
      "{} pictures captioned in {:.1f} s\n"
      "exactly a reference  {:5.1f} % (95 % {:.1f} .. {:.1f})\n"
      "names the concept    {:5.1f} % (95 % {:.1f} .. {:.1f}); a reference stands in the caption word by word\n"
      "  in any of the beams {:5.1f} % (95 % {:.1f} .. {:.1f})\n"
      "Shared words (lower case, no punctuation; Korean by word): BLEU-1 {:.4f}, BLEU-4 {:.4f}, ROUGE-L {:.4f}, CIDEr-D "
      "{:.4f}\n",
      said.size(), caption_seconds, 100 * exact, 100 * exact_interval.low, 100 * exact_interval.high, 100 * named,
      100 * named_interval.low, 100 * named_interval.high, 100 * named_any, 100 * named_any_interval.low,
      100 * named_any_interval.high, bleu1, bleu4, rouge_l, cider_d);
}

static std::vector<int64_t> coco_ids(const CaptionEval& e, const EvalSet& set) {
  std::vector<int64_t> ids;
  for (const auto& s : e.said) ids.push_back(set.meta[size_t(s.picture)].coco_id);
  const bool own = std::set<int64_t>(ids.begin(), ids.end()).size() == ids.size() && std::ranges::min(ids) >= 0;
  for (size_t i = 0; !own && i < ids.size(); ++i) ids[i] = e.said[i].picture;
  return ids;
}

std::string coco_results(const CaptionEval& e, const EvalSet& set) {
  auto out = nlohmann::ordered_json::array();
  const auto ids = coco_ids(e, set);
  for (size_t i = 0; i < ids.size(); ++i) out.push_back({{"image_id", ids[i]}, {"caption", without_style(e.said[i].texts[0])}});
  return out.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string coco_references(const CaptionEval& e, const EvalSet& set) {
  auto images = nlohmann::ordered_json::array(), notes = images;
  const auto ids = coco_ids(e, set);
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto& said = e.said[i];
    const Meta& m = set.meta[size_t(said.picture)];
    images.push_back({{"id", ids[i]}, {"file_name", set.keys[size_t(said.picture)] + ".png"}});
    const auto note = [&](const std::string& written) {
      if (std::ranges::find(said.references, clean_caption(written)) != said.references.end())
        notes.push_back({{"id", notes.size()}, {"image_id", ids[i]}, {"caption", written}});
    };
    for (const auto* first : {&m.caption, &m.caption_ko}) note(*first);
    for (const auto* others : {&m.captions, &m.captions_ko})
      for (const auto& c : *others) note(c);
  }
  const nlohmann::ordered_json out = {{"info", nlohmann::ordered_json::object()},
                                      {"type", "captions"},
                                      {"licenses", nlohmann::ordered_json::array()},
                                      {"images", images},
                                      {"annotations", notes}};
  return out.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace duet
