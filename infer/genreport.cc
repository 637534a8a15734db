#include "infer/genreport.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "infer/base64.h"
#include "vision/codec.h"
#include "vision/transform.h"

namespace duet {
namespace {

using Eval = GenerateEval;

constexpr const char* kStyle = R"css(
:root { color-scheme: light dark; --ground: #fff; --panel: #f5f6f8; --line: #dfe2e7; --ink: #1c2026; --soft: #5a6270;
  --en: #1f5fbf; --ko: #b4530a; --true: #197a3e; --chance: #7a828f; --square: #e9ebee; }
@media (prefers-color-scheme: dark) { :root { --ground: #14161a; --panel: #1d2026; --line: #343942; --ink: #e8eaee;
  --soft: #a3abb8; --en: #7fb0ff; --ko: #ffab66; --true: #66cf8b; --chance: #8d95a3; --square: #2a2e35; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, "Noto Sans KR", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 40px 24px 80px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 12px; letter-spacing: -.01em; }
h2 { font-size: 21px; margin: 56px 0 4px; padding-top: 24px; border-top: 1px solid var(--line); }
h3 { font-size: 15px; margin: 28px 0 10px; }
p { margin: 0 0 12px; max-width: 74ch; } .soft { color: var(--soft); }
.facts { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 0 0 28px; padding: 0; list-style: none; color: var(--soft);
  font-size: 13px; } .facts b { font-weight: 600; color: var(--ink); overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(210px, 1fr)); gap: 12px; }
.tile { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
.tile .what { font-size: 13px; color: var(--soft); min-height: 2.9em; line-height: 1.4; }
.tile .value { font-size: 30px; font-weight: 650; line-height: 1.15; font-variant-numeric: tabular-nums; }
.tile .more { font-size: 13px; color: var(--soft); font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 7px 10px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; color: var(--soft); font-size: 13px; } th:first-child, td:first-child { text-align: left; padding-left: 0; }
td small { color: var(--soft); display: block; font-size: 12px; line-height: 1.2; }
.en { color: var(--en); } .ko { color: var(--ko); } .true { color: var(--true); } .chance { color: var(--chance); }
svg.plot { display: block; overflow: visible; }
.key { font-size: 13px; color: var(--soft); margin: 10px 0 0; } .key span { margin-right: 18px; white-space: nowrap; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(206px, 1fr)); gap: 18px 14px; }
.gallery.four { grid-template-columns: repeat(auto-fill, minmax(420px, 1fr)); }
.gallery.one { grid-template-columns: repeat(auto-fill, minmax(128px, 1fr)); }
figure { margin: 0; min-width: 0; }
.row { display: flex; gap: 4px; }
img { width: 128px; aspect-ratio: 1; height: auto; border-radius: 6px; object-fit: contain;
  background: repeating-conic-gradient(var(--square) 0 25%, var(--ground) 0 50%) 0 0 / 16px 16px; }
.row img { flex: 1 1 0; min-width: 0; }
figcaption { font-size: 13px; line-height: 1.35; margin-top: 6px; overflow-wrap: anywhere; }
figcaption .mark { color: var(--soft); } figcaption .good { color: var(--true); font-weight: 600; }
figcaption .bad { color: var(--ko); font-weight: 600; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; overflow-x: auto;
  font: 13px/1.5 ui-monospace, monospace; }
dl { display: grid; grid-template-columns: minmax(180px, 240px) 1fr; gap: 10px 24px; margin: 0; } dt { font-weight: 600; }
dd { margin: 0; color: var(--soft); max-width: 74ch; }
@media (max-width: 640px) { dl { grid-template-columns: 1fr; gap: 2px; } dd { margin-bottom: 10px; } main { padding: 24px 16px 60px; }
  .gallery.four { grid-template-columns: 1fr; } .gallery { grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); } }
)css";

std::string number(const MeasureKind& k, double v) {
  if (std::isnan(v)) return "–";
  if (k.share) return fmt::format("{:.1f}\u00a0%", 100 * v);
  return fmt::format("{:.3f}", v);
}

std::string range(const MeasureKind& k, const Interval& i) {
  return k.share ? fmt::format("{:.0f} … {:.0f}", 100 * i.low, 100 * i.high) : fmt::format("{:.3f} … {:.3f}", i.low, i.high);
}

std::string picture(const Image& image, const std::string& what) {
  return "<img loading=\"lazy\" alt=\"" + escape_html(what) + "\" src=\"data:image/png;base64," + to_base64(encode_png(image)) +
         "\">";
}

// English and Korean with their intervals, true pictures and chance, on one line from 0 to 1 or to the largest of them.
std::string plot(const MeasureKind& k, const Measure& m) {
  constexpr double kWide = 190;
  double most = 1e-9;
  for (const auto& s : m.side)
    if (s.n) most = std::max({most, s.interval.high, s.value});
  if (!std::isnan(m.truth)) most = std::max(most, m.truth);
  if (!std::isnan(m.chance)) most = std::max(most, m.chance);
  if (k.share) most = 1;
  const auto at = [&](double v) { return std::clamp(v / most, 0.0, 1.0) * kWide; };
  std::string out = fmt::format(
      "<svg class=\"plot\" width=\"{0}\" height=\"26\" viewBox=\"0 0 {0} 26\" aria-hidden=\"true\">"
      "<line x1=\"0\" x2=\"{0}\" y1=\"13\" y2=\"13\" stroke=\"var(--line)\"/>",
      kWide);
  const auto tick = [&](double v, const char* colour) {
    if (!std::isnan(v))
      out += fmt::format("<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"3\" y2=\"23\" stroke=\"var(--{1})\" stroke-width=\"2\"/>",
                         at(v), colour);
  };
  tick(m.chance, "chance"), tick(m.truth, "true");
  for (int l = 0; l < 2; ++l) {
    if (!m.side[l].n) continue;
    const char* colour = l ? "ko" : "en";
    const int y = l ? 18 : 8;
    out += fmt::format(
        "<line x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{}\" y2=\"{}\" stroke=\"var(--{}\" stroke-width=\"3\" stroke-opacity=\".45\"/>",
        at(m.side[l].interval.low), at(m.side[l].interval.high), y, y, std::string(colour) + ")");
    out += fmt::format("<circle cx=\"{:.1f}\" cy=\"{}\" r=\"4\" fill=\"var(--{})\"/>", at(m.side[l].value), y, colour);
  }
  return out + "</svg>";
}

std::string measures(const Eval::Group& g) {
  std::string out =
      "<div class=\"wide\"><table><thead><tr><th scope=\"col\">measure</th><th scope=\"col\"></th><th scope=\"col\" "
      "class=\"en\">"
      "English</th><th scope=\"col\" class=\"ko\">Korean</th><th scope=\"col\">Korean − English</th><th scope=\"col\" "
      "class=\"true\">true pictures</th><th scope=\"col\">in another style</th><th scope=\"col\" "
      "class=\"chance\">chance</th></tr></thead><tbody>";
  for (const auto& m : g.measures) {
    const MeasureKind& k = kind_of(m);
    out += fmt::format("<tr><td>{}</td><td>{}</td>", k.title, plot(k, m));
    for (const auto& s : m.side)
      out += s.n ? fmt::format("<td>{}<small>{}</small></td>", number(k, s.value), range(k, s.interval)) : "<td>–</td>";
    if (m.paired) {
      const std::string gap = k.share ? fmt::format("{:+.1f}", 100 * m.gap) : fmt::format("{:+.3f}", m.gap);
      const Interval& i = m.gap_interval;
      out += "<td>" + gap + "<small>" +
             (k.share ? fmt::format("{:+.0f} … {:+.0f}", 100 * i.low, 100 * i.high)
                      : fmt::format("{:+.3f} … {:+.3f}", i.low, i.high)) +
             "</small></td>";
    } else {
      out += "<td>–</td>";
    }
    out += "<td>" + number(k, m.truth) + "</td><td>" +
           (m.elsewhere_n ? fmt::format("{}<small>n = {}</small>", number(k, m.elsewhere), m.elsewhere_n) : std::string("–")) +
           "</td><td>" + number(k, m.chance) + "</td></tr>";
  }
  return out + "</tbody></table></div>";
}

// First drawings of a group, English and Korean in turn.
std::vector<const Eval::Drawn*> some(const Eval& e, const Eval::Group& g, size_t count) {
  std::vector<const Eval::Drawn*> out;
  for (size_t i = 0; i < g.prompts.size() && out.size() < count; ++i) {
    const auto& p = e.prompts[size_t(g.prompts[i])];
    const int l = p.drawn[i % 2].empty() ? 1 - int(i % 2) : int(i % 2);
    out.push_back(&e.drawn[size_t(p.drawn[l][0])]);
  }
  return out;
}

std::string text_of(const Eval& e, const Eval::Drawn& d) { return e.prompts[size_t(d.prompt)].text[d.korean]; }

std::string beside_own(const Eval& e, const Eval::Group& g, size_t count) {
  std::string out =
      "<h3>Drawn, and the true picture</h3><p class=\"soft\">Prompts chosen at random, English and Korean in turn; "
      "# is the true picture's rank among all of that look.</p><div class=\"gallery\">";
  for (const auto* d : some(e, g, count)) {
    const std::string text = text_of(e, *d);
    out += "<figure><div class=\"row\">" + picture(d->image, "drawn: " + text) +
           picture(e.pictures[size_t(e.prompts[size_t(d->prompt)].source)].image(), "true: " + text) + "</div><figcaption>" +
           escape_html(text) +
           fmt::format(" <span class=\"{}\">#{}</span></figcaption></figure>", d->placed.rank <= 10 ? "good" : "mark",
                       d->placed.rank);
  }
  return out + "</div>";
}

std::string beside_nearest(const Eval& e, const Eval::Group& g, size_t count) {
  std::string out =
      "<h3>Drawn, and the nearest training picture</h3><p class=\"soft\">Those that come closest to a training "
      "picture, with their distance.</p><div class=\"gallery\">";
  for (const auto* d : closest_to_training(e, g, count)) {
    const std::string text = text_of(e, *d);
    const auto& near = e.pictures[size_t(d->nearest)];
    const std::string called = caption_in(near.meta(), false).empty() ? near.key() : caption_in(near.meta(), false);
    out += "<figure><div class=\"row\">" + picture(d->image, "drawn: " + text) + picture(near.image(), "nearest: " + called) +
           "</div><figcaption>" + escape_html(text) +
           fmt::format(" <span class=\"mark\">{:.3f}: {}</span>{}</figcaption></figure>", d->to_nearest, escape_html(called),
                       d->near_copy ? " <span class=\"bad\">near-copy</span>" : "");
  }
  return out + "</div>";
}

std::string seeds(const Eval& e, const Eval::Group& g, size_t count) {
  std::string rows;
  size_t shown = 0;
  for (size_t i = 0; i < g.prompts.size() && shown < count; ++i) {
    const auto& p = e.prompts[size_t(g.prompts[i])];
    const int l = p.drawn[i % 2].size() > 1 ? int(i % 2) : 1 - int(i % 2);
    if (p.drawn[l].size() < 2) continue;
    rows += "<figure><div class=\"row\">";
    for (int64_t d : p.drawn[l]) rows += picture(e.drawn[size_t(d)].image, "drawn: " + p.text[l]);
    rows += "</div><figcaption>" + escape_html(p.text[l]) + "</figcaption></figure>";
    ++shown;
  }
  if (rows.empty()) return "";
  return "<h3>Four seeds a prompt</h3><div class=\"gallery four\">" + rows + "</div>";
}

std::string tile(const std::string& what, const std::string& value, const std::string& more) {
  return "<div class=\"tile\"><div class=\"what\">" + escape_html(what) + "</div><div class=\"value\">" + escape_html(value) +
         "</div><div class=\"more\">" + more + "</div></div>";
}

std::string glance(const Eval& e, const SceneEval* scenes) {
  std::string out = "<div class=\"tiles\">";
  const auto percent = [](double v) {
    return std::isnan(v) ? "–" : fmt::format("{:.{}f}\u00a0%", 100 * v, v > 0 && v < 0.1 ? 1 : 0);
  };
  const auto side = [&](const Measure& m, int l) { return percent(m.side[l].value); };
  for (const auto& g : e.groups) {
    const auto *within = g.find("within_10"), *copies = g.find("near_copies");
    out += tile(g.name + ": own picture within the 10 nearest", side(*within, 0),
                "Korean " + side(*within, 1) + " · chance " + percent(within->chance) + "<br>near-copies " + side(*copies, 0) +
                    " · of true pictures " + percent(copies->truth));
  }
  if (scenes) {
    const auto drawn = nlohmann::json::parse(scenes->drawn);
    for (const char* split : {"seen", "unseen"}) {
      const auto whole = [&](const char* lang) {
        const auto& group = drawn.at(std::string(split) + " " + lang).at("whole");
        return percent(group.at("percent").get<double>() / 100);
      };
      out += tile(fmt::format("scenes, {} combinations: everything right", split), whole("en"), "Korean " + whole("ko"));
    }
  }
  return out + "</div>";
}

std::string scene_section(const SceneEval& s, size_t count) {
  std::string out =
      "<h2>Scenes</h2><p class=\"soft\">Plain scenes, drawn from their words and judged by a program that looks; and "
      "captions of true scenes, read back. Unseen: combinations that training leaves out.</p><pre>" +
      escape_html(s.table) + "</pre><div class=\"gallery one\">";
  const size_t step = std::max<size_t>(1, s.cells.size() / std::max<size_t>(count, 1));
  for (size_t i = 0; i < s.cells.size() && i / step < count; i += step)
    out += "<figure>" + picture(s.cells[i].first, s.cells[i].second) + "<figcaption>" + escape_html(s.cells[i].second) +
           "</figcaption></figure>";
  return out + "</div>";
}

}  // namespace

std::string escape_html(const std::string& utf8) {
  std::string out;
  for (char c : utf8) switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  return out;
}

std::vector<const Eval::Drawn*> closest_to_training(const Eval& e, const Eval::Group& g, size_t count) {
  std::vector<const Eval::Drawn*> out;
  for (int64_t p : g.prompts)
    for (const auto& drawn : e.prompts[size_t(p)].drawn)
      if (!drawn.empty()) out.push_back(&e.drawn[size_t(drawn[0])]);
  std::stable_sort(out.begin(), out.end(), [](const auto* a, const auto* b) {
    return a->near_copy != b->near_copy ? a->near_copy : a->to_nearest < b->to_nearest;
  });
  if (out.size() > count) out.resize(count);
  return out;
}

std::string generate_page(const Eval& e, const SceneEval* scenes, const PageHead& head, int show) {
  const size_t count = size_t(show);
  std::string out =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\"><meta http-equiv=\"Content-Security-Policy\" "
      "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\"><title>" +
      escape_html(head.title) + "</title><style>" + kStyle + "</style></head><body><main><h1>" + escape_html(head.title) +
      "</h1><ul class=\"facts\">";
  for (const auto& [name, value] : head.facts) out += "<li>" + escape_html(name) + " <b>" + escape_html(value) + "</b></li>";
  out += "</ul>" + glance(e, scenes) +
         "<p class=\"key\"><span class=\"en\">● English</span><span class=\"ko\">● Korean</span><span class=\"true\">| true "
         "pictures</span><span class=\"chance\">| chance</span><span>bars: 95 % intervals</span></p>";
  for (const auto& g : e.groups) {
    out += "<h2>" + escape_html(g.name) + "</h2><p class=\"soft\">" + fmt::format("{} prompts: ", g.prompts.size()) +
           escape_html(g.about) + ".</p>" + measures(g) + beside_own(e, g, count) + beside_nearest(e, g, count / 2) +
           seeds(e, g, std::max<size_t>(count / 4, 2));
  }
  if (scenes) out += scene_section(*scenes, count);
  out +=
      "<h2>How it is measured</h2><p class=\"soft\">None of these measures comes from the model. The image distance compares "
      "two pictures of 64 pixels in colour, outline and edges at four scales; sets are compared by histograms of edges and "
      "colours and moments of the outline. Both are fixed formulas that have learned nothing. Prompts, noise and intervals "
      "follow from the seed.</p><dl>";
  for (const auto& k : kMeasures) out += fmt::format("<dt>{}</dt><dd>{}</dd>", escape_html(k.title), escape_html(k.meaning));
  return out + "</dl></main></body></html>\n";
}

}  // namespace duet
