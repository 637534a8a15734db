#include "fusion/merge.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <tuple>

#include "fusion/fields.h"
#include "fusion/grow.h"
#include "kernels/error.h"
#include "kernels/files.h"

namespace duet {
namespace fs = std::filesystem;

namespace {

// "xs" of ".../xs/model.safetensors": where files lay is nobody's business later.
std::string folder_name(const std::string& path) { return fs::absolute(path).parent_path().filename().string(); }

void check(const std::vector<Loaded>& parts, const std::vector<double>& shares) {
  if (parts.size() < 2) refuse("merging takes two models or more; there ", parts.empty() ? "is none" : "is one");
  if (shares.size() != parts.size()) refuse(shares.size(), " shares for ", parts.size(), " models; give one for each, or none");
  double sum = 0;
  for (double s : shares) {
    if (s == 0 || !std::isfinite(s)) refuse("share ", s, " is not a number other than 0; leave out what has no share");
    sum += s;
  }
  if (!(sum > 0 && std::isfinite(1 / sum))) refuse("the shares are ", sum, " in all; they must be above 0 together");
  const Loaded& first = parts.front();
  for (const Loaded& l : parts) {
    if (l.tokenizer.hash() != first.tokenizer.hash())
      refuse(l.path, ": another tokenizer than ", first.path, "; the same row would stand for two words");
  }
}

// All of that config of theirs which the others can grow to (fusion/grow.h).
void grow(std::vector<Loaded>& parts) {
  const Loaded& largest = *std::max_element(parts.begin(), parts.end(), [](const Loaded& a, const Loaded& b) {
    const auto size = [](const ModelConfig& c) { return std::tuple(c.patch, c.width, c.hidden); };
    return size(a.model->config) < size(b.model->config);
  });
  const ModelConfig to = largest.model->config;
  const std::string name = largest.path;
  for (Loaded& l : parts) {
    const ModelConfig& c = l.model->config;
    if (!grows_to(c, to))
      refuse(
          l.path, ": another config than ", name,
          "; weights of one shape have a mean, but for patch and size, width and hidden that are grown (duet info shows both)");
    if (to_json(c) == to_json(to)) continue;
    auto m = std::make_unique<Model>(to);
    take_parameters(*m, *largest.model, largest.path);  // what is new is then as it is there, not by chance
    take_parameters(*m, *l.model, l.path);
    l.model = std::move(m);
  }
}

Provenance provenance(const std::vector<Loaded>& parts, const std::vector<double>& shares, int draw_as) {
  nlohmann::json of = nlohmann::json::array();
  std::vector<std::string> styles;
  const auto sampling = [](const Loaded& l) { return l.metadata.contains("sampling") ? l.metadata.at("sampling") : ""; };
  bool alike = true;
  for (size_t i = 0; i < parts.size(); ++i) {
    of.push_back({{"weights", folder_name(parts[i].path)}, {"xxh3", hex64(parts[i].hash)}, {"share", shares[i]}});
    for (const auto& s : parts[i].styles)
      if (shares[i] > 0 && styles.size() < kMostStyles && std::find(styles.begin(), styles.end(), s) == styles.end())
        styles.push_back(s);
    alike &= sampling(parts[i]) == sampling(parts[0]);
  }
  Provenance meta = {{"merged", nlohmann::json{{"of", of}}.dump()}};
  if (!styles.empty()) meta["styles"] = styles_line(styles);
  const auto drawn = draw_as >= 0 ? sampling(parts.at(size_t(draw_as))) : alike ? sampling(parts[0]) : "";
  if (!drawn.empty()) meta["sampling"] = drawn;
  return meta;
}

}  // namespace

Loaded merged(std::vector<Loaded> parts, std::vector<double> shares, int draw_as) {
  if (shares.empty()) shares.assign(parts.size(), 1);
  check(parts, shares);
  grow(parts);
  double sum = 0;
  for (double s : shares) sum += s;
  for (double& s : shares) s /= sum;

  std::vector<std::vector<Var*>> theirs(parts.size());  // the parameters of each, in the order that all share
  for (size_t i = 0; i < parts.size(); ++i)
    parts[i].model->params([&](const std::string&, Var& v) { theirs[i].push_back(&v); });
  for (size_t p = 0; p < theirs[0].size(); ++p) {
    float* out = theirs[0][p]->data();
    const int64_t n = theirs[0][p]->value().count();
    for (int64_t k = 0; k < n; ++k) {
      double mean = 0;
      for (size_t i = 0; i < parts.size(); ++i) mean += shares[i] * double(theirs[i][p]->data()[k]);
      out[k] = float(mean);
    }
  }

  const Provenance meta = provenance(parts, shares, draw_as);
  const Sampling sampling = draw_as >= 0 ? parts.at(size_t(draw_as)).sampling : parts.front().sampling;
  Loaded out = std::move(parts.front());
  out.metadata = meta;
  out.styles = meta.contains("styles") ? styles_of_line(meta.at("styles")) : std::vector<std::string>();
  out.sampling = meta.contains("sampling") ? sampling : Sampling();
  return out;
}

}  // namespace duet
