// `duet data build`: sources -> clean, split, packed pictures with words.
#pragma once
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "vision/codec.h"

namespace duet {

struct BuildOptions {
  std::vector<std::string> sources;  // built-in ones, or paths (train/sources.h)
  std::string out;                   // written whole or not at all; an earlier data set there is replaced
  int size = 64;                     // pixels a side, 8 .. 1024
  std::string cache;                 // of Debian packages; empty: default_cache()
  int64_t scenes = 20000;            // training scenes of the source `scenes`
  uint64_t seed = 1;                 // of the scenes; nothing else is random
  int limit = 0;                     // pictures kept per source; 0: all
  std::string styles = {};           // of tables: what their styles are called, see train/sources.h; empty: beside each
  std::string together = {};         // of one's own pictures, see OwnOptions
  double val = 0.05, heldout = 0;
  bool folder_captions = false;
  std::optional<Window> window = {};  // of one's own DICOM, see Limits
  bool stratify = false;              // of one's own pictures, see OwnOptions
};

// Writes OUT/{train,val,heldout,pairs}/000000.tar ... (fusion/shards.h) and, last, OUT/dataset.json: format, size,
// counts, sources with licence, package versions and what was dropped, and the hash (XXH64) of all tars in order. The
// same options and packages give the same bytes, whatever the number of threads. (Clip art that spells out words is
// drawn in this machine's fonts; the only such dependence.)
//
// A picture is drawn, cut to what is visible, fitted into the square with a 1/32 margin (opaque pictures: none), and
// kept unless something like it was kept before (train/neardup.h); the same concept may look alike in two styles.
// Concepts are split 90 : 5 : 5 (train/words.h): the same English caption is never in two splits, but that a tenth of
// the (concept, style) pairs of `train` goes to `pairs`: those whose concept is in train in another style, whose style
// is in train with other concepts, and which look like nothing in train. Prints a table to `log`: source, found, kept,
// splits, dropped by reason. Refuses unknown sources, sizes out of range, an OUT that holds something else, and an
// empty result.
void build_data(const BuildOptions&, std::ostream& log);

}  // namespace duet
