#include "fusion/quantize.h"

#include <algorithm>

namespace duet {

std::vector<const float*> int8_weights(Model& m) {
  constexpr std::string_view kEnds[] = {".qkv.weight", ".proj.weight", ".up.weight", ".down.weight"};
  std::vector<const float*> all;
  m.params([&](const std::string& name, Var& v) {
    if (std::ranges::any_of(kEnds, [&](auto end) { return name.ends_with(end); })) all.push_back(v.data());
  });
  return all;
}

}  // namespace duet
