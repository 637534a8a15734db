// A program that looks at drawn pictures: finds the things in them by colour and outline, and says what of a prompt
// came out right. It knows the shapes and colours of vision/scene.h and nothing of the model. Any picture size from 16.
//
// How: the ground is what the border shows (transparent, or one colour). What is not ground falls into connected parts;
// parts under 0.4 % of the picture are specks and dropped. A part's colour is the vote of its inner pixels, each for
// the nearest of the ten colours in OKLab; a part of two colours is taken as two things. Its shape is the outline that,
// laid over it with the same area and centroid, overlaps it best; below 0.7 overlap it is no known shape.
#pragma once
#include <string>

#include "vision/image.h"
#include "vision/scenescore.h"

namespace duet {

// The largest first. background is -1 where the ground is neither transparent nor grey.
SeenScene find_things(const Image&);

struct CheckResult {
  Score score;
  SeenScene seen;
};
// Throws Error for a picture under 16 pixels wide or high.
CheckResult check(const Image&, const ScenePrompt&);

// Sums over many pictures or captions.
struct SceneTotals {
  std::array<Tally, kAttributes> tally;
  Tally whole;                     // scenes of which everything is right
  std::array<Tally, 3> of_things;  // those of one, two and three things
  Tally on_grey;                   // those on a grey ground
  void add(const Score&, const Scene& asked);
};
double percent(const Tally&);  // 0 where nothing was asked

// One column per named group ("seen en", "heldout ko"); one row per attribute, of whole scenes, and of some of those: of one,
// two and three things, on grey. json(): right, total, percent (null where nothing was asked) of each.
struct SceneReport {
  std::vector<std::pair<std::string, SceneTotals>> groups;
  SceneTotals& group(const std::string& name);  // added when new
  std::string table() const;
  std::string json() const;
};

}  // namespace duet
