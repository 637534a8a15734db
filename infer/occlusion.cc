#include "infer/occlusion.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/error.h"
#include "text/unicode.h"
#include "vision/draw.h"
#include "vision/transform.h"

namespace duet {
namespace {

constexpr int kCover = 2;          // cells a side
constexpr double kFaint = 0.1;     // a fall of the log odds that is worth little colour
constexpr double kFullest = 0.65;  // of the colour over the picture
constexpr int kSide = 512, kWords = 20, kSmall = 14, kMargin = 8;
constexpr uint8_t kFor[3] = {230, 97, 1}, kAgainst[3] = {30, 100, 200};

void mean_colour(const Image& image, uint8_t (&to)[3]) {
  double sum[3] = {}, alpha = 0;
  for (size_t i = 0; i < image.rgba.size(); i += 4) {
    for (size_t c = 0; c < 3; ++c) sum[c] += double(image.rgba[i + c]) * image.rgba[i + 3];
    alpha += image.rgba[i + 3];
  }
  for (size_t c = 0; c < 3; ++c) to[c] = alpha > 0 ? uint8_t(std::lround(sum[c] / alpha)) : 0;
}

Image covered(const Image& view, int x, int y, int side, const uint8_t (&colour)[3]) {
  Image out = view;
  for (int v = y; v < y + side; ++v)
    for (int u = x; u < x + side; ++u) std::copy_n(colour, 3, out.at(u, v));  // the outline stays as it is
  return out;
}

}  // namespace

Heat occlusion(const Probabilities& classify, const Image& view, size_t label, int patch) {
  CHECK(patch > 0 && view.width == view.height && view.width % patch == 0 && view.width / patch >= kCover, view.width, " x ",
        view.height, " pixels in cells of ", patch);
  const int side = view.width / patch, steps = side - kCover + 1;
  uint8_t colour[3];
  mean_colour(view, colour);
  std::vector<Image> views = {view};
  for (int y = 0; y < steps; ++y)
    for (int x = 0; x < steps; ++x) views.push_back(covered(view, x * patch, y * patch, kCover * patch, colour));
  std::vector<double> log_odds;
  for (const auto& p : classify(views)) {
    double others = 0;
    for (size_t l = 0; l < p.size(); ++l) others += l == label ? 0 : p[l];
    log_odds.push_back(std::log(std::max(p.at(label), 1e-12)) - std::log(std::max(others, 1e-12)));
  }
  Heat h;
  h.side = side, h.cells.resize(size_t(side) * size_t(side));
  std::vector<int> covers(h.cells.size());
  for (int y = 0; y < steps; ++y)
    for (int x = 0; x < steps; ++x)
      for (int v = y; v < y + kCover; ++v)
        for (int u = x; u < x + kCover; ++u) {
          const size_t at = size_t(v * side + u);
          h.cells[at] += log_odds[0] - log_odds[size_t(1 + y * steps + x)], ++covers[at];
        }
  for (size_t i = 0; i < h.cells.size(); ++i) h.cells[i] /= covers[i];
  return h;
}

Image overlay(const Image& view, const Heat& heat, const std::string& words, bool korean) {
  korean = korean || has_hangul(words);
  const Image below = over(resize(view, kSide, kSide), 255, 255, 255);
  double most = kFaint;
  for (const double c : heat.cells) most = std::max(most, std::abs(c));
  const std::string times = fmt::format("{:.2g}", std::exp(most));
  const std::string meaning =
      korean ? "주황: 이 이름에 가깝게 하는 곳, 파랑: 멀게 하는 곳. 가장 진한 곳을 가리면 승산이 " + times + "배 달라짐"
             : "orange: speaks for it, blue: against; where fullest, covering changes the odds " + times + " times";
  const char* warning = korean ? "모델이 본 것을 보여 줄 뿐 진단이 아닙니다. 연구용"
                               : "shows what the model looks at; research use only, no diagnosis";
  Image out(kSide, kSide + 4 * kMargin + kWords + 2 * kSmall);
  fill(out, 0, 0, out.width, out.height, 0xffffffff);
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x) {
      // Between the middles of the cells.
      const auto place = [&](int i) { return std::clamp((i + 0.5) * heat.side / kSide - 0.5, 0.0, double(heat.side - 1)); };
      const double u = place(x), v = place(y);
      const int x0 = int(u), y0 = int(v), x1 = std::min(x0 + 1, heat.side - 1), y1 = std::min(y0 + 1, heat.side - 1);
      const auto cell = [&](int a, int b) { return heat.cells[size_t(b * heat.side + a)]; };
      const double h = (1 - (v - y0)) * ((1 - (u - x0)) * cell(x0, y0) + (u - x0) * cell(x1, y0)) +
                       (v - y0) * ((1 - (u - x0)) * cell(x0, y1) + (u - x0) * cell(x1, y1));
      const int seen = view.at(x * view.width / kSide, y * view.height / kSide)[3];  // none beside the picture
      const double full = kFullest * std::min(std::abs(h) / most, 1.0) * seen / 255;
      const auto& colour = h > 0 ? kFor : kAgainst;
      const uint8_t* b = below.at(x, y);
      const double grey = 0.299 * b[0] + 0.587 * b[1] + 0.114 * b[2];  // else orange on a fox says nothing
      for (int c = 0; c < 3; ++c) out.at(x, y)[c] = uint8_t(std::lround((1 - full) * grey + full * colour[c]));
    }
  draw_text(out, kMargin, kSide + kMargin, words, kWords, 0x000000ff);
  draw_text(out, kMargin, kSide + 2 * kMargin + kWords, meaning, kSmall, 0x333333ff);
  draw_text(out, kMargin, kSide + 3 * kMargin + kWords + kSmall, warning, kSmall, 0x333333ff);
  return out;
}

}  // namespace duet
