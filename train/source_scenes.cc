// Scenes: drawn on the spot from seeds (vision/scene.h), with captions in two languages and the exact description.
#include <algorithm>

#include "train/sources.h"
#include "vision/scene.h"
#include "vision/scenetext.h"

namespace duet {
namespace {

Candidate scene_sample(uint64_t seed, SceneSplit kind, const char* split, int64_t i) {
  Scene scene = random_scene(seed, kind);
  Candidate c;
  c.key = std::string(split) + "-" + std::to_string(i);
  c.split = split;
  c.ready = true;
  for (Lang lang : {Lang::en, Lang::ko}) {
    auto words = captions(scene, lang);
    auto& first = lang == Lang::en ? c.meta.caption : c.meta.caption_ko;
    auto& others = lang == Lang::en ? c.meta.captions : c.meta.captions_ko;
    first = words.front();
    others.assign(words.begin() + 1, words.end());
  }
  c.meta.source = "duet scenes";
  c.meta.license = "CC0-1.0";
  c.meta.group = "scenes/" + std::to_string(scene.things.size());
  c.meta.scene = describe_json(scene);
  c.draw = [scene](int size) { return render(scene, size); };
  return c;
}

}  // namespace

void find_scenes(const SourceOptions& options, const Sink& sink, SourceReport& report) {
  report.license = "CC0-1.0";
  int64_t test = std::max<int64_t>(64, options.scenes / 20);
  struct Part {
    SceneSplit kind;
    const char* split;
    int64_t count;
  };
  for (auto& part : {Part{SceneSplit::train, "train", options.scenes}, Part{SceneSplit::seen, "val", test},
                     Part{SceneSplit::heldout, "heldout", test}}) {
    for (int64_t i = 0; i < part.count; i++, report.found++) {
      sink(scene_sample(options.seed * 0x100000001ull + uint64_t(i), part.kind, part.split, i));
    }
  }
}

}  // namespace duet
