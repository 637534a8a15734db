// What every route that draws shares: from what was asked to a task for the engine, and from pixels to a file.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "infer/api.h"
#include "infer/frame.h"
#include "infer/pngmeta.h"

namespace duet {

inline constexpr int kMostPictures = 10, kMostBestOf = 8, kMostSteps = 200, kMostPreviews = 10;
inline constexpr int64_t kMostPixels = int64_t(1) << 24;  // of all pictures of a request: an answer is in memory whole
inline constexpr int64_t kMostSeed = int64_t(1) << 53;    // JSON readers keep whole numbers up to here

enum class Format { png, jpeg, webp };

struct Sketch {  // what is to be drawn
  std::string prompt, negative, style;
  int64_t seed = -1;                     // of the first drawing, then one up; below 0: by chance
  int count = 1, width = 0, height = 0;  // 0: as large as the model learned
  int best_of = 1;  // drawings begun for each, with seeds one up; the one that the model reads best is kept
  int steps, previews = 0;
  double guidance, strength = 1;
  bool heun = false;
  Finish finish = Finish::clean;
  Format format = Format::png;
  int quality = 90;             // of JPEG and WebP
  bool opaque = false;          // laid on white
  Image from;                   // empty: from noise alone
  std::vector<uint8_t> change;  // of each pixel of `from`: 0 stays; empty: all may change
  explicit Sketch(const Sampling& s) : steps(s.steps), guidance(s.guidance) {}
};

struct DrawPlan {  // a sketch made ready
  DrawTask task;
  DrawnMeta meta;      // without the seed
  int drawn_size = 0;  // pixels a side of the square that the model draws; the file is as asked (infer/frame.h)
  // What to say of a style that is none of those the weights know, and of a letter that says nothing to them; printable ASCII
  std::string strange_style, unread;
};
// Checks and completes the sketch (seed, size, the style's name).
DrawPlan plan_of(const ModelInfo&, Sketch&);

// The file of one picture: encoded, its settings inside where the format carries text. Same sketch, seed: same bytes, and the
// seed kept of several draws the same picture alone.
std::vector<uint8_t> file_of(const Sketch&, const DrawPlan&, const Event&);

const char* mime_of(Format);
const char* name_of(Format);  // png, jpeg, webp

}  // namespace duet
