// Sums of scene scores, as a table for people and as JSON for scripts.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "infer/scenecheck.h"
#include "kernels/error.h"

namespace duet {
namespace {

constexpr const char* kCounts[] = {"one", "two", "three"};
using Row = std::pair<std::string, const Tally*>;

std::vector<Row> rows(const SceneTotals& t) {
  std::vector<Row> out;
  for (int a = 0; a < kAttributes; ++a) out.emplace_back(name(Attribute(a)), &t.tally[size_t(a)]);
  out.emplace_back("whole scene", &t.whole);
  for (size_t n = 0; n < t.of_things.size(); ++n) out.emplace_back(join("  of ", kCounts[n]), &t.of_things[n]);
  out.emplace_back("  on grey", &t.on_grey);
  return out;
}

nlohmann::ordered_json to_json(const Tally& t) {
  nlohmann::ordered_json j{{"right", t.right}, {"total", t.total}, {"percent", nullptr}};  // null: nothing was asked
  if (t.total) j["percent"] = percent(t);
  return j;
}

}  // namespace

double percent(const Tally& t) { return t.total ? 100.0 * t.right / t.total : 0; }

void SceneTotals::add(const Score& s, const Scene& asked) {
  for (size_t i = 0; i < tally.size(); i++) {
    tally[i].right += s.tally[i].right;
    tally[i].total += s.tally[i].total;
  }
  whole.add(s.whole());
  if (!asked.things.empty()) of_things[std::min(asked.things.size(), of_things.size()) - 1].add(s.whole());
  if (asked.background == kGrey) on_grey.add(s.whole());
}

SceneTotals& SceneReport::group(const std::string& name) {
  for (auto& [n, t] : groups)
    if (n == name) return t;
  return groups.emplace_back(name, SceneTotals{}).second;
}

std::string SceneReport::table() const {
  std::string out = fmt::format("{:<12}", "% right / n");
  for (auto& [n, t] : groups) out += fmt::format("{:>15}", n);
  std::vector<std::vector<Row>> columns;
  for (auto& [n, t] : groups) columns.push_back(rows(t));
  for (size_t r = 0; !columns.empty() && r < columns[0].size(); ++r) {
    out += fmt::format("\n{:<12}", columns[0][r].first);
    for (const auto& column : columns) {
      const Tally& cell = *column[r].second;
      out += cell.total ? fmt::format("{:>8.1f} /{:>5}", percent(cell), cell.total) : fmt::format("{:>15}", "-");
    }
  }
  return out + "\n";
}

std::string SceneReport::json() const {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  for (auto& [n, t] : groups) {
    auto& g = out[n];
    for (int i = 0; i < kAttributes; i++) g[name(Attribute(i))] = to_json(t.tally[size_t(i)]);
    g["whole"] = to_json(t.whole);
    for (size_t k = 0; k < t.of_things.size(); ++k) g["whole_of_things"][kCounts[k]] = to_json(t.of_things[k]);
    g["whole_on_grey"] = to_json(t.on_grey);
  }
  return out.dump(1);
}

}  // namespace duet
