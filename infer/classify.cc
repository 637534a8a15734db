#include "infer/classify.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "infer/reader.h"
#include "infer/sampler.h"
#include "kernels/quote.h"
#include "text/unicode.h"

namespace duet {
namespace {

void softmax(std::vector<double>& v) {
  const double most = *std::max_element(v.begin(), v.end());
  double sum = 0;
  for (double& x : v) sum += x = std::exp(x - most);
  for (double& x : v) x /= sum;
}

bool starts_with_vowel(const std::string& s) {
  return !s.empty() && std::string_view("aeiouAEIOU").find(s[0]) != std::string_view::npos;
}

bool has_article(const std::string& s) { return s.starts_with("a ") || s.starts_with("an ") || s.starts_with("the "); }

}  // namespace

std::string fill_template(const std::string& sentence, const std::string& label) {
  const size_t at = sentence.find("{}");
  CHECK(at != std::string::npos, "a template with {}: ", sentence);
  std::string before = sentence.substr(0, at);
  if (before == "a " || before.ends_with(" a ")) {
    if (has_article(label)) before.resize(before.size() - 2);
    else if (starts_with_vowel(label)) before.replace(before.size() - 2, 2, "an ");
  }
  return before + label + sentence.substr(at + 2);
}

std::vector<std::string> built_in_templates(const std::string& label) {
  // Captions of the training data are names and short phrases, half of them with the style named after a comma.
  if (has_hangul(label)) return {"{}", "{}, emoji", "{}, photo", "{}, drawing"};
  return {"{}", "a {}", "{}, emoji", "a {}, photo", "a {}, drawing"};
}

Classifier::Classifier(const Model& m, const Tokenizer& tokenizer, std::vector<std::string> labels, const std::string& sentence,
                       ClassifyBy by)
    : model_(m), tokenizer_(tokenizer), labels_(std::move(labels)), by_(by) {
  if (labels_.size() < 2)
    refuse("labels: ", labels_.size(), " given; two or more are needed, with commas between: \"cat,dog\"");
  if (!sentence.empty() && sentence.find("{}") == std::string::npos)
    refuse("template ", shown(sentence), " has no {} for the label to stand in; for example \"a picture of {}\"");
  for (size_t i = 0; i < labels_.size(); ++i) {
    if (std::find(labels_.begin(), labels_.begin() + std::ptrdiff_t(i), labels_[i]) != labels_.begin() + std::ptrdiff_t(i))
      refuse("label ", shown(labels_[i]), " is given twice; name it once");
    for (const auto& t : sentence.empty() ? built_in_templates(labels_[i]) : std::vector<std::string>{sentence}) {
      if (std::find(templates_.begin(), templates_.end(), t) == templates_.end()) templates_.push_back(t);
      sentences_.push_back(fill_template(t, labels_[i])), label_.push_back(i);
    }
  }
  if (by == ClassifyBy::caption) return;
  const int64_t E = m.config.embed;
  const Tensor each = embed_texts(m, tokenizer, sentences_);
  rows_ = Tensor::zeros({int64_t(labels_.size()), E});
  for (size_t s = 0; s < sentences_.size(); ++s)
    for (int64_t e = 0; e < E; ++e) rows_.data()[int64_t(label_[s]) * E + e] += each.data()[int64_t(s) * E + e];
  for (int64_t l = 0; l < rows_.dim(0); ++l) {
    float* row = rows_.data() + l * E;
    double square = 0;
    for (int64_t e = 0; e < E; ++e) square += double(row[e]) * row[e];
    const float inv = float(1 / std::sqrt(std::max(square, 1e-30)));
    for (int64_t e = 0; e < E; ++e) row[e] *= inv;
  }
}

std::vector<std::vector<double>> Classifier::operator()(std::span<const Image> images) const {
  std::vector<std::vector<double>> out;
  if (by_ == ClassifyBy::embedding) {
    const int64_t E = model_.config.embed;
    const Tensor seen = embed_pictures(model_, images);
    const double scale = std::exp(double(model_.log_scale.data()[0]));
    for (int64_t i = 0; i < int64_t(images.size()); ++i) {
      auto& p = out.emplace_back();
      for (int64_t l = 0; l < rows_.dim(0); ++l) {
        double dot = 0;
        for (int64_t e = 0; e < E; ++e) dot += double(seen.data()[i * E + e]) * rows_.data()[l * E + e];
        p.push_back(scale * dot);
      }
      softmax(p);
    }
    return out;
  }
  for (const Image& image : images) {
    const auto log_prob = caption_log_probs(model_, tokenizer_, image, sentences_);
    auto& p = out.emplace_back(labels_.size(), -std::numeric_limits<double>::infinity());
    for (size_t s = 0; s < log_prob.size(); ++s) {
      double& to = p[label_[s]];
      const double hi = std::max(to, log_prob[s]), lo = std::min(to, log_prob[s]);
      to = hi + std::log1p(std::exp(lo - hi));
    }
    softmax(p);
  }
  return out;
}

}  // namespace duet
