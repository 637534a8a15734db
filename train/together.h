// Which pictures belong together, such as the slices of a patient: those in whose names a regular expression finds the same.
#pragma once
#include <optional>
#include <regex>
#include <string>

namespace duet {

class Together {
 public:
  explicit Together(
      const std::string& pattern);  // ECMAScript, "patient[0-9]+"; empty: nothing does. Refuses what is no expression
  // What those that belong together share: what the first group found, or without groups the whole match; empty: nothing.
  std::string operator()(const std::string& name) const;
  bool any() const { return pattern_.has_value(); }

 private:
  std::optional<std::regex> pattern_;
};

}  // namespace duet
