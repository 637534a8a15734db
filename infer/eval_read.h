// Does it read? Retrieval and zero-shot classes by the contrastive head, and captions against what people wrote.
#pragma once
#include <string>
#include <vector>

#include "infer/classify.h"
#include "infer/classmeasures.h"
#include "infer/eval_model.h"
#include "infer/eval_stats.h"
#include "infer/eval_text.h"

namespace duet {

// ---- retrieval ----

struct RetrievalEval {
  struct Row {
    std::string set;  // a data set's name, or "together"
    bool korean = false;
    bool from_text = true;  // text to picture, else picture to text
    RankSummary ranks;
  };
  std::vector<Row> rows;
  std::string table() const;
};
// Within each set, and in all together where there are several. Candidates: all pictures that have a caption in that
// language, or all their different captions. Pictures with the same caption are all right answers to it.
// `others`: further pictures that texts must find theirs among (training pictures, say); those captioned like a query are
// left out of the search.
RetrievalEval eval_retrieval(const EvalModel&, const std::vector<EvalSet>&, const std::vector<EvalSet>& others, uint64_t seed);

// ---- classes ----

// "Animals & Nature/animal-mammal" -> "animals & nature"; deep: "animal mammal". '_' and '-' become spaces, ASCII letters
// lower-case. Empty for an empty group.
std::string readable_category(const std::string& group, bool deep);

// The categories of several sets of metadata, sorted, each once.
std::vector<std::string> categories(const std::vector<const std::vector<Meta>*>&, bool deep);

struct ClassifyEval {
  std::vector<std::string> labels;
  ClassSummary summary;
  std::vector<int> truth, guess;                   // of the pictures that have a category
  std::vector<int64_t> picture;                    // which of the set they are
  std::vector<std::vector<double>> probabilities;  // of each label, for each of them; they sum to 1
  std::vector<std::string> unit;                   // of each of them, see Meta::unit
  ClassMeasures measures;
  std::string table() const;
};
// classify: pictures -> for each the probability of each label. Intervals resample pictures of the same Meta::unit as
// one.
ClassifyEval eval_classify(const Probabilities& classify, const EvalSet&, const std::vector<std::string>& labels, bool deep,
                           uint64_t seed);

// ---- captions ----

struct CaptionEval {
  struct Said {
    int64_t picture = 0;             // in the set
    std::vector<std::string> texts;  // as the model said them, best first; figures but `named_any` are of the first
    std::vector<std::string> references;
    bool exact = false, named = false, named_any = false;
    double cider_d = 0, rouge_l = 0;
  };
  std::vector<Said> said;
  // Shares. exact: the words of a reference and no others (a style at the end, ", emoji", left out). named: a reference
  // stands in it word by word, its article left out. named_any: in the caption of any beam.
  double exact = 0, named = 0, named_any = 0;
  Interval exact_interval, named_interval, named_any_interval;
  double bleu1 = 0, bleu4 = 0, rouge_l = 0, cider_d = 0;  // see infer/eval_text.h
  double caption_seconds = 0;
  std::string table() const;
};
// Pictures without a caption in that language are passed over.
CaptionEval eval_caption(const EvalModel&, const EvalSet&, bool korean, uint64_t seed);

// pycocoevalcap's files: results [{"image_id", "caption"}], references in COCO captions format. Words are as they were said
// and written (pycocoevalcap has a tokenizer of its own), but for a style at the end of what was said. image_id: the COCO
// file's where all pictures came from one, so that its own annotations serve as references too; else the index in the set.
std::string coco_results(const CaptionEval&, const EvalSet&);
std::string coco_references(const CaptionEval&, const EvalSet&);

// Caption and further wordings in that language, cleaned, each once.
std::vector<std::string> references_in(const Meta&, bool korean);
// Without a style of fusion/styles.h after the last comma.
std::string without_style(const std::string& caption);

}  // namespace duet
