// Texts that follow pictures, token by token: of each picture the likeliest ones by beams, or one that is drawn.
#pragma once
#include "infer/beam.h"
#include "infer/decodepass.h"

namespace duet {

class TextSearch {
 public:
  struct Options {
    BeamOptions beams;
    SampleOptions sample;  // with a temperature above 0 texts are drawn, and the beam is 1
    int mark = 0;          // the token before each text
    Tensor allowed;        // (V) u8: 0 forbids a token
  };
  // pictures as remember() of decodepass.h takes them.
  TextSearch(const Model&, const Var& rows, const Layout& pictures, const Model::Times&, const Options&);
  void step();        // of the pictures that are not done
  bool done() const;  // all are
  Beams& of(size_t picture) { return searches_[picture]; }
  const Beams& of(size_t picture) const { return searches_[picture]; }
  bool replays() const { return pass_.replays(); }

 private:
  Options options_;
  DecodePass pass_;  // a sequence for each beam
  std::vector<Beams> searches_;
  std::vector<int32_t> from_;  // of each sequence: the one that it continues
};

}  // namespace duet
