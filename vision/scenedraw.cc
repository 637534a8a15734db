// Drawing of scenes: outlines, exact pixel coverage, colours.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "kernels/error.h"
#include "vision/scene.h"

namespace duet {
namespace {

using Outline = std::vector<Point>;
constexpr float kPi = std::numbers::pi_v<float>;

Outline turned(std::initializer_list<float> radii, int corners) {  // corners around the centre, the first on top
  Outline out;
  for (int i = 0; i < corners; i++) {
    float a = 2 * kPi * i / corners, r = radii.begin()[i % radii.size()];
    out.push_back({r * std::sin(a), -r * std::cos(a)});
  }
  return out;
}

Outline heart() {  // x = sin^3, y = a sum of cosines: the well-known curve, fitted to a box of 2.1 x 1.95
  Outline out;
  for (int i = 0; i < 96; i++) {
    float a = 2 * kPi * i / 96, s = std::sin(a);
    float y = 13 * std::cos(a) - 5 * std::cos(2 * a) - 2 * std::cos(3 * a) - std::cos(4 * a);  // about -17 .. 12
    out.push_back({1.05f * s * s * s, -(y + 2.5f) / 14.9f});
  }
  return out;
}

// Scaled by eye, so that things of one radius look equally large.
std::array<Outline, kShapes> make_outlines() {
  std::array<Outline, kShapes> t;
  t[int(ShapeKind::circle)] = turned({1.0f}, 96);
  t[int(ShapeKind::square)] = {{-0.89f, -0.89f}, {0.89f, -0.89f}, {0.89f, 0.89f}, {-0.89f, 0.89f}};
  t[int(ShapeKind::triangle)] = {{0, -0.98f}, {1.08f, 0.88f}, {-1.08f, 0.88f}};
  t[int(ShapeKind::star)] = turned({1.17f, 0.54f}, 10);
  t[int(ShapeKind::heart)] = heart();
  t[int(ShapeKind::diamond)] = {{0, -1.18f}, {0.88f, 0}, {0, 1.18f}, {-0.88f, 0}};
  const float l = 1.02f, w = 0.36f;
  t[int(ShapeKind::cross)] = {{-w, -l}, {w, -l}, {w, -w}, {l, -w}, {l, w},   {w, w},
                              {w, l},   {-w, l}, {-w, w}, {-l, w}, {-l, -w}, {-w, -w}};
  return t;
}

// Mean over x in [a, b] of max(k - x, 0).
float mean_left(float k, float a, float b) {
  if (k <= a) return 0;
  if (k >= b) return k - (a + b) / 2;
  return (k - a) * (k - a) / (2 * (b - a));
}

// Adds one edge to acc (h, w + 2): per row, how the covered share changes from one column to the next.
void add_edge(float* acc, int w, int h, Point p, Point q) {
  if (p.y == q.y) return;
  float sign = 1;
  if (p.y > q.y) std::swap(p, q), sign = -1;
  float slope = (q.x - p.x) / (q.y - p.y);
  int last = std::min(h, int(std::ceil(q.y)));
  for (int row = std::max(0, int(std::floor(p.y))); row < last; row++) {
    float y0 = std::max(p.y, float(row)), y1 = std::min(q.y, float(row + 1));
    float a = p.x + (y0 - p.y) * slope, b = p.x + (y1 - p.y) * slope;
    if (a > b) std::swap(a, b);
    int first = int(std::clamp(std::floor(a), 0.0f, float(w)));
    float before = 0, reach = mean_left(float(first), a, b), *line = acc + size_t(row) * (w + 2);
    for (int c = first; c < w; c++) {
      float next = mean_left(float(c + 1), a, b), covered = next - reach;
      line[c] += sign * (y1 - y0) * (covered - before);
      before = covered, reach = next;
      if (float(c + 1) >= b) {
        line[c + 1] += sign * (y1 - y0) * (1 - covered);
        break;
      }
    }
  }
}

void blend(uint8_t* px, Rgb color, float cover) {
  float under = px[3] / 255.0f * (1 - cover), alpha = under + cover;
  if (alpha <= 0) return;
  const uint8_t c[3] = {color.r, color.g, color.b};
  for (int i = 0; i < 3; i++) px[i] = uint8_t((px[i] * under + c[i] * cover) / alpha + 0.5f);
  px[3] = uint8_t(alpha * 255 + 0.5f);
}

}  // namespace

Rgb rgb(Color c) {
  static constexpr Rgb k[kColors] = {{226, 36, 44},  {255, 138, 14},  {255, 217, 38}, {38, 164, 72}, {36, 92, 222},
                                     {134, 58, 190}, {255, 142, 190}, {128, 76, 38},  {20, 20, 24},  {255, 255, 255}};
  return k[int(c)];
}

Rgb background_rgb(int background) {
  CHECK(background == kGrey, "a coloured ground, not ", background);
  return {184, 188, 196};
}

const Outline& outline(ShapeKind s) {
  static const auto table = make_outlines();
  return table[int(s)];
}

float area(ShapeKind s) {
  const Outline& o = outline(s);
  float twice = 0;
  for (size_t i = 0, j = o.size() - 1; i < o.size(); j = i++) twice += o[j].x * o[i].y - o[i].x * o[j].y;
  return std::fabs(twice) / 2;
}

Point centroid(ShapeKind s) {
  const Outline& o = outline(s);
  float x = 0, y = 0, twice = 0;
  for (size_t i = 0, j = o.size() - 1; i < o.size(); j = i++) {
    float c = o[j].x * o[i].y - o[i].x * o[j].y;
    x += (o[j].x + o[i].x) * c, y += (o[j].y + o[i].y) * c, twice += c;
  }
  return {x / (3 * twice), y / (3 * twice)};
}

void cover(float* out, int w, int h, ShapeKind shape, float cx, float cy, float radius) {
  std::vector<float> acc(size_t(h) * (w + 2));
  const Outline& o = outline(shape);
  auto at = [&](Point p) { return Point{cx + p.x * radius, cy + p.y * radius}; };
  for (size_t i = 0, j = o.size() - 1; i < o.size(); j = i++) add_edge(acc.data(), w, h, at(o[j]), at(o[i]));
  for (int y = 0; y < h; y++) {
    float sum = 0;
    for (int x = 0; x < w; x++) {
      sum += acc[size_t(y) * (w + 2) + x];
      float share = std::fabs(sum);
      out[size_t(y) * w + x] = share < 1e-5f ? 0 : std::min(1.0f, share);  // what rounding leaves beyond the edge is nothing
    }
  }
}

Image render(const Scene& scene, int size) {
  CHECK(size >= 8 && size <= 4096, "a picture side of 8 to 4096, not ", size);
  Image image(size, size);
  if (scene.background != kTransparent) {
    Rgb c = background_rgb(scene.background);
    for (size_t i = 0; i < image.rgba.size(); i += 4) {
      uint8_t* px = image.rgba.data() + i;
      px[0] = c.r, px[1] = c.g, px[2] = c.b, px[3] = 255;
    }
  }
  std::vector<float> mask;
  for (const Thing& t : scene.things) {
    constexpr float kReach = 1.2f;  // no outline goes further from its centre along x or y
    auto clip = [&](float v) { return int(std::clamp(v, 0.0f, float(size))); };
    float r = t.radius * size, reach = r * kReach + 1, cx = t.cx * size, cy = t.cy * size;
    int x0 = clip(cx - reach), x1 = clip(cx + reach + 1), y0 = clip(cy - reach), y1 = clip(cy + reach + 1);
    int w = x1 - x0, h = y1 - y0;
    if (w <= 0 || h <= 0) continue;
    mask.resize(size_t(w) * h);
    cover(mask.data(), w, h, t.shape, cx - x0, cy - y0, r);
    Rgb color = rgb(t.color);
    for (int y = 0; y < h; y++)
      for (int x = 0; x < w; x++)
        if (float m = mask[size_t(y) * w + x]; m > 0) blend(image.at(x0 + x, y0 + y), color, m);
  }
  return image;
}

}  // namespace duet
