#include "fusion/grow.h"

#include <algorithm>
#include <map>

#include "fusion/fields.h"
#include "fusion/finer.h"
#include "fusion/wider.h"
#include "kernels/error.h"

namespace duet {
namespace {

bool grows_finer(const ModelConfig& from, const ModelConfig& to) {
  const int64_t k = to.patch / from.patch;
  return k > 1 && to.patch == k * from.patch && to.size == k * from.size;
}

bool grows_wider(const ModelConfig& from, const ModelConfig& to) {
  return from.head == to.head && from.width <= to.width && from.hidden <= to.hidden &&
         (from.width < to.width || from.hidden < to.hidden);
}

}  // namespace

bool grows_to(const ModelConfig& from, const ModelConfig& to) {
  ModelConfig grown = from;
  if (grows_finer(from, to)) grown.patch = to.patch, grown.size = to.size;
  if (grows_wider(from, to)) grown.width = to.width, grown.hidden = to.hidden;
  return to_json(grown) == to_json(to);
}

void take_parameters(Model& to, Model& from, const std::string& name) {
  const ModelConfig &old = from.config, &now = to.config;
  const bool finer = grows_finer(old, now), wider = grows_wider(old, now);
  std::map<std::string, Tensor> given;
  from.params([&](const std::string& n, Var& v) {
    const Tensor t = v.value().to(Device::cpu);
    given[n] = finer ? finer_parameter(n, t, old.patch, now.patch / old.patch) : t;
  });
  to.params([&](const std::string& n, Var& v) {
    const auto g = given.find(n);
    if (g == given.end()) return;
    Tensor t = g->second;
    if (wider) t = wider_parameter(n, t, v.value().to(Device::cpu), old, now);
    if (t.shape() != v.shape())
      refuse(name, ": ", n, " is ", t.shape(), " there and ", v.shape(),
             " in the config's [model]; give both the same sizes (model.patch and model.size may both be a whole multiple; "
             "model.width, in whole heads, and model.hidden may be larger)");
    std::copy_n(t.data(), v.value().count(), v.data());
    given.erase(g);
  });
  if (!given.empty())
    refuse(name, ": has ", given.begin()->first, ", which the config's [model] lacks; give both the same parts");
}

}  // namespace duet
