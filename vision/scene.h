// Scenes: one to three plain things (shape, colour, size, place) on a plain ground, made from a seed. They are training
// pictures whose captions are exactly true (vision/scenetext.h), and test prompts that a program can check
// (infer/scenecheck.h). Everything random comes from integers, so a seed means the same scene on every machine.
//
// Units: the picture's side is 1, x to the right, y down; cx, cy are the middle of the outline's unit circle. All three
// numbers are multiples of 1/1024, so that mirroring and JSON give back the same bits.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "vision/image.h"

namespace duet {

enum class ShapeKind : uint8_t { circle, square, triangle, star, heart, diamond, cross };
enum class Color : uint8_t { red, orange, yellow, green, blue, purple, pink, brown, black, white };
enum class Size : uint8_t { small, medium, big };  // medium is never said
enum class Cell : uint8_t { top_left, top, top_right, left, centre, right, bottom_left, bottom, bottom_right };
enum class Relation : uint8_t { left_of, right_of, above, below };
enum class SceneSplit : uint8_t { train, seen, heldout };
constexpr int kShapes = 7, kColors = 10, kSizes = 3, kCells = 9, kRelations = 4;

// Grounds. Transparent (7 of 8 scenes): white shows through its alpha. Grey is dark enough for white, light enough for
// the rest; a caption always says it, so that plain prompts mean a cut-out picture, as icons are.
constexpr int kTransparent = 0, kGrey = 1, kBackgrounds = 2;

struct Rgb {
  uint8_t r, g, b;
};

struct Thing {
  ShapeKind shape = ShapeKind::circle;
  Color color = Color::red;
  Size size = Size::medium;
  float cx = 0.5f, cy = 0.5f, radius = 0.15f;
  bool operator==(const Thing&) const = default;
};

struct Scene {
  std::vector<Thing> things;
  int background = kTransparent;
  bool operator==(const Scene&) const = default;
};

// splitmix64 (Steele, Lea, Flood 2014): a counter and a mixer.
struct SceneRng {
  uint64_t state;
  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
  }
  int below(int n) { return int((next() >> 32) * uint64_t(n) >> 32); }  // [0, n)
  bool chance(int percent) { return below(100) < percent; }
};

// train: never a held-out combination. seen: the same kind, other seeds. heldout: at least one held-out combination,
// half of them a held-out (shape, colour), half a held-out pair in a clear relation (so two or three things).
// Things never overlap: their boxes are at least 0.05 apart and 0.02 from the edge. Mostly one thing stands in the middle,
// two across from each other and three as a triangle, as people draw when no place is said; else anywhere.
Scene random_scene(uint64_t seed, SceneSplit split);

// Held out of training: eight of the 70 (shape, colour) pairs, one colour or two of each shape; and one in nine of the
// (thing, relation, thing) combinations, colour and shape counted. Side by side the order does not matter, so
// mirroring a training scene never makes a held-out one.
bool held_out(const Scene&);
bool held_out(ShapeKind, Color);
bool held_out(const Thing& a, const Thing& b);  // as they stand to each other

// The reading of places, also used to judge pictures. Drawn scenes keep 0.04 clear of the borders between cells.
Cell cell_of(float cx, float cy);
// How a stands to b: along the longer of the two distances.
Relation relation_of(float ax, float ay, float bx, float by);
// True where the relation is plain enough to be said: at least 0.2 apart, and the other distance at most 0.7 of it.
bool clear_relation(const Thing& a, const Thing& b);
// A thing alone in its picture is larger than one of several, and its size is read on a scale of its own.
Size size_of(float radius, bool alone);

Scene mirror(const Scene&);  // left and right swapped
// The same scene as one would set it out with a ruler: every thing in the middle of its cell and of middling radius for its
// size. As it is where that would bring two things together, or change a cell or a relation.
Scene tidy(const Scene&);
Relation mirror(Relation);
Relation inverse(Relation);  // a REL b == b inverse(REL) a

// RGBA, size x size, anti-aliased with exact pixel coverage. 8 <= size <= 4096.
Image render(const Scene&, int size);

Rgb rgb(Color);
Rgb background_rgb(int background);  // of kGrey

struct Point {
  float x, y;
};
const std::vector<Point>& outline(ShapeKind);  // a simple polygon, y down, for radius 1 around (0, 0)
float area(ShapeKind);                         // of outline(shape)
Point centroid(ShapeKind);                     // of outline(shape)
// out (h,w) = share of every pixel that the shape covers, 0..1; cx, cy, radius in pixels of that window.
void cover(float* out, int w, int h, ShapeKind shape, float cx, float cy, float radius);

// English words of the enums, as written in JSON ("top left", "left of", "grey").
const char* name(ShapeKind);
const char* name(Color);
const char* name(Size);
const char* name(Cell);
const char* name(Relation);
const char* background_name(int background);

}  // namespace duet
