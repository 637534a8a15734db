#include "infer/edges.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/error.h"

namespace duet {

EdgeFigures edges_of(const Image& image) {
  CHECK(!image.empty(), "an empty picture has no edges");
  const int W = image.width, H = image.height;
  const auto alpha = [&](int x, int y) { return image.at(x, y)[3]; };
  const auto clear = [&](int x, int y) { return x >= 0 && y >= 0 && x < W && y < H && alpha(x, y) < 128; };
  std::vector<char> near(size_t(W) * size_t(H));
  int64_t outline = 0, along = 0, stray = 0;
  for (int y = 0; y < H; ++y)
    for (int x = 0; x < W; ++x) {
      if (alpha(x, y) < 128 || !(clear(x - 1, y) || clear(x + 1, y) || clear(x, y - 1) || clear(x, y + 1))) continue;
      ++outline;
      for (int v = std::max(0, y - EdgeFigures::kNear); v <= std::min(H - 1, y + EdgeFigures::kNear); ++v)
        for (int u = std::max(0, x - EdgeFigures::kNear); u <= std::min(W - 1, x + EdgeFigures::kNear); ++u)
          near[size_t(v) * size_t(W) + size_t(u)] = 1;
    }
  for (int y = 0; y < H; ++y)
    for (int x = 0; x < W; ++x)
      if (const int a = alpha(x, y); a > 0 && a < 255) ++(near[size_t(y) * size_t(W) + size_t(x)] ? along : stray);
  EdgeFigures out;
  out.stray = double(stray) / (double(W) * double(H));
  out.width = outline ? double(along) / double(outline) : std::numeric_limits<double>::quiet_NaN();
  return out;
}

}  // namespace duet
