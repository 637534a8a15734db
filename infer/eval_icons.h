// Does it draw the icons it was shown? Training captions are drawn, and each drawing is compared with every training
// picture of its data set by a distance that is not the model's (infer/imagedistance.h): where does its own source rank?
#pragma once
#include <string>
#include <vector>

#include "infer/eval_model.h"
#include "infer/eval_stats.h"

namespace duet {

struct IconEvalOptions {
  int n = 300;         // captions in all, drawn at random from all sets together; every second one Korean where there is one
  uint64_t seed = 1;   // of the choice and of the noise
  bool styled = true;  // "apple, emoji", as training names the style half of the time; else "apple"
  int batch = 24;
};

struct IconDrawing {
  int set = 0;         // of the sets given
  int64_t source = 0;  // its own picture in that set
  bool korean = false;
  std::string prompt;
  Image drawn;
  int64_t rank = 0;     // of its own source among all of the set; 1 is best
  int64_t nearest = 0;  // the picture of the set that is nearest to the drawing
  double to_source = 0, to_nearest = 0;
  double spacing = 0;  // from its source to the nearest other picture of the set
};

struct IconEval {
  struct Row {
    std::string name;  // "emoji en", "all"
    RankSummary ranks;
  };
  std::vector<IconDrawing> drawings;
  std::vector<Row> rows;
  // How near drawings come to training pictures: medians, and the share nearer to one than half of what lies between that
  // drawing's source and the source's own nearest neighbour.
  double median_to_source = 0, median_to_nearest = 0, median_spacing = 0, near_copies = 0;
  double draw_seconds = 0, rank_seconds = 0;
  std::string table() const;
};

IconEval eval_icons(const EvalModel&, const std::vector<EvalSet>&, const IconEvalOptions&);

// Pairs drawn | own source, side by side on a checkerboard, prompt and rank below (green within 10); `count` drawings chosen
// at random by the seed.
Image icon_sheet(const IconEval&, const std::vector<EvalSet>&, int count, uint64_t seed);

}  // namespace duet
