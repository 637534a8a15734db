#include "infer/eval_compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "kernels/error.h"
#include "kernels/quote.h"
#include "kernels/random.h"

namespace duet {
namespace {

using Json = nlohmann::ordered_json;
constexpr double kNotAsked = std::numeric_limits<double>::quiet_NaN();

struct Measure {
  std::string words;
  bool share = false;
};
Measure share(std::string words) { return {std::move(words), true}; }

// One prompt or picture of an evaluation, and what came of it.
struct Item {
  std::string group, unit;                         // unit: see Meta::unit; empty: alone
  std::vector<std::pair<Measure, double>> values;  // no number: was not asked
};

class Items {
 public:
  // id: what the other result knows it by, too
  void add(const std::string& file, const std::string& id, Item item) {
    if (!all_.emplace(id, std::move(item)).second)
      refuse(file, ": two of its items are ", shown(id), ", so that none can be paired; give every picture a name of its own");
  }
  const Item* find(const std::string& id) const {
    const auto at = all_.find(id);
    return at == all_.end() ? nullptr : &at->second;
  }
  auto begin() const { return all_.begin(); }
  auto end() const { return all_.end(); }

 private:
  std::map<std::string, Item> all_;
};

Json parsed(const EvalResult& r) {
  Json j = Json::parse(r.json, nullptr, false);
  if (j.is_discarded() || !j.is_object() || !j.contains("eval") || !j["eval"].is_string())
    refuse(r.name, ": is no result of an evaluation; give what duet eval VERB --json FILE writes, or eval.json of generate");
  return j;
}

void add_drawings(Items& to, const std::string& file, const Json& drawings, const std::string& group) {
  for (const Json& d : drawings) {
    const std::string lang = d.at("lang"), name = group.empty() ? lang : group + ", " + lang;
    const std::string id = join(name, ", ", d.at("set").get<std::string>(), "/", d.at("key").get<std::string>());
    const int64_t rank = d.at("rank");
    Item item{name, {}, {}};
    item.values = {{share("own picture is the nearest"), double(rank <= 1)},
                   {share("own picture within the 10 nearest"), double(rank <= 10)},
                   {share("own picture within the 50 nearest"), double(rank <= 50)},
                   {{"distance to own picture"}, d.at("to_source").get<double>()},
                   {{"distance to nearest picture"}, d.at("to_nearest").get<double>()}};
    to.add(file, id, std::move(item));
  }
}

void add_captions(Items& to, const std::string& file, const Json& j) {
  for (const Json& c : j.at("captions"))
    to.add(file, c.at("key").get<std::string>(),
           {j.at("lang"),
            {},
            {{share("exactly a reference"), double(c.at("exact").get<bool>())},
             {share("names the concept"), double(c.at("names_concept").get<bool>())},
             {share("names it in any of the beams"), double(c.at("names_concept_in_any_beam").get<bool>())},
             {{"CIDEr-D"}, c.at("cider_d").get<double>()},
             {{"ROUGE-L"}, c.at("rouge_l").get<double>()}}});
}

// The truth is part of what a picture is known by: one that was filed anew is another.
void add_classes(Items& to, const std::string& file, const Json& j) {
  const auto labels = j.at("labels").get<std::vector<std::string>>();
  for (const Json& p : j.at("predictions")) {
    const std::string truth = p.at("truth");
    const auto of = p.at("probabilities").get<std::vector<double>>();
    double likely = 0, apart = 0;
    for (size_t c = 0; c < labels.size(); ++c) {
      const bool so = labels[c] == truth;
      if (so) likely = of.at(c);
      apart += (of.at(c) - so) * (of.at(c) - so);
    }
    to.add(file, p.at("key").get<std::string>() + ", " + truth,
           {"pictures",
            p.value("unit", std::string()),
            {{share("right"), double(p.at("guess") == truth)},
             {{"log loss"}, -std::log(std::max(likely, 1e-12))},
             {{"Brier score"}, apart}}});
  }
}

void add_scenes(Items& to, const std::string& file, const Json& j) {
  for (const Json& s : j.at("scenes")) {
    const bool drawn = s.at("of") == "drawn";
    const std::string group = s.at("of").get<std::string>() + ", " + s.at("group").get<std::string>();
    const auto asked = s.at("asked").get<std::vector<std::string>>(), wrong = s.at("wrong").get<std::vector<std::string>>();
    const auto in = [](const std::vector<std::string>& v, const char* a) {
      return std::find(v.begin(), v.end(), a) != v.end();
    };
    Item item{group, {}, {{share("whole scene"), double(wrong.empty())}}};
    for (const char* a : {"shape", "color", "size", "position", "relation", "count", "background"})
      item.values.push_back({share(join("all right in ", a)), in(asked, a) ? double(!in(wrong, a)) : kNotAsked});
    // Scenes follow from the seed and their number; so does a prompt, by whose words another seed's is told apart.
    to.add(file,
           join(group, " ", s.at("index").get<int64_t>(), drawn ? ": " + s.at("prompt").get<std::string>() : std::string()),
           std::move(item));
  }
}

Items items_of(const EvalResult& r, const Json& j) {
  Items out;
  const std::string eval = j["eval"];
  try {
    if (eval == "generate")
      for (const auto& [group, g] : j.at("groups").items()) add_drawings(out, r.name, g.at("drawings"), group);
    else if (eval == "icons") add_drawings(out, r.name, j.at("drawings"), "");
    else if (eval == "caption") add_captions(out, r.name, j);
    else if (eval == "classify") add_classes(out, r.name, j);
    else if (eval == "scenes") add_scenes(out, r.name, j);
    else refuse(r.name, ": duet eval ", eval, " keeps no items to compare; generate, icons, scenes, caption and classify do");
  } catch (const Json::exception& e) {
    refuse(r.name, ": its items lack something (", e.what(), "); run duet eval ", eval, " again to write it anew");
  }
  return out;
}

// What an evaluation was asked to do, as its result says it.
constexpr const char* kSettings[] = {"weights",    "precision", "seed",    "n",     "sets",  "set",    "split",    "looks",
                                     "styled",     "lang",      "beam",    "steps", "shift", "heun",   "finish",   "guidance",
                                     "guide_from", "guide_to",  "best_of", "by",    "deep",  "labels", "templates"};

std::vector<std::string> unlike(const Json& one, const Json& other) {
  std::vector<std::string> out;
  for (const char* key : kSettings) {
    const Json a = one.value(key, Json()), b = other.value(key, Json());
    if (a != b) out.push_back(fmt::format("{}: {}, {}", key, a.dump(), b.dump()));
  }
  if (one.value("weights", Json()) == other.value("weights", Json()) &&
      one.value("weights_xxh3", Json()) != other.value("weights_xxh3", Json()))
    out.push_back("weights: of the same name, but not the same");
  return out;
}

// 95 % of the mean difference. Where all shares differ alike, resampling would call that certain: so many units leave the room
// of Clopper and Pearson's bound (1934) for others.
Interval paired_interval(const std::vector<double>& difference, const std::vector<std::string>& names, bool is_share,
                         uint64_t seed) {
  const auto unit = units_of(names);
  const auto alike = std::all_of(difference.begin(), difference.end(), [&](double d) { return d == difference[0]; });
  if (!alike || !is_share) return bootstrap_units(difference, unit, seed);
  const double units = double(std::set<int64_t>(unit.begin(), unit.end()).size());
  const double room = 1 - std::pow(0.025, 1 / units), d = difference[0];
  return d == 0 ? Interval{-room, room} : d > 0 ? Interval{1 - 2 * room, 1} : Interval{-1, 2 * room - 1};
}

}  // namespace

Comparison compare_evals(const EvalResult& one, const EvalResult& other, uint64_t seed) {
  const Json first = parsed(one), second = parsed(other);
  Comparison c;
  c.eval = first["eval"];
  if (second["eval"] != c.eval)
    refuse(one.name, " is of duet eval ", c.eval, ", ", other.name, " of ", second["eval"].get<std::string>(),
           "; give two results of the same evaluation");
  const Items a = items_of(one, first), b = items_of(other, second);
  c.settings = unlike(first, second);

  if (first.value("labels", Json()) != second.value("labels", Json()))
    refuse(one.name, " and ", other.name, " choose among other classes, so that their figures are not alike");

  struct Paired {
    Measure measure;
    std::vector<double> one, other;
    std::vector<std::string> unit;
  };
  std::vector<std::pair<std::string, std::vector<Paired>>> groups;
  for (const auto& [id, item] : a) {
    const Item* found = b.find(id);
    if (!found) {
      ++c.alone[0];
      continue;
    }
    auto g = std::find_if(groups.begin(), groups.end(), [&](const auto& x) { return x.first == item.group; });
    if (g == groups.end()) {
      groups.push_back({item.group, {}}), g = groups.end() - 1;
      for (const auto& [measure, value] : item.values) g->second.push_back({measure, {}, {}, {}});
    }
    for (size_t m = 0; m < item.values.size(); ++m) {
      const double x = item.values[m].second, y = found->values[m].second;
      if (std::isnan(x) || std::isnan(y)) continue;
      g->second[m].one.push_back(x), g->second[m].other.push_back(y), g->second[m].unit.push_back(item.unit);
    }
  }
  for (const auto& [id, item] : b) c.alone[1] += !a.find(id);
  if (groups.empty())
    refuse(one.name, " and ", other.name, " have no item in common; evaluate the same data with the same --seed and settings");
  for (const auto& [group, measures] : groups)
    for (const Paired& p : measures) {
      if (p.one.empty()) continue;
      std::vector<double> difference;
      for (size_t i = 0; i < p.one.size(); ++i) difference.push_back(p.other[i] - p.one[i]);
      c.rows.push_back({group, p.measure.words, p.measure.share, int64_t(p.one.size()), mean(p.one), mean(p.other),
                        paired_interval(difference, p.unit, p.measure.share, mix(seed, c.rows.size()))});
    }
  return c;
}

std::string Comparison::table() const {
  std::string out = fmt::format("{:<36}{:>6}{:>10}{:>10}   {}\n", eval, "n", "one", "other", "other - one (95 %, paired)");
  std::string group;
  for (const Row& r : rows) {
    if (r.group != group) out += (group = r.group) + "\n";
    const auto number = [&](double v) { return r.share ? fmt::format("{:.1f} %", 100 * v) : fmt::format("{:.4f}", v); };
    const auto signed_number = [&](double v) { return r.share ? fmt::format("{:+.1f}", 100 * v) : fmt::format("{:+.4f}", v); };
    out += fmt::format("  {:<34}{:>6}{:>10}{:>10}   {} ({}){}\n", r.measure, r.n, number(r.one), number(r.other),
                       signed_number(r.other - r.one),
                       r.difference.known() ? signed_number(r.difference.low) + " .. " + signed_number(r.difference.high)
                                            : std::string("too few to say how sure"),
                       r.share ? " points" : "");
  }
  for (const auto& s : settings) out += "not the same, one and other: " + s + "\n";
  if (alone[0] || alone[1])
    out += fmt::format("left out, since only the one, only the other has them: {}, {}\n", alone[0], alone[1]);
  return out + "An interval that holds 0 shows no difference; of twenty rows without one, one misses 0 by chance.\n";
}

std::string Comparison::to_json() const {
  Json j = {{"eval", "compare"}, {"of", eval}, {"not_the_same", settings}, {"left_out", {alone[0], alone[1]}}};
  for (const Row& r : rows)
    j["rows"].push_back({{"group", r.group},
                         {"measure", r.measure},
                         {"n", r.n},
                         {"one", r.one},
                         {"other", r.other},
                         {"difference", r.other - r.one},
                         {"interval_95", r.difference.known() ? Json{r.difference.low, r.difference.high} : Json()}});
  return j.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace duet
