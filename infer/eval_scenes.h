// Does it draw and say what is asked? Prompts of plain scenes, judged by a program that looks (infer/scenecheck.h), and
// captions of true scenes, judged by reading them back (vision/scenetext.h).
#pragma once
#include <string>
#include <vector>

#include "infer/eval_model.h"
#include "infer/eval_stats.h"

namespace duet {

struct SceneEvalOptions {
  int n = 200;        // prompts, and captions, of each of {seen, unseen} x {en, ko}
  uint64_t seed = 1;  // prompt i comes from (seed, i) in both languages: the scenes are the same, said in each
  int batch = 24;
  int show = 0;  // drawn pictures of each group kept for a contact sheet
};

struct SceneEval {
  // SceneReport::json of the groups "seen en", "seen ko", "unseen en", "unseen ko": right, total, percent of each
  // attribute, of whole scenes, of those with one, two and three things, and of those on grey
  std::string drawn, captioned;
  struct Judged {
    bool drawn = true;  // else captioned
    std::string group;  // as above
    int index = 0;      // the scene's, from 0; the same scene in both languages
    std::string said;   // the prompt, or the caption
    int things = 0;     // that are in the scene
    bool grey = false;
    std::vector<std::string> asked, wrong;  // attributes: that the words name, and those of them that are wrong
  };
  std::vector<Judged> judged;
  struct Gap {  // Korean minus English, in points of whole scenes right
    std::string split;
    double points = 0;
    Interval interval;  // paired bootstrap
  };
  std::vector<Gap> drawn_gap, captioned_gap;
  std::vector<std::pair<Image, std::string>> cells;  // drawn picture, and its prompt with what is wrong
  double draw_seconds = 0, caption_seconds = 0;
  std::string table;
};

SceneEval eval_scenes(const EvalModel&, const SceneEvalOptions&);

}  // namespace duet
