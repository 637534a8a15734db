#include "infer/calibration.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "kernels/error.h"
#include "kernels/files.h"
#include "kernels/parallel.h"
#include "kernels/random.h"

namespace duet {
namespace {

constexpr double kLeast = 1e-12;                 // a probability is taken as at least this
constexpr double kLowest = 0.02, kHighest = 50;  // temperatures
constexpr size_t kResamplings = 200, kFewResamplings = 50,
                 kMany = 1000000;  // of the temperature; so many probabilities are many
constexpr const char* kFormat = "duet-calibration-1";

// Items as ln p of each class less that of the likeliest, so that nothing is taken apart twice.
struct Items {
  std::vector<std::vector<double>> below;
  std::span<const int> truth;

  // Mean of -ln p(truth) at a temperature, each item as often as its weight says.
  double log_loss(std::span<const double> weight, double t) const {
    double sum = 0, all = 0;
    for (size_t i = 0; i < below.size(); ++i) {
      if (weight[i] == 0) continue;
      double total = 0;
      for (const double x : below[i]) total += std::exp(x / t);
      sum += weight[i] * (std::log(total) - below[i][size_t(truth[i])] / t);
      all += weight[i];
    }
    const double far = std::log(t);
    return (sum + far * far / 2) / (all + 1);  // the prior
  }

  // It has one valley in 1/T, being convex there: golden section over ln T.
  double fit(std::span<const double> weight) const {
    constexpr double kGolden = 0.6180339887498949;
    double a = std::log(kLowest), b = std::log(kHighest);
    double c = b - kGolden * (b - a), d = a + kGolden * (b - a);
    double at_c = log_loss(weight, std::exp(c)), at_d = log_loss(weight, std::exp(d));
    while (b - a > 1e-3) {
      if (at_c < at_d) b = d, d = c, at_d = at_c, c = b - kGolden * (b - a), at_c = log_loss(weight, std::exp(c));
      else a = c, c = d, at_c = at_d, d = a + kGolden * (b - a), at_d = log_loss(weight, std::exp(d));
    }
    return std::exp((a + b) / 2);
  }

  bool all_right(std::span<const double> weight) const {
    for (size_t i = 0; i < below.size(); ++i)
      if (weight[i] > 0 && below[i][size_t(truth[i])] < 0) return false;
    return true;
  }
  double temperature(std::span<const double> weight) const {
    const double t = fit(weight);
    return all_right(weight) ? std::max(t, 1.0) : t;
  }
};

std::vector<double> below_likeliest(std::span<const double> p) {
  std::vector<double> out;
  double most = std::log(kLeast);
  for (const double x : p) most = std::max(most, out.emplace_back(std::log(std::max(x, kLeast))));
  for (double& x : out) x -= most;
  return out;
}

// The least q at which the share of cases whose truth has 1 - p <= q, of those seen and one to come, reaches the coverage.
double conformal(const std::vector<std::vector<double>>& p, std::span<const int> truth, std::span<const size_t> unit,
                 size_t units) {
  std::vector<double> size(units);
  for (const size_t u : unit) ++size[u];
  std::vector<std::pair<double, double>> score;  // and its share of a case
  for (size_t i = 0; i < p.size(); ++i) score.push_back({1 - p[i][size_t(truth[i])], 1 / size[unit[i]]});
  std::sort(score.begin(), score.end());
  double seen = 0;
  for (const auto& [s, share] : score)
    if ((seen += share) >= Calibration::kCoverage * double(units + 1) - 1e-9) return s;
  return 1;
}

Window window_in(const std::string& path, simdjson::dom::element e) {
  Window w;
  if (e.at(0).get(w.center) || e.at(1).get(w.width) || !(w.width > 0)) refuse(path, ": key 'window': expected [center, width]");
  return w;
}

struct Description {  // of a data set: its dataset.json
  const std::string path;
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  bool there = false;
  explicit Description(const std::string& dir) : path(dir + "/dataset.json") {
    std::error_code none;
    there = std::filesystem::exists(path, none) && !parser.parse(read_file(path, 1 << 26)).get(root);
  }
};

}  // namespace

std::optional<Window> window_of_set(const std::string& dir) {
  const Description d(dir);
  simdjson::dom::element window;
  if (!d.there || d.root["window"].get(window)) return {};
  return window_in(d.path, window);
}

std::string hash_of_set(const std::string& dir) {
  const Description d(dir);
  std::string_view hash;
  if (!d.there || d.root["hash"].get(hash)) return {};
  return std::string(hash);
}

std::vector<double> at_temperature(std::span<const double> p, double temperature) {
  std::vector<double> out = below_likeliest(p);
  double sum = 0;
  for (double& x : out) sum += x = std::exp(x / temperature);
  for (double& x : out) x /= sum;
  return out;
}

Probabilities calibrated(const Calibration* c, Probabilities raw) {
  if (!c) return raw;
  return [raw = std::move(raw), temperature = c->temperature](std::span<const Image> pictures) {
    auto all = raw(pictures);
    for (auto& p : all) p = at_temperature(p, temperature);
    return all;
  };
}

Calibration calibrate(const std::vector<std::vector<double>>& probabilities, std::span<const int> truth,
                      std::span<const int64_t> unit, uint64_t seed) {
  CHECK(probabilities.size() == truth.size() && (unit.empty() || unit.size() == truth.size()), probabilities.size(), " and ",
        truth.size());
  if (probabilities.empty()) refuse("nothing to learn a temperature from");
  const size_t n = truth.size();
  std::map<int64_t, size_t> numbers;
  std::vector<size_t> of(n);
  for (size_t i = 0; i < n; ++i) of[i] = unit.empty() ? i : numbers.emplace(unit[i], numbers.size()).first->second;
  Calibration c;
  c.pictures = int64_t(n), c.units = unit.empty() ? int64_t(n) : int64_t(numbers.size());
  Items items{{}, truth};
  for (const auto& p : probabilities) items.below.push_back(below_likeliest(p));
  const std::vector<double> once(n, 1);
  c.temperature = items.temperature(once);
  c.resampled.resize(c.units < 2 || items.all_right(once)  ? 0
                     : n * probabilities[0].size() > kMany ? kFewResamplings
                                                           : kResamplings);
  parallel_for(int64_t(c.resampled.size()), [&](int64_t r) {
    const auto drawn = resample_counts(c.units, mix(seed, uint64_t(r)));
    std::vector<double> weight(n);
    for (size_t i = 0; i < n; ++i) weight[i] = drawn[of[i]];
    c.resampled[size_t(r)] = items.temperature(weight);
  });
  c.q = conformal(probabilities, truth, of, size_t(c.units));
  return c;
}

Calibrated calibrated(const Calibration& c, std::span<const double> p) {
  Calibrated out;
  out.p = at_temperature(p, c.temperature);
  std::vector<std::vector<double>> each(p.size());
  for (const double t : c.resampled) {
    const auto other = at_temperature(p, t);
    for (size_t l = 0; l < p.size(); ++l) each[l].push_back(other[l]);
  }
  for (size_t l = 0; l < p.size(); ++l) {
    Interval in = each[l].size() < 40 ? kNoInterval : middle_95(std::move(each[l]));
    if (in.known()) in = {std::min(in.low, out.p[l]), std::max(in.high, out.p[l])};
    out.interval_95.push_back(in);
  }
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return out.p[a] > out.p[b]; });
  for (const size_t l : order)
    if (1 - p[l] <= c.q) out.set.push_back(l);
  return out;
}

SetMeasures measure_sets(const Calibration& c, const std::vector<std::vector<double>>& probabilities,
                         std::span<const int> truth, std::span<const int64_t> unit, uint64_t seed) {
  std::map<int64_t, size_t> numbers;
  std::vector<double> pictures, holds, sizes;  // of each unit
  for (size_t i = 0; i < truth.size(); ++i) {
    const size_t u = unit.empty() ? i : numbers.emplace(unit[i], numbers.size()).first->second;
    if (u == pictures.size()) pictures.push_back(0), holds.push_back(0), sizes.push_back(0);
    const auto set = calibrated(c, probabilities[i]).set;
    pictures[u]++, sizes[u] += double(set.size());
    holds[u] += double(std::count(set.begin(), set.end(), size_t(truth[i])));
  }
  for (size_t u = 0; u < pictures.size(); ++u) holds[u] /= pictures[u], sizes[u] /= pictures[u];
  SetMeasures m{mean(holds), mean(sizes), kNoInterval};
  if (holds.size() < 2) return m;
  // Resampling what always holds would be certain of it: Clopper and Pearson's interval.
  const double far = std::pow(0.025, 1 / double(holds.size()));
  m.coverage_interval = m.coverage == 1 ? Interval{far, 1} : m.coverage == 0 ? Interval{0, 1 - far} : bootstrap(holds, seed);
  return m;
}

void save_calibration(const std::string& path, const Calibration& c) {
  nlohmann::ordered_json j = {{"format", kFormat},
                              {"weights_xxh3", c.weights_xxh3},
                              {"by", c.by},
                              {"template", c.sentence},
                              {"labels", c.labels},
                              {"pictures", c.pictures},
                              {"units", c.units},
                              {"temperature", c.temperature},
                              {"temperatures_resampled", c.resampled},
                              {"set_coverage", Calibration::kCoverage},
                              {"set_q", c.q}};
  if (!c.set_hash.empty()) j["set_hash"] = c.set_hash, j["split"] = c.split;
  if (c.window) j["window"] = {c.window->center, c.window->width};
  write_file(path, j.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

Calibration load_calibration(const std::string& path) {
  namespace dom = simdjson::dom;
  dom::parser parser;
  dom::element root;
  const std::string text = read_file(path, 1 << 24);
  if (auto error = parser.parse(text).get(root)) refuse(path, ": not JSON (", simdjson::error_message(error), ")");
  const auto key = [&](const char* name, auto& to, const char* kind) {
    if (root[name].get(to))
      refuse(path, ": key '", name, "': expected ", kind, "; 'duet eval classify --calibrate' writes such files");
  };
  const auto number = [&](const char* name, double low, double high) {
    double v = 0;
    key(name, v, "a number");
    if (!(v >= low && v <= high)) refuse(path, ": key '", name, "': ", v, " is not from ", low, " to ", high);
    return v;
  };
  std::string_view format, s;
  key("format", format, "text");
  if (format != kFormat) refuse(path, ": format '", std::string(format), "', not ", kFormat);
  Calibration c;
  key("weights_xxh3", s, "text"), c.weights_xxh3 = s;
  key("by", s, "text"), c.by = s;
  if (c.by != "embedding" && c.by != "caption") refuse(path, ": key 'by': '", c.by, "' is neither embedding nor caption");
  key("template", s, "text"), c.sentence = s;
  dom::array list;
  key("labels", list, "a list of texts");
  for (const dom::element e : list) {
    if (e.get(s)) refuse(path, ": key 'labels': expected a list of texts");
    c.labels.emplace_back(s);
  }
  c.pictures = int64_t(number("pictures", 1, 1e15)), c.units = int64_t(number("units", 1, 1e15));
  c.temperature = number("temperature", kLowest / 2, kHighest * 2), c.q = number("set_q", 0, 1);
  if (number("set_coverage", 0, 1) != Calibration::kCoverage)
    refuse(path, ": key 'set_coverage': ", Calibration::kCoverage, " is made here");
  if (!root["set_hash"].get(s)) c.set_hash = s, key("split", s, "text"), c.split = s;
  if (dom::element window; !root["window"].get(window)) c.window = window_in(path, window);
  key("temperatures_resampled", list, "a list of numbers");
  for (const dom::element e : list) {
    double t = 0;
    if (e.get(t) || !(t >= kLowest / 2 && t <= kHighest * 2)) refuse(path, ": key 'temperatures_resampled': no temperature");
    c.resampled.push_back(t);
  }
  return c;
}

}  // namespace duet
