// Of several drawings of the same words, the one that the model itself reads best. What that is worth is for a measure to
// say that is not the model's: duet eval generate --best-of.
//
// Not all that are begun are finished: how a picture is laid out is settled early, so after a quarter of the steps the model
// reads what each is going to be (its guess of the clean picture) and the likelier half goes on, and after half of the steps
// half of those (sequential halving: Karnin, Koren, Somekh 2013). That is half the work of drawing all, and chooses nearly
// as well (assets/xs-128/README.md). Every drawing depends on its seed alone: the one that is kept is, byte for byte, what its
// seed draws by itself.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "infer/sampler.h"
#include "vision/image.h"

namespace duet {

enum class BestBy {
  contrastive,  // exp(log_scale) * cosine of the picture's and the words' embeddings
  caption,      // log p(words | picture)
  both          // their sum
};
BestBy best_by(const std::string& name);  // of the names above

// One for each picture; higher is better; comparable for the same words only.
std::vector<double> own_scores(const Model&, const Tokenizer&, const std::string& words, std::span<const Image>, BestBy);
size_t best_of(std::span<const double> scores);  // the first of equals

struct Thinning {
  int step = 0;     // after this step
  size_t left = 0;  // the likeliest that go on
};
constexpr int kFewestStepsToThin = 8;  // of fewer, too few are saved
// The thinnings of n drawings in order; none where all are finished. first_step: as of Drawing.
std::vector<Thinning> thinnings(size_t n, int first_step, int steps);
// Places of the `left` highest scores, the highest first; of equals the first.
std::vector<size_t> likeliest(std::span<const double> scores, size_t left);

// A picture that is wanted: words to judge by, how to ask for it, and the seeds to choose among (request.seed is not used).
struct Wanted {
  std::string words;
  DrawRequest request;
  std::vector<uint64_t> seeds;
};
struct Kept {
  Image image;      // finished
  size_t seed = 0;  // place of its own among the wanted one's
};
std::vector<Kept> draw_best(const Model&, const Tokenizer&, std::span<const Wanted>, const DrawOptions&, BestBy);

}  // namespace duet
