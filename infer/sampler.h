// Draws pictures: integrates the flow from noise (t = 0) to the picture (t = 1) under the words.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "fusion/flow.h"
#include "fusion/model.h"
#include "fusion/weights.h"
#include "text/tokenizer.h"
#include "vision/finish.h"

namespace duet {

struct DrawOptions {
  int steps = 24;       // evaluations along the way (Heun: twice as many)
  double guidance = 5;  // x = without + guidance (with - without); 1: no second pass
  double shift = 3;     // see step_time of fusion/flow.h
  bool heun = false;    // second-order steps
  // Guidance only while guide_from <= t <= guide_to (arXiv 2404.07724): elsewhere x = with, in one pass instead of two.
  double guide_from = 0, guide_to = 1;
  Finish finish = Finish::clean;  // of the pictures made of the pixels; draw() itself gives them raw
  int width = 0, height = 0;      // 0: the size the model was trained at; multiples of the patch
};
// Whether an evaluation at that time takes the pass without the words.
inline bool guided_at(const DrawOptions& o, float t) { return o.guidance != 1 && t >= o.guide_from && t <= o.guide_to; }
// The time at which step s of o.steps begins: 0 .. 1.
inline float step_time(const DrawOptions& o, int s) { return step_time(s, o.steps, o.shift); }
// What a person left open is as the weights say.
inline void leave_open(DrawOptions& o) { o.steps = 0, o.guidance = -1, o.shift = 0; }
inline void settle(DrawOptions& o, const Sampling& s) {
  if (o.steps == 0) o.steps = s.steps;
  if (o.guidance < 0) o.guidance = s.guidance;
  if (o.shift == 0) o.shift = s.shift;
}
struct DrawRequest {
  std::vector<int> prompt;    // language mark and caption, no end: see prompt_ids
  std::vector<int> negative;  // what to steer away from; empty: the text of no words
  uint64_t seed = 0;
};

// <|en|> or <|ko|> (where it holds Hangul) and the cleaned caption's tokens, at most `most`
std::vector<int> prompt_ids(const Tokenizer&, const std::string& text, int most = 64);
// The first letter or sign of a script that the tokenizer knows by its bytes alone, Hangul and punctuation aside: the captions
// of its training hardly held it, so that it says nothing to the model ("赤", a pictograph). Empty where there is none.
std::string unread_letter(const Tokenizer&, const std::string& text);

// (B, height, width, 4) values of pixels, see vision/patch.h; each depends on its own request alone, bit for bit.
// progress(step, pictures so far), if given, is called after each step with the model's present guess.
// null_token: the text of no words.
std::vector<float> draw(const Model&, int null_token, const std::vector<DrawRequest>&, const DrawOptions&,
                        const std::function<void(int step, const float* guess)>& progress = {});
inline std::vector<float> draw(const Model& m, const Tokenizer& t, const std::vector<DrawRequest>& requests,
                               const DrawOptions& o, const std::function<void(int step, const float* guess)>& progress = {}) {
  return draw(m, t.bos(), requests, o, progress);
}

}  // namespace duet
