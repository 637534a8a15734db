// Reads pictures: says what is on them, and turns pictures and texts into unit vectors that lie close where they mean
// the same. Pictures of any size; results depend neither on the batch nor on threads.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "fusion/model.h"
#include "text/sampling.h"
#include "text/tokenizer.h"
#include "vision/image.h"

namespace duet {

// The square of `size` pixels that the model sees, framed as in training: of an opaque picture the middle square, a
// picture with transparency whole.
Image model_view(const Image&, int size);

struct CaptionOptions {
  bool korean = false;
  int beam = 4;               // 1: greedy
  SampleOptions sample;       // with a temperature above 0 words are drawn, and there is no beam
  int most = 38;              // tokens of a caption
  double length_power = 0.7;  // see infer/beam.h
};
struct Caption {
  std::string text;     // cleaned (text/unicode.h)
  double log_prob = 0;  // of the text and its end; without the end where it was cut at `most` tokens
  std::vector<int> ids;  // its tokens
};
std::vector<Caption> caption_pictures(const Model&, const Tokenizer&, std::span<const Image>, const CaptionOptions& = {});

// log p(text and its end | picture) of each text, in the language it is written in (see prompt_ids).
std::vector<double> caption_log_probs(const Model&, const Tokenizer&, const Image&, std::span<const std::string> texts);

Tensor embed_pictures(const Model&, std::span<const Image>);                              // (N,E), unit rows
Tensor embed_texts(const Model&, const Tokenizer&, std::span<const std::string> texts);  // (N,E), unit rows

}  // namespace duet
