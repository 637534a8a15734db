#include "infer/eval_compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "kernels/error.h"
#include "kernels/random.h"

namespace duet {
namespace {

using Json = nlohmann::ordered_json;

struct Measure {
  std::string words;
  bool share = false;
};
Measure share(std::string words) { return {std::move(words), true}; }

// One prompt or picture of an evaluation, and what came of it.
struct Item {
  std::string group;
  std::vector<std::pair<Measure, double>> values;
};
using Items = std::map<std::string, Item>;  // by what the other result knows it by, too

Json parsed(const EvalResult& r) {
  Json j = Json::parse(r.json, nullptr, false);
  if (j.is_discarded() || !j.is_object() || !j.contains("eval") || !j["eval"].is_string())
    refuse(r.name, ": is no result of an evaluation; give what duet eval VERB --json FILE writes, or eval.json of generate");
  return j;
}

void add_drawings(Items& to, const Json& drawings, const std::string& group) {
  for (const Json& d : drawings) {
    const std::string lang = d.at("lang"), name = group.empty() ? lang : group + ", " + lang;
    const std::string id = join(name, '\n', d.at("set").get<std::string>(), '\n', d.at("key").get<std::string>());
    const int64_t rank = d.at("rank");
    Item item{name, {}};
    item.values = {{share("own picture is the nearest"), double(rank <= 1)},
                   {share("own picture within the 10 nearest"), double(rank <= 10)},
                   {share("own picture within the 50 nearest"), double(rank <= 50)},
                   {{"distance to own picture", false}, d.at("to_source").get<double>()},
                   {{"distance to nearest picture", false}, d.at("to_nearest").get<double>()}};
    to.emplace(id, std::move(item));
  }
}

void add_captions(Items& to, const Json& j) {
  for (const Json& c : j.at("captions"))
    to.emplace(c.at("key").get<std::string>(),
               Item{j.at("lang"),
                    {{share("exactly a reference"), double(c.at("exact").get<bool>())},
                     {share("names the concept"), double(c.at("names_concept").get<bool>())},
                     {share("names it in any of the beams"), double(c.at("names_concept_in_any_beam").get<bool>())},
                     {{"CIDEr-D", false}, c.at("cider_d").get<double>()}}});
}

void add_classes(Items& to, const Json& j) {
  const auto labels = j.at("labels").get<std::vector<std::string>>();
  for (const Json& p : j.at("predictions")) {
    const auto at = std::find(labels.begin(), labels.end(), p.at("truth").get<std::string>());
    if (at == labels.end()) continue;
    const double likely = p.at("probabilities").at(size_t(at - labels.begin()));
    to.emplace(p.at("key").get<std::string>(), Item{"pictures",
                                                    {{share("right"), double(p.at("truth") == p.at("guess"))},
                                                     {{"log loss (nats)", false}, -std::log(std::max(likely, 1e-12))}}});
  }
}

void add_scenes(Items& to, const Json& j) {
  for (const Json& s : j.at("scenes")) {
    const std::string group = s.at("of").get<std::string>() + ", " + s.at("group").get<std::string>();
    const auto wrong = s.at("wrong").get<std::vector<std::string>>();
    Item item{group, {{share("whole scene"), double(wrong.empty())}}};
    for (const char* a : {"shape", "color", "size", "position", "relation", "count", "background"})
      item.values.push_back({share(join("no wrong ", a)), double(std::find(wrong.begin(), wrong.end(), a) == wrong.end())});
    to.emplace(group + '\n' + std::to_string(s.at("index").get<int64_t>()), std::move(item));
  }
}

Items items_of(const EvalResult& r, const Json& j) {
  Items out;
  const std::string eval = j["eval"];
  try {
    if (eval == "generate")
      for (const auto& [group, g] : j.at("groups").items()) add_drawings(out, g.at("drawings"), group);
    else if (eval == "icons") add_drawings(out, j.at("drawings"), "");
    else if (eval == "caption") add_captions(out, j);
    else if (eval == "classify") add_classes(out, j);
    else if (eval == "scenes") add_scenes(out, j);
    else refuse(r.name, ": duet eval ", eval, " keeps no items to compare; generate, icons, scenes, caption and classify do");
  } catch (const Json::exception& e) {
    refuse(r.name, ": its items lack something (", e.what(), "); run duet eval ", eval, " again to write it anew");
  }
  return out;
}

// Settings that both have, and that are not alike. What was measured stands in objects and lists.
std::vector<std::string> unlike(const Json& one, const Json& other) {
  std::vector<std::string> out;
  for (const auto& [key, value] : one.items()) {
    if (value.is_structured() || key == "seconds" || key == "weights_xxh3" || !other.contains(key)) continue;
    if (value != other[key]) out.push_back(fmt::format("{}: {}, {}", key, value.dump(), other[key].dump()));
  }
  if (one.contains("weights") && one["weights"] == other.value("weights", Json()) && one.contains("weights_xxh3") &&
      one["weights_xxh3"] != other.value("weights_xxh3", Json()))
    out.push_back("weights: of the same name, but not the same");
  return out;
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

  struct Paired {
    Measure measure;
    std::vector<double> one, other;
  };
  std::vector<std::pair<std::string, std::vector<Paired>>> groups;
  for (const auto& [id, item] : a) {
    const auto found = b.find(id);
    if (found == b.end()) {
      ++c.alone[0];
      continue;
    }
    auto g = std::find_if(groups.begin(), groups.end(), [&](const auto& x) { return x.first == item.group; });
    if (g == groups.end()) {
      groups.push_back({item.group, {}}), g = groups.end() - 1;
      for (const auto& [measure, value] : item.values) g->second.push_back({measure, {}, {}});
    }
    for (size_t m = 0; m < item.values.size(); ++m)
      g->second[m].one.push_back(item.values[m].second), g->second[m].other.push_back(found->second.values[m].second);
  }
  for (const auto& [id, item] : b) c.alone[1] += !a.contains(id);
  if (groups.empty())
    refuse(one.name, " and ", other.name, " have no item in common; evaluate the same data with the same --seed and settings");
  for (const auto& [group, measures] : groups)
    for (const Paired& p : measures) {
      std::vector<double> difference;
      for (size_t i = 0; i < p.one.size(); ++i) difference.push_back(p.other[i] - p.one[i]);
      c.rows.push_back({group, p.measure.words, p.measure.share, int64_t(p.one.size()), mean(p.one), mean(p.other),
                        bootstrap(difference, mix(seed, c.rows.size()))});
    }
  return c;
}

std::string Comparison::table() const {
  std::string out = fmt::format("{:<36}{:>6}{:>10}{:>10}   {}\n", eval, "n", "one", "other", "other - one (95 %, paired)");
  std::string group;
  for (const Row& r : rows) {
    if (r.group != group) out += (group = r.group) + "\n";
    if (r.share)
      out += fmt::format("  {:<34}{:>6}{:>8.1f} %{:>8.1f} %   {:+.1f} ({:+.1f} .. {:+.1f}) points\n", r.measure, r.n,
                         100 * r.one, 100 * r.other, 100 * (r.other - r.one), 100 * r.difference.low, 100 * r.difference.high);
    else
      out += fmt::format("  {:<34}{:>6}{:>10.4f}{:>10.4f}   {:+.4f} ({:+.4f} .. {:+.4f})\n", r.measure, r.n, r.one, r.other,
                         r.other - r.one, r.difference.low, r.difference.high);
  }
  for (const auto& s : settings) out += "not the same, one and other: " + s + "\n";
  if (alone[0] || alone[1])
    out += fmt::format("left out, since only the one, only the other has them: {}, {}\n", alone[0], alone[1]);
  return out + "An interval that holds 0 shows no difference; of twenty such rows one misses 0 by chance.\n";
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
                         {"interval_95", {r.difference.low, r.difference.high}}});
  return j.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace duet
