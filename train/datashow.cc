#include "train/datashow.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "fusion/shards.h"
#include "kernels/error.h"
#include "train/loader.h"
#include "vision/codec.h"
#include "vision/draw.h"
#include "vision/patch.h"

namespace duet {

namespace {

void write_sheet(const std::vector<std::pair<Image, std::string>>& cells, const std::string& out_png) {
  int columns = std::clamp(int(std::ceil(std::sqrt(double(cells.size()) * 1.4))), 1, 12);
  write_file_atomic(out_png, encode_png(contact_sheet(cells, columns, 112)));
}

int wanted(int count) { return count > 0 ? std::min(count, 1000) : 64; }

}  // namespace

void show_data(const std::string& dir, const std::string& out_png, int count, const std::string& split) {
  Dataset data = Dataset::open(dir, split);
  if (data.size() == 0) refuse(dir, ": no samples in split '", split, "'");
  int64_t shown = std::min<int64_t>(wanted(count), data.size());
  std::vector<std::pair<Image, std::string>> cells;
  for (int64_t k = 0; k < shown; k++) {
    int64_t i = k * data.size() / shown;
    Meta m = data.meta(i);
    std::string label = m.caption;
    if (!m.caption_ko.empty()) label += (label.empty() ? "" : " / ") + m.caption_ko;
    if (!m.style.empty()) label += " (" + m.style + ")";
    cells.emplace_back(decode_image(data.image(i), data.name(i)), label);
  }
  write_sheet(cells, out_png);
}

void show_compositions(const std::string& dir, const std::string& out_png, int count, const std::string& split) {
  Dataset::open(dir, split);  // refuses an empty split as this verb's option
  DataConfig c;
  c.dirs = {dir}, c.split = split, c.compose = 1, c.threads = 0, c.batch = wanted(count), c.max_tokens = 1024;
  // The captions count, not their tokens: a token for every byte will do.
  std::vector<std::string> tokens(std::begin(kSpecialTokens), std::end(kSpecialTokens));
  std::vector<int> specials(tokens.size());
  std::iota(specials.begin(), specials.end(), 0);
  for (int b = 0; b < 256; b++) tokens.push_back(std::string(1, char(b)));
  Batch batch = Loader(c, Tokenizer::make(tokens, {}, specials, "bytes"), 1).next();
  std::vector<std::pair<Image, std::string>> cells;
  for (int i = 0; i < batch.B; i++)
    cells.emplace_back(from_pixels(batch.pixels.data() + size_t(i) * batch.size * batch.size * 4, batch.size, batch.size),
                       batch.captions[i]);
  write_sheet(cells, out_png);
}

}  // namespace duet
