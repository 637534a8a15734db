#include "infer/scenecheck.h"

#include <algorithm>
#include <cmath>

#include "kernels/error.h"

namespace duet {
namespace {

constexpr float kSpeck = 0.004f;  // of the picture's area
constexpr float kLeastOverlap = 0.7f;
constexpr float kOneColor = 0.8f;   // share of a part's inner pixels that must agree, else it is split
constexpr size_t kMostFitted = 12;  // the largest parts; a page of noise has no more to tell

struct Lab {
  float l = 0, a = 0, b = 0;
};

float distance(Lab x, Lab y) {
  return std::sqrt((x.l - y.l) * (x.l - y.l) + (x.a - y.a) * (x.a - y.a) + (x.b - y.b) * (x.b - y.b));
}

// OKLab (Ottosson 2020) of an sRGB colour, channels 0..1.
Lab oklab(const float* c) {
  auto linear = [](float v) { return v <= 0.04045f ? v / 12.92f : std::pow((v + 0.055f) / 1.055f, 2.4f); };
  float r = linear(c[0]), g = linear(c[1]), b = linear(c[2]);
  float l = std::cbrt(0.4122214708f * r + 0.5363325363f * g + 0.0514459929f * b);
  float m = std::cbrt(0.2119034982f * r + 0.6806995451f * g + 0.1073969566f * b);
  float s = std::cbrt(0.0883024619f * r + 0.2817188376f * g + 0.6299787005f * b);
  return {0.2104542553f * l + 0.7936177850f * m - 0.0040720468f * s, 1.9779984951f * l - 2.4285922050f * m + 0.4505937099f * s,
          0.0259040371f * l + 0.7827717662f * m - 0.8086757660f * s};
}

Lab oklab(Rgb c) {
  float v[3] = {c.r / 255.0f, c.g / 255.0f, c.b / 255.0f};
  return oklab(v);
}

int nearest_color(Lab p) {
  static const auto palette = [] {
    std::array<Lab, kColors> t;
    for (int i = 0; i < kColors; i++) t[i] = oklab(rgb(Color(i)));
    return t;
  }();
  int best = 0;
  for (int i = 1; i < kColors; i++)
    if (distance(p, palette[i]) < distance(p, palette[best])) best = i;
  return best;
}

struct Ground {
  bool opaque = false;
  float rgb[3] = {};
  Lab lab;
};

// The ground is the median of the two outermost rings of pixels.
Ground find_ground(const Image& im) {
  std::vector<uint8_t> channel[4];
  for (int y = 0; y < im.height; y++)
    for (int x = 0; x < im.width; x++)
      if (x < 2 || y < 2 || x >= im.width - 2 || y >= im.height - 2)
        for (int c = 0; c < 4; c++) channel[c].push_back(im.at(x, y)[c]);
  auto median = [](std::vector<uint8_t>& v) {
    std::nth_element(v.begin(), v.begin() + v.size() / 2, v.end());
    return v[v.size() / 2] / 255.0f;
  };
  Ground g;
  g.opaque = median(channel[3]) > 0.5f;
  for (int c = 0; c < 3 && g.opaque; c++) g.rgb[c] = median(channel[c]);
  g.lab = oklab(g.rgb);
  return g;
}

struct Pixels {
  int w, h;
  std::vector<float> rgb;      // (h,w,3) straight colour, over the ground where that is opaque
  std::vector<float> alpha;    // (h,w)
  std::vector<uint8_t> label;  // nearest colour
  std::vector<uint8_t> thing;  // not ground
};

Pixels read_pixels(const Image& im, const Ground& ground) {
  size_t n = size_t(im.width) * im.height;
  Pixels p{
      im.width, im.height, std::vector<float>(n * 3), std::vector<float>(n), std::vector<uint8_t>(n), std::vector<uint8_t>(n)};
  constexpr float kOffGround = 0.08f;  // about a third of the way to the nearest colour
  for (size_t i = 0; i < n; i++) {
    const uint8_t* px = im.rgba.data() + i * 4;
    float a = p.alpha[i] = px[3] / 255.0f;
    for (int c = 0; c < 3; c++)
      p.rgb[i * 3 + c] = ground.opaque ? px[c] / 255.0f * a + ground.rgb[c] * (1 - a) : px[c] / 255.0f;
    if (!ground.opaque && a < 0.5f) continue;
    Lab lab = oklab(&p.rgb[i * 3]);
    p.label[i] = uint8_t(nearest_color(lab));
    p.thing[i] = !ground.opaque || distance(lab, ground.lab) > kOffGround;
  }
  return p;
}

using Part = std::vector<int>;  // pixel indices

// Connected runs (by edges) of the pixels of `among` that agree with their neighbour.
template <class Same>
std::vector<Part> connected(const Pixels& p, const std::vector<uint8_t>& among, Same same) {
  std::vector<Part> parts;
  std::vector<uint8_t> done(among.size());
  for (int start = 0; start < int(among.size()); start++) {
    if (!among[start] || done[start]) continue;
    Part part{start};
    done[start] = 1;
    for (size_t k = 0; k < part.size(); k++) {
      int i = part[k], x = i % p.w, y = i / p.w;
      auto visit = [&](int j) {
        if (among[j] && !done[j] && same(i, j)) done[j] = 1, part.push_back(j);
      };
      if (x > 0) visit(i - 1);
      if (x + 1 < p.w) visit(i + 1);
      if (y > 0) visit(i - p.w);
      if (y + 1 < p.h) visit(i + p.w);
    }
    if (float(part.size()) >= kSpeck * p.w * p.h) parts.push_back(std::move(part));
  }
  return parts;
}

// Pixels whose eight neighbours belong to something too: their colour is not mixed with the ground's.
Part inner(const Pixels& p, const Part& part) {
  Part out;
  for (int i : part) {
    int x = i % p.w, y = i / p.w;
    bool in = x > 0 && y > 0 && x + 1 < p.w && y + 1 < p.h;
    for (int dy = -1; in && dy <= 1; dy++)
      for (int dx = -1; in && dx <= 1; dx++) in = p.thing[i + dy * p.w + dx];
    if (in) out.push_back(i);
  }
  return out.size() * 8 >= part.size() ? out : part;
}

// Whether a pixel is a mixture of the ground and that colour, as the edge of a blurred thing is.
bool mixed(const Pixels& p, const Ground& ground, int i, int color) {
  Rgb own = rgb(Color(color));
  float axis[3] = {own.r / 255.0f, own.g / 255.0f, own.b / 255.0f}, off[3], along = 0, length = 0, away = 0;
  for (int c = 0; c < 3; c++) {
    axis[c] -= ground.rgb[c];
    off[c] = p.rgb[i * 3 + c] - ground.rgb[c];
    along += off[c] * axis[c], length += axis[c] * axis[c];
  }
  along /= std::max(length, 1e-3f);
  for (int c = 0; c < 3; c++) away += (off[c] - along * axis[c]) * (off[c] - along * axis[c]);
  return along > 0 && along < 1 && away < 0.1f * 0.1f;
}

struct Vote {
  int color;
  float share;
};
Vote vote(const Pixels& p, const Ground& ground, const Part& part) {
  int count[kColors] = {};
  for (int i : part) count[p.label[i]]++;
  int best = int(std::max_element(count, count + kColors) - count), votes = count[best];
  if (ground.opaque)
    for (int i : part) votes += p.label[i] != best && mixed(p, ground, i, best);
  return {best, float(votes) / part.size()};
}

// A part that is only the rim between two colours, not a thing: hardly a pixel of it lies among its own.
bool rim(const Pixels& p, const Part& part) {
  size_t inside = 0;
  for (int i : part) {
    int x = i % p.w, y = i / p.w;
    if (x == 0 || y == 0 || x + 1 == p.w || y + 1 == p.h) continue;
    bool among_own = true;
    for (int d : {-p.w, -1, 1, p.w}) among_own &= p.thing[i + d] && p.label[i + d] == p.label[i];
    inside += among_own;
  }
  return inside * 8 < part.size();
}

struct Window {  // the part's box with a margin, and how much of each pixel the part covers
  int x0, y0, w, h;
  std::vector<float> cover;
};

Window soft_mask(const Pixels& p, const Ground& ground, const Part& part, int color) {
  int x0 = p.w, y0 = p.h, x1 = 0, y1 = 0;
  for (int i : part) {
    x0 = std::min(x0, i % p.w), x1 = std::max(x1, i % p.w);
    y0 = std::min(y0, i / p.w), y1 = std::max(y1, i / p.w);
  }
  x0 = std::max(0, x0 - 2), y0 = std::max(0, y0 - 2), x1 = std::min(p.w - 1, x1 + 2), y1 = std::min(p.h - 1, y1 + 2);
  Window win{x0, y0, x1 - x0 + 1, y1 - y0 + 1, {}};
  // 2: of the part; 1: ground pixels next to it, which its edge may reach into.
  std::vector<uint8_t> near(size_t(win.w) * win.h);
  for (int i : part) near[size_t(i / p.w - y0) * win.w + i % p.w - x0] = 2;
  for (int i : part)
    for (int dy = -1; dy <= 1; dy++)
      for (int dx = -1; dx <= 1; dx++) {
        int x = i % p.w + dx, y = i / p.w + dy;
        if (x < x0 || y < y0 || x > x1 || y > y1 || p.thing[size_t(y) * p.w + x]) continue;
        near[size_t(y - y0) * win.w + x - x0] = 1;
      }
  Rgb own = rgb(Color(color));
  float axis[3] = {own.r / 255.0f - ground.rgb[0], own.g / 255.0f - ground.rgb[1], own.b / 255.0f - ground.rgb[2]};
  float length = axis[0] * axis[0] + axis[1] * axis[1] + axis[2] * axis[2];
  win.cover.resize(near.size());
  for (int y = 0; y < win.h; y++)
    for (int x = 0; x < win.w; x++) {
      size_t k = size_t(y) * win.w + x, i = size_t(y + y0) * p.w + x + x0;
      if (!near[k]) continue;
      float c = p.alpha[i];
      if (ground.opaque) {
        c = 0;
        for (int ch = 0; ch < 3; ch++) c += (p.rgb[i * 3 + ch] - ground.rgb[ch]) * axis[ch] / std::max(length, 1e-3f);
      }
      win.cover[k] = std::clamp((c - 0.1f) / 0.8f, 0.0f, 1.0f);
    }
  return win;
}

SeenThing fit(const Window& win, int color, float side, bool alone) {
  double area_sum = 0, mx = 0, my = 0;
  for (int y = 0; y < win.h; y++)
    for (int x = 0; x < win.w; x++) {
      float c = win.cover[size_t(y) * win.w + x];
      area_sum += c, mx += c * (x + 0.5), my += c * (y + 0.5);
    }
  area_sum = std::max(area_sum, 1.0);
  mx /= area_sum, my /= area_sum;
  SeenThing thing{.shape = {}, .color = Color(color), .size = {}, .cx = float(win.x0 + mx), .cy = float(win.y0 + my)};
  float best = 0, radius = std::sqrt(float(area_sum) / 2.4f);
  std::vector<float> ideal(win.cover.size());
  for (int s = 0; s < kShapes; s++) {
    float r = std::sqrt(float(area_sum) / area(ShapeKind(s)));
    Point mid = centroid(ShapeKind(s));
    float cx = float(mx) - r * mid.x, cy = float(my) - r * mid.y;
    cover(ideal.data(), win.w, win.h, ShapeKind(s), cx, cy, r);
    float both = 0, either = 0;
    for (size_t k = 0; k < ideal.size(); k++)
      both += std::min(ideal[k], win.cover[k]), either += std::max(ideal[k], win.cover[k]);
    if (both / either <= best) continue;
    best = both / either;
    radius = r;
    if (best < kLeastOverlap) continue;
    thing.shape = ShapeKind(s);
    thing.cx = win.x0 + cx, thing.cy = win.y0 + cy;
  }
  thing.cx /= side, thing.cy /= side;
  thing.size = size_of(radius / side, alone);
  return thing;
}

}  // namespace

SeenScene find_things(const Image& image) {
  if (image.width < 16 || image.height < 16)
    refuse("scene check: the picture is ", image.width, "x", image.height, ", at least 16x16 is needed");
  Ground ground = find_ground(image);
  Pixels p = read_pixels(image, ground);
  SeenScene out;
  if (ground.opaque) out.background = distance(ground.lab, oklab(background_rgb(kGrey))) < 0.1f ? kGrey : -1;
  std::vector<std::pair<Part, int>> parts;
  for (Part& part : connected(p, p.thing, [](int, int) { return true; })) {
    Vote v = vote(p, ground, inner(p, part));
    if (v.share >= kOneColor) {
      parts.push_back({std::move(part), v.color});
      continue;
    }
    std::vector<uint8_t> among(p.thing.size());
    for (int i : part) among[i] = 1;
    for (Part& one : connected(p, among, [&](int i, int j) { return p.label[i] == p.label[j]; })) {
      if (rim(p, one)) continue;
      int color = p.label[one[0]];
      parts.push_back({std::move(one), color});
    }
  }
  std::stable_sort(parts.begin(), parts.end(), [](auto& a, auto& b) { return a.first.size() > b.first.size(); });
  float side = float(std::max(image.width, image.height));
  for (size_t i = 0; i < parts.size(); i++) {
    SeenThing thing;
    if (i < kMostFitted)
      thing = fit(soft_mask(p, ground, parts[i].first, parts[i].second), parts[i].second, side, parts.size() == 1);
    out.things.push_back(thing);
  }
  return out;
}

CheckResult check(const Image& image, const ScenePrompt& prompt) {
  CheckResult r{.score = {}, .seen = find_things(image)};
  r.score = judge(stated(prompt.scene, prompt.said), r.seen);
  return r;
}

}  // namespace duet
