// The names that `--style` offers; a prompt asks for one in the loader's words: with_style.
#pragma once
#include <array>

#include "fusion/styles.h"

namespace duet {

inline constexpr auto kStyles = [] {
  std::array<const char*, std::size(kStyleNames)> names{};
  for (size_t i = 0; i < names.size(); i++) names[i] = kStyleNames[i].en;
  return names;
}();

}  // namespace duet
