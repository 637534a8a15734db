// Which of a person's own pictures are trained on and which are kept apart. What is divided are units: pictures, or what
// belongs together, such as all slices of a patient.
#pragma once
#include <map>
#include <set>
#include <string>
#include <utility>

namespace duet {

class Division {
 public:
  // val, heldout: shares from 0 on, at most 1 together
  Division(double val, double heldout) : val_(val), heldout_(heldout) {}

  // Stratified: first all units are added, each with every category that it has pictures of, then settle() gives each
  // category its own shares, rounded, the rarest first; a category of two units has at least one in val, one of three in
  // heldout too where that has a share, and with val and heldout below 1 one is left to train on. Which units: those whose
  // names fall so, as without, but what else there is counts too.
  void add(const std::string& category, const std::string& unit) { units_[category].emplace(place_of(unit), unit); }
  void settle();

  // train, val or heldout. Not stratified: by the name alone, whatever else there is; of a larger share the smaller is a part.
  std::string split_of(const std::string& unit) const;

 private:
  static constexpr long kPlaces = 10000;
  static long place_of(const std::string& unit);  // 0 .. kPlaces - 1, by its name
  double val_, heldout_;
  std::map<std::string, std::set<std::pair<long, std::string>>> units_;  // of each category, by place
  std::map<std::string, std::string> settled_;                           // unit -> split
};

}  // namespace duet
