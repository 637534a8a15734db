// Scenes as JSON.
#include <simdjson.h>

#include <nlohmann/json.hpp>

#include "kernels/error.h"
#include "vision/scenetext.h"

namespace duet {
namespace {

constexpr size_t kMostThings = 16, kMostBytes = 1 << 16;

template <class E>
E named(std::string_view key, std::string_view word, int count) {
  std::string known;
  for (int i = 0; i < count; i++) {
    if (word == name(E(i))) return E(i);
    known += join(i ? ", " : "", name(E(i)));
  }
  refuse("scene: ", key, " must be one of ", known);
}

float number(simdjson::dom::element e, const char* key, double lo, double hi) {
  double v;
  if (e[key].get(v) || !(v >= lo && v <= hi)) refuse("scene: ", key, " must be a number from ", lo, " to ", hi);
  return float(v);
}

template <class E>
E choice(simdjson::dom::element e, const char* key, int count) {
  std::string_view word;
  if (e[key].get(word)) refuse("scene: every thing needs the text \"", key, "\"");
  return named<E>(key, word, count);
}

}  // namespace

std::string describe_json(const Scene& scene) {
  nlohmann::ordered_json out{{"background", background_name(scene.background)}, {"things", nlohmann::ordered_json::array()}};
  for (const Thing& t : scene.things)
    out["things"].push_back({{"shape", name(t.shape)},
                             {"color", name(t.color)},
                             {"size", name(t.size)},
                             {"cell", name(cell_of(t.cx, t.cy))},
                             {"cx", t.cx},
                             {"cy", t.cy},
                             {"radius", t.radius}});
  return out.dump();
}

Scene scene_from_json(std::string_view json) {
  if (json.size() > kMostBytes) refuse("scene: more than ", kMostBytes, " bytes of JSON");
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (auto error = parser.parse(json.data(), json.size()).get(root))
    refuse("scene: not JSON: ", simdjson::error_message(error));
  Scene scene;
  std::string_view ground;
  if (root["background"].get(ground)) refuse("scene: needs the text \"background\"");
  while (scene.background < kBackgrounds && ground != background_name(scene.background)) scene.background++;
  if (scene.background == kBackgrounds) refuse("scene: background must be transparent or grey");
  simdjson::dom::array things;
  if (root["things"].get(things)) refuse("scene: needs the list \"things\"");
  if (things.size() > kMostThings) refuse("scene: at most ", kMostThings, " things, not ", things.size());
  for (simdjson::dom::element e : things) {
    Thing t{.shape = choice<ShapeKind>(e, "shape", kShapes),
            .color = choice<Color>(e, "color", kColors),
            .size = choice<Size>(e, "size", kSizes)};
    t.cx = number(e, "cx", 0, 1);
    t.cy = number(e, "cy", 0, 1);
    t.radius = number(e, "radius", 0.001, 0.5);
    scene.things.push_back(t);
  }
  return scene;
}

}  // namespace duet
