// Reads pictures: says what is on them, and turns pictures and texts into unit vectors that lie close where they mean
// the same. Pictures of any size; on a CPU results depend neither on the batch nor on threads.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fusion/model.h"
#include "infer/textsearch.h"
#include "text/sampling.h"
#include "text/tokenizer.h"
#include "vision/image.h"

namespace duet {

// The square of `size` pixels that the model sees: the whole picture, transparent around, as `duet data build` frames one.
Image model_view(const Image&, int size);

struct CaptionOptions {
  bool korean = false;
  int beam = 4;               // 1: greedy
  SampleOptions sample;       // with a temperature above 0 words are drawn, and the beam is 1
  int most = 38;              // tokens of a caption
  double length_power = 0.7;  // see infer/beam.h
  bool operator==(const CaptionOptions&) const = default;
};
struct Caption {
  std::string text;      // cleaned (text/unicode.h), its style in its own language
  double log_prob = 0;   // of the text and its end; without the end where it was cut at `most` tokens
  std::vector<int> ids;  // its tokens
};

// Captions in the making: pictures that are read together, one token of every wording a step.
class CaptionRun {
 public:
  static constexpr size_t kMost = 16;  // pictures in one run
  // Refuses a beam that is not within 1 to 64 and a tokenizer without an end token. The pictures are not kept.
  CaptionRun(const Model&, const Tokenizer&, std::span<const Image>, const CaptionOptions&);
  void step();  // of the pictures that are not done
  bool done(size_t i) const { return search_->of(i).live().empty(); }
  bool done() const { return search_->done(); }   // all are
  void drop(size_t i) { search_->of(i).stop(); }  // done, without a caption
  std::string certain(size_t i) const;            // how the caption will begin, cleaned
  Caption caption(size_t i) const;                // when done and not dropped
  std::vector<Caption> captions(size_t i) const;  // then: of every beam that ended, best first; the first is caption(i)

 private:
  const Tokenizer& tokenizer_;
  const bool korean_;
  std::unique_ptr<TextSearch> search_;
};

std::vector<Caption> caption_pictures(const Model&, const Tokenizer&, std::span<const Image>, const CaptionOptions& = {});
// Of each picture the captions of all beams, best first.
std::vector<std::vector<Caption>> caption_beams(const Model&, const Tokenizer&, std::span<const Image>, const CaptionOptions&);

// log p(text and its end | picture) of each text, in the language it is written in (see prompt_ids).
std::vector<double> caption_log_probs(const Model&, const Tokenizer&, const Image&, std::span<const std::string> texts);
// log p(text and its end | picture) of one text and each picture; the same numbers.
std::vector<double> caption_log_probs(const Model&, const Tokenizer&, std::span<const Image>, const std::string& text);

Tensor embed_pictures(const Model&, std::span<const Image>);                             // (N,E), unit rows
Tensor embed_texts(const Model&, const Tokenizer&, std::span<const std::string> texts);  // (N,E), unit rows

}  // namespace duet
