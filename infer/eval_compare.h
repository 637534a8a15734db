// Two results of the same evaluation, item by item: what another model, or another way to draw, changes for the same prompts
// and pictures. Paired differences vary far less than the two figures do (an easy prompt is easy for both), so a few hundred
// items often tell models apart whose intervals overlap. Items of one Meta::unit, such as the slices of a patient, are
// resampled as one.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "infer/eval_stats.h"

namespace duet {

struct EvalResult {
  std::string name, json;  // what to call it in messages; what `duet eval VERB --json` or `duet eval generate` wrote
};

struct Comparison {
  struct Row {
    std::string group, measure;
    bool share = false;         // 0..1, shown in per cent
    int64_t n = 0;              // items that both have
    double one = 0, other = 0;  // means over those
    Interval difference;        // of other - one: 95 %, paired bootstrap; kNoInterval of one unit
  };
  std::string eval;  // "generate", "icons", "scenes", "caption", "classify"
  std::vector<Row> rows;
  std::vector<std::string> settings;  // that are not the same: "steps: 24, 4"
  int64_t alone[2] = {0, 0};          // items that only the one, only the other has
  std::string table() const;
  std::string to_json() const;
};

// Refuses, naming the result: what is no JSON of an evaluation, two evaluations of different kinds or classes, one that keeps
// no items (retrieval, binding), one with two items of a name, and two that have none in common.
Comparison compare_evals(const EvalResult& one, const EvalResult& other, uint64_t seed);

}  // namespace duet
