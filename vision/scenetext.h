// Captions of scenes in English and Korean: made, read back, and scored; and the exact description as JSON.
// A caption names every thing's shape; colour, size, place, relation and ground are each said or left open.
// What is said is exactly true: a place is one of nine cells, a relation is said only where it is plain.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vision/scene.h"

namespace duet {

enum class Lang : uint8_t { en, ko };

// Which attributes of a scene a caption says. Index i of things is scene.things[i].
struct SaidThing {
  bool color = true, size = false, cell = false;
};
struct Said {
  std::vector<SaidThing> things;
  std::vector<std::pair<int, int>> relations;  // things[first] REL things[second]
  bool background = false;
};

// What a caption says, without the scene.
struct StatedThing {
  std::optional<ShapeKind> shape;
  std::optional<Color> color;
  std::optional<Size> size;
  std::optional<Cell> cell;
  bool operator==(const StatedThing&) const = default;
};
struct StatedRelation {
  int a, b;  // things[a] REL things[b]
  Relation relation;
  bool operator==(const StatedRelation&) const = default;
};
struct ParsedScene {
  std::vector<StatedThing> things;
  std::vector<StatedRelation> relations;
  std::optional<int> background;
  bool operator==(const ParsedScene&) const = default;
};

// A random choice of what to say. A test prompt says every colour, and the held-out relation where there is one.
Said choose_said(const Scene&, uint64_t seed, bool test = false);
ParsedScene stated(const Scene&, const Said&);
// The words for it (at least one thing), one of several natural ways, chosen by the seed.
std::string tell(const ParsedScene&, Lang, uint64_t seed);

// The training caption: tell(stated(scene, choose_said(scene, seed))). One seed says the same in both languages.
std::string caption(const Scene&, Lang, uint64_t seed);
// Up to 12 different captions; the first is the plainest: "a red circle", "빨간 원".
std::vector<std::string> captions(const Scene&, Lang);

struct ScenePrompt {
  std::string text;
  Lang lang = Lang::en;
  Scene scene;  // one picture that would be right; only what is said counts
  Said said;
};
ScenePrompt random_prompt(uint64_t seed, SceneSplit, Lang);

// Reads a caption of this kind; words it does not know are passed over. Takes any bytes; at most 6 things are read.
ParsedScene parse_caption(std::string_view text, Lang);

// {"background":"grey","things":[{"shape":"star","color":"red","size":"big","cell":"top
// left","cx":.3,"cy":.3,"radius":.2}]}
std::string describe_json(const Scene&);
// The inverse; refuses anything else (at most 16 things). "cell" is derived and not read.
Scene scene_from_json(std::string_view json);

}  // namespace duet
