// Which pictures belong together, such as the slices of a patient: those in whose keys a regular expression finds the same.
#pragma once
#include <optional>
#include <regex>
#include <string>

namespace duet {

class Together {
 public:
  Together() = default;                           // each picture for itself
  explicit Together(const std::string& pattern);  // ECMAScript, "patient[0-9]+"; empty: as above. Refuses what is no expression
  // Equal for those that belong together: what the first group found, or without groups the whole match; without a match the
  // key itself.
  std::string operator()(const std::string& key) const;

 private:
  std::optional<std::regex> pattern_;
};

}  // namespace duet
