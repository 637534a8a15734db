// Scoring: what was said, attribute by attribute, against what is there. For captions (against the true scene) and for
// drawn pictures (against what a checker found, infer/scenecheck.h).
#pragma once
#include <array>
#include <optional>
#include <vector>

#include "vision/scenetext.h"

namespace duet {

enum class Attribute : uint8_t { shape, color, size, position, relation, count, background };
constexpr int kAttributes = 7;
const char* name(Attribute);

struct Tally {
  int right = 0, total = 0;
  void add(bool ok) { right += ok, total++; }
  bool operator==(const Tally&) const = default;
};

struct Score {
  std::array<Tally, kAttributes> tally;
  Tally& operator[](Attribute a) { return tally[int(a)]; }
  const Tally& operator[](Attribute a) const { return tally[int(a)]; }
  bool whole() const;  // everything right
};

// A thing that is there; a shape that fits no known one is empty.
struct SeenThing {
  std::optional<ShapeKind> shape;
  Color color = Color::red;
  Size size = Size::medium;
  float cx = 0, cy = 0;  // the picture's side is 1
};
struct SeenScene {
  std::vector<SeenThing> things;  // the largest first; beyond the first 6 they only count
  int background = kTransparent;
};
SeenScene seen(const Scene&);

// Every stated attribute of every stated thing is one point, matched to what is there in the kindest way; the number of
// things is one more. A stated thing that is not there loses all that was stated of it.
Score judge(const ParsedScene& stated, const SeenScene& there);

// A caption against its true scene: judge(), and each thing the caption leaves out loses its shape and colour.
Score score_caption(const ParsedScene& parsed, const Scene& scene);

}  // namespace duet
