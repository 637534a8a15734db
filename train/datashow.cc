#include "train/datashow.h"

#include <algorithm>
#include <cmath>

#include "fusion/shards.h"
#include "kernels/error.h"
#include "vision/codec.h"
#include "vision/draw.h"

namespace duet {

void show_data(const std::string& dir, const std::string& out_png, int count, const std::string& split) {
  Dataset data = Dataset::open(dir, split);
  if (data.size() == 0) refuse(dir, ": no samples in split '", split, "'");
  int64_t shown = std::min<int64_t>(count > 0 ? std::min(count, 1000) : 64, data.size());
  std::vector<std::pair<Image, std::string>> cells;
  for (int64_t k = 0; k < shown; k++) {
    int64_t i = k * data.size() / shown;
    Meta m = data.meta(i);
    std::string label = m.caption;
    if (!m.caption_ko.empty()) label += (label.empty() ? "" : " / ") + m.caption_ko;
    if (!m.style.empty()) label += " (" + m.style + ")";
    cells.emplace_back(decode_image(data.image(i), data.name(i)), label);
  }
  int columns = std::clamp(int(std::ceil(std::sqrt(double(shown) * 1.4))), 1, 12);
  write_file_atomic(out_png, encode_png(contact_sheet(cells, columns, 112)));
}

}  // namespace duet
