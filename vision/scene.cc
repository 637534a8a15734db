#include "vision/scene.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace duet {
namespace {

constexpr int kUnit = 1024;  // coordinates are drawn as integers of 1/1024
constexpr int kEdge = 20, kGap = 51;

struct Range {
  int lo, hi;  // both included
  int pick(SceneRng& rng) const { return lo + rng.below(hi - lo + 1); }
};
constexpr Range kRadius[kSizes] = {{100, 115}, {152, 169}, {210, 230}},
                kRadiusAlone[kSizes] = {{160, 178}, {262, 286}, {340, 364}};
constexpr int kNear = 369, kMiddleLo = 451,
              kMiddleHi = 573;  // of a column or row: first <= kNear, last >= 1024 - kNear

struct Pair {
  ShapeKind shape;
  Color color;
};
constexpr Pair kHeldOut[] = {
    {ShapeKind::circle, Color::purple}, {ShapeKind::square, Color::orange}, {ShapeKind::triangle, Color::pink},
    {ShapeKind::star, Color::white},    {ShapeKind::star, Color::blue},     {ShapeKind::heart, Color::green},
    {ShapeKind::diamond, Color::brown}, {ShapeKind::cross, Color::black},
};

Point extent(ShapeKind s) {  // half the width and height of the box that holds the outline, measured from (0, 0)
  static const auto table = [] {
    std::array<Point, kShapes> t{};
    for (int i = 0; i < kShapes; i++)
      for (Point p : outline(ShapeKind(i))) t[i] = {std::max(t[i].x, std::fabs(p.x)), std::max(t[i].y, std::fabs(p.y))};
    return t;
  }();
  return table[int(s)];
}

int reach(float extent, int radius) { return int(std::ceil(extent * radius)); }

// A place in the cell's column (or row) that keeps the thing inside the picture; false where it does not fit.
bool place(int third, int half, SceneRng& rng, int& at) {
  int lo = kEdge + half;
  if (third == 1) {
    const Range middle{std::max(kMiddleLo, lo), std::min(kMiddleHi, kUnit - lo)};
    if (middle.lo > middle.hi) return false;
    at = middle.pick(rng);
    return true;
  }
  if (lo > kNear) return false;
  at = Range{lo, kNear}.pick(rng);
  if (third == 2) at = kUnit - at;
  return true;
}

bool apart(const Thing& a, const Thing& b) {
  Point ea = extent(a.shape), eb = extent(b.shape);
  float gap = float(kGap) / kUnit;
  return std::fabs(a.cx - b.cx) >= ea.x * a.radius + eb.x * b.radius + gap ||
         std::fabs(a.cy - b.cy) >= ea.y * a.radius + eb.y * b.radius + gap;
}

// Plain arrangements: two things across from each other, three as a triangle.
constexpr Cell kTwo[][2] = {{Cell::left, Cell::right}, {Cell::top, Cell::bottom}};
constexpr Cell kThree[][3] = {{Cell::top_left, Cell::top_right, Cell::bottom},
                              {Cell::bottom_left, Cell::bottom_right, Cell::top},
                              {Cell::top_left, Cell::bottom_left, Cell::right},
                              {Cell::top_right, Cell::bottom_right, Cell::left}};

// `cell`: where it shall be; empty: anywhere.
bool add_thing(Scene& scene, ShapeKind shape, Color color, bool alone, std::optional<Cell> wanted, SceneRng& rng) {
  Thing t{.shape = shape, .color = color};
  for (const Thing& other : scene.things)
    if (other.shape == shape && other.color == color) return false;
  int dice = rng.below(10);
  t.size = dice < 4 ? Size::medium : dice < 7 ? Size::small : Size::big;
  int radius = (alone ? kRadiusAlone : kRadius)[int(t.size)].pick(rng);
  t.radius = float(radius) / kUnit;
  for (int attempt = 0; attempt < 12; attempt++) {
    int cell = wanted ? int(*wanted) : rng.below(kCells), x, y;
    if (!place(cell % 3, reach(extent(shape).x, radius), rng, x)) continue;
    if (!place(cell / 3, reach(extent(shape).y, radius), rng, y)) continue;
    t.cx = float(x) / kUnit;
    t.cy = float(y) / kUnit;
    if (std::all_of(scene.things.begin(), scene.things.end(), [&](const Thing& o) { return apart(t, o); })) {
      scene.things.push_back(t);
      return true;
    }
  }
  return false;
}

bool draw(Scene& scene, int count, const Pair* first, SceneRng& rng) {
  scene.things.clear();
  std::optional<Cell> cells[3];
  if (count == 1 && rng.chance(65)) cells[0] = Cell::centre;
  if (count == 2 && rng.chance(75)) std::copy_n(kTwo[rng.below(int(std::size(kTwo)))], 2, cells);
  if (count == 3 && rng.chance(75)) std::copy_n(kThree[rng.below(int(std::size(kThree)))], 3, cells);
  for (int i = count - 1; i > 0; i--) std::swap(cells[i], cells[rng.below(i + 1)]);
  for (int i = 0; i < count; i++) {
    Pair p{ShapeKind(rng.below(kShapes)), Color(rng.below(kColors))};
    if (i == 0 && first) p = *first;
    if (!add_thing(scene, p.shape, p.color, count == 1, cells[i], rng)) return false;
  }
  return true;
}

bool clear_held_out_relation(const Scene& s) {
  for (size_t i = 0; i < s.things.size(); i++)
    for (size_t j = i + 1; j < s.things.size(); j++)
      if (held_out(s.things[i], s.things[j]) && clear_relation(s.things[i], s.things[j])) return true;
  return false;
}

}  // namespace

Scene random_scene(uint64_t seed, SceneSplit split) {
  SceneRng rng{SceneRng{seed}.next() + (uint64_t(split) + 1) * 0xd1342543de82ef95ull};
  Scene scene;
  scene.background = rng.below(8) ? kTransparent : kGrey;
  int dice = rng.below(20), count = dice < 8 ? 1 : dice < 17 ? 2 : 3;
  if (split != SceneSplit::heldout) {
    while (!draw(scene, count, nullptr, rng) || held_out(scene)) {
    }
    return scene;
  }
  if (rng.below(2)) {
    const Pair& pair = kHeldOut[rng.below(std::size(kHeldOut))];
    while (!draw(scene, count, &pair, rng)) {
    }
    std::swap(scene.things[0], scene.things[rng.below(count)]);
    return scene;
  }
  count = dice < 16 ? 2 : 3;
  while (!draw(scene, count, nullptr, rng) || !clear_held_out_relation(scene)) {
  }
  return scene;
}

bool held_out(ShapeKind shape, Color color) {
  return std::any_of(std::begin(kHeldOut), std::end(kHeldOut),
                     [&](const Pair& p) { return p.shape == shape && p.color == color; });
}

bool held_out(const Thing& a, const Thing& b) {
  auto code = [](const Thing& t) { return int(t.shape) * kColors + int(t.color); };
  switch (relation_of(a.cx, a.cy, b.cx, b.cy)) {
    case Relation::above:
      return (code(a) + 3 * code(b)) % 9 == 2;
    case Relation::below:
      return (code(b) + 3 * code(a)) % 9 == 2;
    default:
      return (code(a) + code(b)) % 9 == 4;
  }
}

bool held_out(const Scene& scene) {
  for (size_t i = 0; i < scene.things.size(); i++) {
    const Thing& a = scene.things[i];
    if (held_out(a.shape, a.color)) return true;
    for (size_t j = i + 1; j < scene.things.size(); j++)
      if (held_out(a, scene.things[j])) return true;
  }
  return false;
}

Cell cell_of(float cx, float cy) {
  auto third = [](float v) { return v < 0.4f ? 0 : v <= 0.6f ? 1 : 2; };
  return Cell(third(cy) * 3 + third(cx));
}

Relation relation_of(float ax, float ay, float bx, float by) {
  float dx = bx - ax, dy = by - ay;
  if (std::fabs(dx) >= std::fabs(dy)) return dx > 0 ? Relation::left_of : Relation::right_of;
  return dy > 0 ? Relation::above : Relation::below;
}

bool clear_relation(const Thing& a, const Thing& b) {
  float dx = std::fabs(a.cx - b.cx), dy = std::fabs(a.cy - b.cy);
  return std::max(dx, dy) >= 0.2f && std::min(dx, dy) <= 0.7f * std::max(dx, dy);
}

// The borders lie midway (as ratios) between the ranges that are drawn.
Size size_of(float radius, bool alone) {
  return radius < (alone ? 0.209f : 0.129f) ? Size::small : radius < (alone ? 0.305f : 0.184f) ? Size::medium : Size::big;
}

Scene mirror(const Scene& scene) {
  Scene out = scene;
  for (Thing& t : out.things) t.cx = 1 - t.cx;
  return out;
}

Scene tidy(const Scene& scene) {
  constexpr int kThird[3] = {246, 512, 778};  // the middle of a column or row, of 1024
  Scene out = scene;
  const bool alone = scene.things.size() == 1;
  for (Thing& t : out.things) {
    const Range range = (alone ? kRadiusAlone : kRadius)[int(t.size)];
    const int radius = (range.lo + range.hi) / 2, cell = int(cell_of(t.cx, t.cy));
    const int half[2] = {reach(extent(t.shape).x, radius), reach(extent(t.shape).y, radius)};
    t.radius = float(radius) / kUnit;
    const auto middle = [&](int third, int k) {
      return float(std::clamp(kThird[third], kEdge + half[k], kUnit - kEdge - half[k])) / kUnit;
    };
    t.cx = middle(cell % 3, 0), t.cy = middle(cell / 3, 1);
  }
  for (size_t i = 0; i < out.things.size(); i++) {
    const Thing &a = out.things[i], &was = scene.things[i];
    if (cell_of(a.cx, a.cy) != cell_of(was.cx, was.cy)) return scene;
    for (size_t j = i + 1; j < out.things.size(); j++) {
      const Thing &b = out.things[j], &then = scene.things[j];
      if (!apart(a, b) || clear_relation(a, b) != clear_relation(was, then)) return scene;
      if (relation_of(a.cx, a.cy, b.cx, b.cy) != relation_of(was.cx, was.cy, then.cx, then.cy)) return scene;
    }
  }
  return out;
}

Relation mirror(Relation r) {
  return r == Relation::left_of ? Relation::right_of : r == Relation::right_of ? Relation::left_of : r;
}

Relation inverse(Relation r) {
  switch (r) {
    case Relation::above:
      return Relation::below;
    case Relation::below:
      return Relation::above;
    default:
      return mirror(r);
  }
}

const char* name(ShapeKind s) {
  static const char* const k[] = {"circle", "square", "triangle", "star", "heart", "diamond", "cross"};
  return k[int(s)];
}
const char* name(Color c) {
  static const char* const k[] = {"red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white"};
  return k[int(c)];
}
const char* name(Size s) {
  static const char* const k[] = {"small", "medium", "big"};
  return k[int(s)];
}
const char* name(Cell c) {
  static const char* const k[] = {"top left", "top",         "top right", "left",        "centre",
                                  "right",    "bottom left", "bottom",    "bottom right"};
  return k[int(c)];
}
const char* name(Relation r) {
  static const char* const k[] = {"left of", "right of", "above", "below"};
  return k[int(r)];
}
const char* background_name(int background) { return background == kGrey ? "grey" : "transparent"; }

}  // namespace duet
