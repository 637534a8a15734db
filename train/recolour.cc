#include "train/recolour.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace duet {
namespace {

constexpr float kColourful = 0.35f, kBright = 0.3f;  // saturation and value from which a pixel counts as coloured
constexpr float kShare = 0.45f;                      // of what is visible must be colourful
constexpr float kOneHue = 0.94f, kReach = 24;        // share of it that lies within so many degrees of the mean
constexpr int kDark = 60;                            // the lightest channel of a glyph

struct Hsv {
  float h, s, v;  // degrees, 0 .. 1, 0 .. 1
};

Hsv to_hsv(const uint8_t* p) {
  float r = p[0] / 255.f, g = p[1] / 255.f, b = p[2] / 255.f;
  float most = std::max({r, g, b}), range = most - std::min({r, g, b});
  float h = 0;
  if (range > 0) {
    h = most == r ? (g - b) / range : most == g ? 2 + (b - r) / range : 4 + (r - g) / range;
    h = std::fmod(h * 60 + 360, 360.f);
  }
  return {h, most > 0 ? range / most : 0, most};
}

void to_rgb(Hsv c, float* rgb) {
  for (int i = 0; i < 3; i++) {
    float k = std::fmod((i == 0 ? 5 : i == 1 ? 3 : 1) + c.h / 60, 6.f);
    rgb[i] = c.v * (1 - c.s * std::clamp(std::min(k, 4 - k), 0.f, 1.f));
  }
}

float apart(float a, float b) { return std::abs(std::remainder(a - b, 360.f)); }

struct Lab {
  float l, a, b;
};

// https://www.w3.org/TR/css-color-4/#color-conversion-code (sRGB, D65)
Lab to_lab(Rgb c) {
  auto linear = [](uint8_t v) {
    float x = v / 255.f;
    return x <= 0.04045f ? x / 12.92f : std::pow((x + 0.055f) / 1.055f, 2.4f);
  };
  float r = linear(c.r), g = linear(c.g), b = linear(c.b);
  auto f = [](float t) { return t > 216.f / 24389 ? std::cbrt(t) : (24389.f / 27 * t + 16) / 116; };
  float x = f((0.4124f * r + 0.3576f * g + 0.1805f * b) / 0.9505f), y = f(0.2126f * r + 0.7152f * g + 0.0722f * b);
  float z = f((0.0193f * r + 0.1192f * g + 0.9505f * b) / 1.089f);
  return {116 * y - 16, 500 * (x - y), 200 * (y - z)};
}

struct Mean {
  float hue = 0, s = 0, v = 0, share = 0, within = 0;
};

// Of the colourful pixels; share: of what is visible; within: of them near the mean hue.
Mean measure(const Image& image) {
  double x = 0, y = 0, s = 0, v = 0, weight = 0, visible = 0, near = 0;
  auto each = [&](auto&& f) {
    for (size_t i = 0; i < image.rgba.size(); i += 4) {
      float alpha = image.rgba[i + 3] / 255.f;
      if (alpha > 0) f(to_hsv(&image.rgba[i]), alpha);
    }
  };
  each([&](Hsv c, float alpha) {
    visible += alpha;
    if (c.s < kColourful || c.v < kBright) return;
    float turn = c.h * std::numbers::pi_v<float> / 180;
    x += alpha * std::cos(turn), y += alpha * std::sin(turn), s += alpha * c.s, v += alpha * c.v, weight += alpha;
  });
  if (weight == 0) return {};
  Mean m;
  m.hue = std::fmod(float(std::atan2(y, x)) * 180 / std::numbers::pi_v<float> + 360, 360.f);
  each([&](Hsv c, float alpha) {
    if (c.s >= kColourful && c.v >= kBright && apart(c.h, m.hue) <= kReach) near += alpha;
  });
  m.s = float(s / weight), m.v = float(v / weight), m.share = float(weight / visible), m.within = float(near / weight);
  return m;
}

float ramp(float x, float from, float to) { return std::clamp((x - from) / (to - from), 0.f, 1.f); }

Image turned(const Image& image, const Mean& m, Hsv target) {
  Image out = image;
  float s = target.s / m.s, v = target.v / m.v;
  for (size_t i = 0; i < out.rgba.size(); i += 4) {
    uint8_t* p = &out.rgba[i];
    if (!p[3]) continue;
    Hsv c = to_hsv(p);
    // Details without colour keep theirs; what lies between is mixed.
    float weight = ramp(c.s, 0.12f, kColourful) * ramp(c.v, 0.12f, kBright);
    float fresh[3];
    to_rgb({std::fmod(c.h - m.hue + target.h + 720, 360.f), std::min(c.s * s, 1.f), std::min(c.v * v, 1.f)}, fresh);
    for (int k = 0; k < 3; k++) p[k] = uint8_t(std::lround(255 * fresh[k] * weight + p[k] * (1 - weight)));
  }
  return out;
}

// Mean colour of the pixels that are colourful in `where`.
Rgb mean_rgb(const Image& image, const Image& where) {
  double sum[3] = {}, weight = 0;
  for (size_t i = 0; i < image.rgba.size(); i += 4) {
    Hsv c = to_hsv(&where.rgba[i]);
    if (c.s < kColourful || c.v < kBright) continue;
    for (int k = 0; k < 3; k++) sum[k] += double(image.rgba[i + k]) * image.rgba[i + 3];
    weight += image.rgba[i + 3];
  }
  auto byte = [&](int k) { return uint8_t(std::lround(sum[k] / std::max(weight, 1.0))); };
  return {byte(0), byte(1), byte(2)};
}

}  // namespace

bool monochrome(const Image& image) {
  bool any = false;
  for (size_t i = 0; i < image.rgba.size(); i += 4) {
    const uint8_t* p = &image.rgba[i];
    if (p[3] < 8) continue;
    int most = std::max({p[0], p[1], p[2]}), least = std::min({p[0], p[1], p[2]});
    if (most > kDark || most - least > 12) return false;
    any = true;
  }
  return any;
}

std::optional<float> dominant_hue(const Image& image) {
  Mean m = measure(image);
  if (m.share < kShare || m.within < kOneHue) return {};
  return m.hue;
}

Color nearest_color(Rgb c) {
  Lab mine = to_lab(c);
  Color best = Color::red;
  float least = 1e30f;
  for (int k = 0; k < kColors; k++) {
    Lab other = to_lab(rgb(Color(k)));
    float d = std::hypot(mine.l - other.l, mine.a - other.a, mine.b - other.b);
    if (d < least) least = d, best = Color(k);
  }
  return best;
}

std::optional<Image> recolour(const Image& image, Color color) {
  Rgb c = rgb(color);
  uint8_t target[3] = {c.r, c.g, c.b};
  if (monochrome(image)) {
    Image out = image;
    for (size_t i = 0; i < out.rgba.size(); i += 4)
      if (out.rgba[i + 3]) std::copy_n(target, 3, &out.rgba[i]);
    return out;
  }
  if (color == Color::black || color == Color::white || !dominant_hue(image)) return {};
  Image out = turned(image, measure(image), to_hsv(target));
  if (nearest_color(mean_rgb(out, image)) != color) return {};
  return out;
}

}  // namespace duet
