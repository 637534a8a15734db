#include "text/nearest.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace duet {

constexpr size_t kLongest = 64;  // bytes of what was said that count

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t(0));
  for (size_t i = 1; i <= a.size(); ++i) {
    std::swap(before, last), std::swap(last, row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({row[j - 1] + 1, last[j] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row.back();
}

std::string_view nearest_word(const std::vector<std::string>& known, std::string_view said) {
  said = said.substr(0, kLongest);
  const auto nearest = std::ranges::min_element(known, {}, [&](const std::string& k) { return edit_distance(k, said); });
  return nearest == known.end() ? std::string_view{} : std::string_view(*nearest);
}

std::string_view likely_meant(const std::vector<std::string>& known, std::string_view said) {
  said = said.substr(0, kLongest);
  const std::string_view nearest = nearest_word(known, said);
  return edit_distance(nearest, said) * 3 <= std::max(nearest.size(), said.size()) ? nearest : std::string_view{};
}

}  // namespace duet
