#include "fusion/narrow.h"

#include <algorithm>

#include "kernels/narrow.h"

namespace duet {

bool may_be_narrow(const std::string& name) {
  constexpr std::string_view kEnds[] = {".qkv.weight", ".proj.weight", ".up.weight", ".down.weight"};
  return std::ranges::any_of(kEnds, [&](auto end) { return name.ends_with(end); });
}

std::vector<const float*> int8_weights(Model& m) {
  std::vector<const float*> all;
  m.params([&](const std::string& name, Var& v) {
    if (may_be_narrow(name)) all.push_back(v.data());
  });
  return all;
}

void narrow_on_card(Model& m, DType type) {
  flatten(
      [&](const Visit& visit) {
        m.params([&](const std::string& name, Var& v) {
          if (!may_be_narrow(name)) return visit(name, v);
          v.set_value(narrowed(v.value(), type).to(Device::cuda));
          v.set_grad({}), v.set_wants_grad(false);
        });
      },
      Device::cuda);
}

}  // namespace duet
