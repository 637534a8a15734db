#include "infer/bestof.h"

#include <algorithm>
#include <cmath>

#include "infer/reader.h"
#include "kernels/error.h"

namespace duet {

BestBy best_by(const std::string& name) {
  if (name == "contrastive") return BestBy::contrastive;
  if (name == "caption") return BestBy::caption;
  if (name == "both") return BestBy::both;
  refuse("best by ", name, ": expected contrastive, caption or both");
}

std::vector<double> own_scores(const Model& m, const Tokenizer& t, const std::string& words, std::span<const Image> pictures,
                               BestBy by) {
  std::vector<double> scores(pictures.size());
  const std::vector<std::string> texts{words};
  if (by != BestBy::caption) {
    const Tensor text = embed_texts(m, t, texts), seen = embed_pictures(m, pictures);
    const double scale = std::exp(double(m.log_scale.value().to(Device::cpu).data()[0]));
    for (size_t i = 0; i < scores.size(); ++i)
      for (int64_t e = 0; e < text.dim(1); ++e)
        scores[i] += scale * double(text.data()[e]) * double(seen.data()[int64_t(i) * text.dim(1) + e]);
  }
  if (by != BestBy::contrastive)
    for (size_t i = 0; i < scores.size(); ++i) scores[i] += caption_log_probs(m, t, pictures[i], texts)[0];
  return scores;
}

size_t best_of(std::span<const double> scores) {
  CHECK(!scores.empty(), "pictures to choose from");
  return size_t(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

}  // namespace duet
