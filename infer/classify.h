// Zero-shot classes: labels in words, put into sentences, compared with a picture.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "fusion/model.h"
#include "text/tokenizer.h"
#include "vision/image.h"

namespace duet {

// Pictures -> for each the probability of each class; each sums to 1.
using Probabilities = std::function<std::vector<std::vector<double>>(std::span<const Image>)>;

enum class ClassifyBy { embedding, caption };

// "a {}" + "apple" -> "an apple"; the article is left out where the label brings its own. The template has one {}.
std::string fill_template(const std::string& sentence, const std::string& label);

// The built-in templates for a label's language (Korean where it holds Hangul).
std::vector<std::string> built_in_templates(const std::string& label);

class Classifier {
 public:
  // One template for all labels, or empty: the built-in ones. Refuses fewer than two labels, equal ones, no {}.
  Classifier(const Model&, const Tokenizer&, std::vector<std::string> labels, const std::string& sentence = "",
             ClassifyBy = ClassifyBy::embedding);

  // For each picture the probability of each label; each sums to 1.
  //   embedding  softmax of exp(log_scale) * cosine with the label's mean sentence, as the contrastive head was trained
  //   caption    softmax of the log-likelihood that the picture's caption is one of the label's sentences
  std::vector<std::vector<double>> operator()(std::span<const Image>) const;

  const std::vector<std::string>& labels() const { return labels_; }
  const std::vector<std::string>& templates() const { return templates_; }  // all that are used, each once

 private:
  const Model& model_;
  const Tokenizer& tokenizer_;
  std::vector<std::string> labels_, templates_, sentences_;
  std::vector<size_t> label_;  // of each sentence
  ClassifyBy by_;
  Tensor rows_;  // (labels, E): unit means
};

}  // namespace duet
