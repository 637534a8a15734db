// Batches as a pure function of (config, seed, step): which pictures, framed and worded how. Each source is walked by a seeded
// permutation per epoch: every readable sample once, then anew. A picture that turns out unreadable gives its place to the next
// readable one of that order. Nothing depends on threads, speed or history. train/loader.h makes them ahead of time.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace duet {

struct DataConfig {
  std::vector<std::string> dirs;  // each written by `duet data build`
  std::vector<double> weights;    // share of each dir, any scale; empty: the square root of its size
  std::string split = "train";
  double scenes = 0.0;   // share of procedural scenes made on the fly, 0..1
  double related = 0.0;  // share of the scenes whose words say how their things stand to each other; others as they come
  double tidy = 0.0;     // share of the scenes that are set out as with a ruler (tidy() of vision/scene.h)
  double three = 0.0;    // share of the scenes that are of three things; others as they come, about one in six
  double grey = 0.0;     // share of the scenes that are on grey; others as they come, one in eight
  double compose = 0.0;  // share of compositions of stored pictures (train/compose.h); with scenes at most 1
  int size = 64;         // pixels a side
  int batch = 64;
  int max_tokens = 64;             // caption length, language mark and end included; a prompt may have as many
  double korean = 0.5;             // share of Korean captions where a sample has both languages
  double styled = 0.5;             // share of captions that name the style where a sample has one
  std::vector<double> dir_styled;  // the same, one for each dir: what is asked for without a style is then that of some dirs
  bool augment = true;
  double perturb = 0.0;  // share of samples whose noise lies over a picture that is nearly theirs (train/perturb.h)
  int threads = 1;       // decoding threads; 0 decodes in next()
  int ahead = 4;         // batches kept ready
  int cache_mb = 2048;   // decoded pictures kept in memory; changes speed only

  template <class V>
  void fields(V&& v) {
    v("dirs", dirs);
    v("weights", weights);
    v("split", split);
    v("scenes", scenes);
    v("related", related);
    v("tidy", tidy);
    v("three", three);
    v("grey", grey);
    v("compose", compose);
    v("size", size);
    v("batch", batch);
    v("max_tokens", max_tokens);
    v("korean", korean);
    v("styled", styled);
    v("dir_styled", dir_styled);
    v("augment", augment);
    v("perturb", perturb);
    v("threads", threads);
    v("ahead", ahead);
    v("cache_mb", cache_mb);
  }
};

struct Batch {
  int64_t step = 0;
  int B = 0, size = 0;
  std::vector<float> pixels;           // (B,size,size,4) premultiplied RGBA in [-1,1], see vision/patch.h
  std::vector<float> perturbed;        // the same with some pictures altered; empty where data.perturb is 0
  std::vector<std::vector<int>> text;  // <|en|> or <|ko|>, caption, end; at most max_tokens
  std::vector<std::string> captions;   // the words behind `text`
  std::vector<uint64_t> caption_hash;  // equal captions are no negatives of each other
  std::vector<std::string> keys;       // "DIR/SPLIT/000000.tar: key", "scene"; of compositions "compose " + the first part's
};

class BatchMaker {
 public:
  struct Stats {
    std::map<std::string, int64_t> bad;  // distinct samples skipped so far, by reason
    int64_t cached = 0;                  // pictures held decoded
    int64_t captions = 0, cut = 0;       // of batches made so far; cut: longer than data.max_tokens, of which that many stay
    int longest = 0;                     // tokens that the longest would have taken
  };
  // Refuses a config that says nothing sound, naming its key, and folders without a usable sample.
  BatchMaker(DataConfig, Tokenizer, uint64_t seed);
  ~BatchMaker();
  Batch make(int64_t step) const;  // from any number of threads at once
  Stats stats() const;
  int64_t samples() const;                  // in all dirs
  std::vector<std::string> styles() const;  // that any of them are said to have (Meta::style), the commonest first

 private:
  struct State;
  std::unique_ptr<State> s_;
};

}  // namespace duet
