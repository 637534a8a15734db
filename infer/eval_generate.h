// What its drawings are worth, by measures that do not come from the model: do they show what was asked, in the look that
// was asked (retrieval by infer/imagedistance.h); are they, as a set, like true pictures (infer/setdistance.h); are they
// copies; do seeds differ; does Korean do as well as English.
//
// A picture's look is its style, and where it has none, its data set. Its concept is what its data set says it is, else its
// caption without article and case. Prompts are "caption, style", as training names a style, each drawn in English and in
// Korean (the style in Korean too where the data set knows it) from the same noise.
#pragma once
#include <array>
#include <limits>
#include <string>
#include <vector>

#include "infer/eval_model.h"
#include "infer/eval_stats.h"

namespace duet {

struct SplitSet {
  std::string split;  // train, val, heldout, pairs
  EvalSet set;
};

struct GenerateEvalOptions {
  int n = 100;  // prompts of each group; each in both languages where it has both
  std::vector<std::string> splits = {"train", "heldout", "pairs"};  // whose captions are drawn
  std::vector<std::string> looks;                                   // prompts of these looks alone; empty: of all
  uint64_t seed = 1;                                                // of the choice, the noise and the intervals
  int batch = 24;
  int diverse = 16;  // prompts of each group that are drawn from kSeeds noises; 0: none
};

struct Measure {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  struct Side {
    int64_t n = 0;  // 0: nothing was drawn in that language
    double value = kNone;
    Interval interval;  // 95 %
  };
  std::string name;  // see kMeasures
  Side side[2];      // English, Korean
  // What true pictures reach; what a true picture of the same concept in another look does, taken for the drawing; what
  // guessing reaches. kNone: does not apply
  double truth = kNone, elsewhere = kNone, chance = kNone;
  int64_t elsewhere_n = 0;  // prompts that have such a picture
  int64_t paired = 0;       // prompts (of recall: true pictures) that the difference is taken over
  double gap = kNone;       // Korean minus English
  Interval gap_interval;    // paired
};

struct MeasureKind {
  const char *name, *title, *meaning;
  bool share;  // a share of 1, else a number
  int better;  // +1: more is, -1: less is, 0: to be read beside the true pictures' value
};
extern const std::vector<MeasureKind> kMeasures;
const MeasureKind& kind_of(const Measure&);

struct GenerateEval {
  static constexpr int kWithin[3] = {1, 10, 50};
  static constexpr int kSeeds = 4;
  struct Placed {                         // a picture among all of a look, of all splits
    int64_t rank = 0, candidates = 0;     // of the pictures with the prompt's words; 1 is best
    double to_source = 0, to_others = 0;  // distance to those pictures (the nearest), mean to all others of the look
  };
  struct Prompt {
    int64_t source = 0;             // its own picture, of `pictures`
    int64_t elsewhere = -1;         // a training picture of its concept in another look, by chance; -1: there is none
    Placed elsewhere_placed;        // that one in the place of a drawing
    std::string text[2];            // English, Korean; empty where there is no caption
    std::vector<int64_t> drawn[2];  // of `drawn`: the first is measured, the others are further seeds
  };
  struct Drawn {
    Image image;
    int64_t prompt = 0;
    bool korean = false;
    uint64_t seed = 0;
    // Of a prompt's first drawing only:
    Placed placed;
    int64_t nearest = -1;  // training picture, of `pictures`
    double to_nearest = 0;
    bool near_copy = false;  // nearer to it than half of what lies between it and its own nearest other training picture
  };
  struct Group {
    std::string name;  // "seen", "held-out pairs" ...
    std::string about;
    std::vector<int64_t> prompts;
    std::vector<Measure> measures;
    const Measure* find(const std::string& name) const;  // none: not measured
  };
  struct Picture {  // a true one, of any split
    const SplitSet* of = nullptr;
    int64_t at = 0;
    std::string look, concept_words;
    const Image& image() const { return of->set.pictures[size_t(at)]; }
    const Meta& meta() const { return of->set.meta[size_t(at)]; }
    const std::string& key() const { return of->set.keys[size_t(at)]; }
  };
  std::vector<Picture> pictures;
  std::vector<Prompt> prompts;
  std::vector<Drawn> drawn;
  std::vector<Group> groups;
  double draw_seconds = 0, compare_seconds = 0;
  std::string table() const;
};

// `sets` must live as long as the result. Refuses sets without training pictures and splits without captions.
GenerateEval eval_generate(const EvalModel&, const std::vector<SplitSet>& sets, const GenerateEvalOptions&);

// The measures of one group, once its drawings are compared; infer/genmeasures.cc.
std::vector<Measure> measure_group(const GenerateEval&, const GenerateEval::Group&, std::span<const char> true_copies,
                                   std::span<const double> true_to_nearest, uint64_t seed);

}  // namespace duet
