// Sums of scene scores, as a table for people and as JSON for scripts.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "infer/scenecheck.h"

namespace duet {
namespace {
double percent_of(int right, int total) { return total ? 100.0 * right / total : 0; }
}  // namespace

void SceneTotals::add(const Score& s) {
  for (int i = 0; i < kAttributes; i++) {
    tally[i].right += s.tally[i].right;
    tally[i].total += s.tally[i].total;
  }
  scenes++;
  whole += s.whole();
}

double SceneTotals::percent(Attribute a) const { return percent_of(tally[int(a)].right, tally[int(a)].total); }
double SceneTotals::whole_percent() const { return percent_of(whole, scenes); }

SceneTotals& SceneReport::group(const std::string& name) {
  for (auto& [n, t] : groups)
    if (n == name) return t;
  return groups.emplace_back(name, SceneTotals{}).second;
}

std::string SceneReport::table() const {
  std::string out = fmt::format("{:<12}", "% right");
  for (auto& [n, t] : groups) out += fmt::format("{:>14}", n);
  for (int i = 0; i < kAttributes; i++) {
    out += fmt::format("\n{:<12}", name(Attribute(i)));
    for (auto& [n, t] : groups)
      out += t.tally[i].total ? fmt::format("{:>14.2f}", t.percent(Attribute(i))) : fmt::format("{:>14}", "-");
  }
  out += fmt::format("\n{:<12}", "whole scene");
  for (auto& [n, t] : groups) out += fmt::format("{:>14.2f}", t.whole_percent());
  out += fmt::format("\n{:<12}", "scenes");
  for (auto& [n, t] : groups) out += fmt::format("{:>14}", t.scenes);
  return out + "\n";
}

std::string SceneReport::json() const {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  for (auto& [n, t] : groups) {
    auto& g = out[n];
    for (int i = 0; i < kAttributes; i++)
      g[name(Attribute(i))] = {{"right", t.tally[i].right}, {"total", t.tally[i].total}, {"percent", t.percent(Attribute(i))}};
    g["whole"] = {{"right", t.whole}, {"total", t.scenes}, {"percent", t.whole_percent()}};
  }
  return out.dump(1);
}

}  // namespace duet
