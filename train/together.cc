#include "train/together.h"

#include "kernels/error.h"
#include "kernels/quote.h"

namespace duet {

Together::Together(const std::string& pattern) {
  if (pattern.empty()) return;
  try {
    pattern_.emplace(pattern);
  } catch (const std::regex_error& e) {
    refuse("--together ", shown(pattern), ": not a regular expression (", e.what(), ")");
  }
}

std::string Together::operator()(const std::string& name) const {
  std::smatch m;
  if (!pattern_ || !std::regex_search(name, m, *pattern_)) return {};
  return m.size() > 1 && m[1].matched ? m[1] : m[0];
}

}  // namespace duet
