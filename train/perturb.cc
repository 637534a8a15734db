#include "train/perturb.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace duet {

Scene other_things(const Scene& scene, bool placed, Draws& draws) {
  Scene s = scene;
  const int n = int(s.things.size());
  while (s == scene) {
    const bool shapes = draws.chance(0.75), trade = placed && n > 1 && draws.chance(0.5);
    if (trade) {
      const int a = draws.below(n), b = (a + 1 + draws.below(n - 1)) % n;
      Thing &x = s.things[size_t(a)], &y = s.things[size_t(b)];
      if (shapes) std::swap(x.shape, y.shape);
      else std::swap(x.color, y.color);
    } else {
      for (Thing& t : s.things)
        if (n == 1 || draws.chance(0.6)) {
          if (shapes) t.shape = ShapeKind(draws.below(kShapes));
          else t.color = Color(draws.below(kColors));
        }
    }
  }
  return s;
}

void bend(float* out, const float* in, int size, Draws& draws) {
  constexpr int kKnots = 4;        // a side; the field is linear between them
  constexpr double kReach = 0.09;  // of the side: the most a knot is shifted
  double shift[2][kKnots][kKnots];
  const double reach = kReach * draws.unit() * size;
  for (auto& axis : shift)
    for (auto& row : axis)
      for (double& d : row) d = (2 * draws.unit() - 1) * reach;
  for (int y = 0; y < size; ++y)
    for (int x = 0; x < size; ++x) {
      const double u = double(y) / size * (kKnots - 1), v = double(x) / size * (kKnots - 1);
      const int i = int(u), j = int(v);
      double at[2];
      for (int k = 0; k < 2; ++k) {
        const auto& f = shift[k];
        const double top = f[i][j] + (v - j) * (f[i][j + 1] - f[i][j]),
                     low = f[i + 1][j] + (v - j) * (f[i + 1][j + 1] - f[i + 1][j]);
        at[k] = std::clamp((k == 0 ? y : x) + top + (u - i) * (low - top), 0.0, double(size - 1));
      }
      const int y0 = int(at[0]), x0 = int(at[1]), y1 = std::min(y0 + 1, size - 1), x1 = std::min(x0 + 1, size - 1);
      const double fy = at[0] - y0, fx = at[1] - x0;
      for (int c = 0; c < 4; ++c) {
        const auto pixel = [&](int row, int col) { return double(in[(row * size + col) * 4 + c]); };
        const double top = pixel(y0, x0) + fx * (pixel(y0, x1) - pixel(y0, x0)),
                     low = pixel(y1, x0) + fx * (pixel(y1, x1) - pixel(y1, x0));
        out[(y * size + x) * 4 + c] = float(top + fy * (low - top));
      }
    }
}

}  // namespace duet
