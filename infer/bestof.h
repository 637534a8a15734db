// Of several drawings of the same words, the one that the model itself reads best. What that is worth is for a measure to
// say that is not the model's: duet eval generate --best-of.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "vision/image.h"

namespace duet {

class Model;
class Tokenizer;

enum class BestBy {
  contrastive,  // exp(log_scale) * cosine of the picture's and the words' embeddings
  caption,      // log p(words | picture)
  both          // their sum
};
BestBy best_by(const std::string& name);  // of the names above

// One for each picture; higher is better; comparable for the same words only.
std::vector<double> own_scores(const Model&, const Tokenizer&, const std::string& words, std::span<const Image>, BestBy);
size_t best_of(std::span<const double> scores);  // the first of equals

}  // namespace duet
