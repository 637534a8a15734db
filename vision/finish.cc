#include "vision/finish.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "kernels/error.h"
#include "kernels/vec.h"
#include "vision/patch.h"

namespace duet {
namespace {

constexpr int kReach = 2, kChannels = 4, kLargeFrom = 96;
constexpr float kSpace = 1.3f, kColour = 0.12f, kFarColour = 0.1f, kClear = 0.06f, kSolid = 0.94f;
constexpr float kGuideBlur = 0.35f, kOutlineBlur = 0.6f, kColourBlur = 0.5f;  // times s
constexpr float kOutlineWidth = 1.3f;                                         // pixels

// Planes of a picture, with the border repeated `reach` pixels out and lines wide enough for sixteen at a time.
struct Planes {
  int count, width, height, reach, line;
  std::vector<float> values;
  Planes(int n, int w, int h, int r)
      : count(n),
        width(w),
        height(h),
        reach(r),
        line((w + 15) / 16 * 16 + 2 * r),
        values(size_t(n) * size_t(h + 2 * r) * size_t(line)) {}
  float* at(int c, int x, int y) { return values.data() + (int64_t(c) * (height + 2 * reach) + y + reach) * line + x + reach; }
  void repeat_border() {
    for (int c = 0; c < count; ++c) {
      for (int y = 0; y < height; ++y) {
        std::fill_n(at(c, -reach, y), reach, *at(c, 0, y));
        std::fill(at(c, width, y), at(c, -reach, y) + line, *at(c, width - 1, y));
      }
      for (int k = 1; k <= reach; ++k) {
        std::copy_n(at(c, -reach, 0), line, at(c, -reach, -k));
        std::copy_n(at(c, -reach, height - 1), line, at(c, -reach, height - 1 + k));
      }
    }
  }
};

// 5x5 pixels of `in`, `step` apart, weighed by how like they are to the middle one in `guide`. Borders are there.
void bilateral(Planes& out, Planes& in, Planes& guide, int step, float colour) {
  for (int y = 0; y < in.height; ++y)
    for (int x = 0; x < in.width; x += 16) {
      v16 own[kChannels], sum[kChannels] = {}, all{};
      for (int c = 0; c < kChannels; ++c) own[c] = load16(guide.at(c, x, y));
      for (int dy = -kReach; dy <= kReach; ++dy)
        for (int dx = -kReach; dx <= kReach; ++dx) {
          v16 apart{};
          for (int c = 0; c < kChannels; ++c) {
            const v16 other = load16(guide.at(c, x + dx * step, y + dy * step)) - own[c];
            apart += other * other;
          }
          const v16 weight = exp16(apart * (-0.5f / (colour * colour)) - float(dx * dx + dy * dy) * (0.5f / (kSpace * kSpace)));
          all += weight;
          for (int c = 0; c < kChannels; ++c) sum[c] += weight * load16(in.at(c, x + dx * step, y + dy * step));
        }
      for (int c = 0; c < kChannels; ++c) store16(out.at(c, x, y), sum[c] / all);
    }
}
void smooth(Planes& p, Planes& spare, int step, float colour) {
  p.repeat_border();
  bilateral(spare, p, p, step, colour);
  std::swap(p.values, spare.values);
}

// Gaussian blur of every plane, down and then across. The border follows.
void blur(Planes& p, Planes& spare, float sigma) {
  const int r = std::min(int(std::ceil(3 * sigma)), p.reach);
  std::vector<float> weights(size_t(2 * r + 1));
  float* k = weights.data() + r;
  float all = 0;
  for (int i = -r; i <= r; ++i) all += k[i] = std::exp(-0.5f * float(i * i) / (sigma * sigma));
  for (float& w : weights) w /= all;
  for (const bool down : {true, false}) {
    p.repeat_border();
    for (int c = 0; c < p.count; ++c)
      for (int y = 0; y < p.height; ++y)
        for (int x = 0; x < p.width; x += 16) {
          v16 sum{};
          for (int i = -r; i <= r; ++i) sum += load16(p.at(c, down ? x : x + i, down ? y + i : y)) * k[i];
          store16(spare.at(c, x, y), sum);
        }
    std::swap(p.values, spare.values);
  }
  p.repeat_border();
}

// The greatest value within r pixels down and across. The border is there.
void greatest(Planes& p, Planes& spare, int r) {
  for (const bool down : {true, false}) {
    for (int y = 0; y < p.height; ++y)
      for (int x = 0; x < p.width; ++x) {
        float most = 0;
        for (int i = -r; i <= r; ++i) most = std::max(most, *p.at(0, down ? x : x + i, down ? y + i : y));
        *spare.at(0, x, y) = most;
      }
    std::swap(p.values, spare.values);
    p.repeat_border();
  }
}

void smooth_large(Planes& p, int s) {
  Planes guide = p, spare = p;
  p.repeat_border();
  blur(guide, spare, kGuideBlur * float(s));
  for (int round = 0; round < 3; ++round) {
    bilateral(spare, p, guide, std::max(1, s / 2), kColour);
    std::swap(guide.values, spare.values);
    guide.repeat_border();
  }
  std::swap(p.values, guide.values);
  for (const int step : {s, 2 * s}) smooth(p, spare, step, kFarColour);
}

float ramp(float v, float from, float to) { return std::clamp((v - from) / (to - from), 0.0f, 1.0f); }

// p: premultiplied, alpha spread. Alpha moves to a steep edge along the half of blurred alpha, as far as there is solid body
// near on one side and nothing near on the other: that leaves thin lines, gaps, small holes and what is translucent.
void straighten_outline(Planes& p, int s) {
  const float sigma = kOutlineBlur * float(s), slope = 2.5f * sigma / kOutlineWidth;  // a blurred step has 1 / (2.5 sigma)
  const int near = s + (s + 1) / 2;
  Planes soft(1, p.width, p.height, p.reach), spare = soft, within = soft, beyond = soft, thin = soft;
  std::copy_n(p.at(3, -p.reach, -p.reach), soft.values.size(), soft.values.begin());
  blur(soft, spare, sigma);
  const auto each = [&](const auto& f) {
    for (int y = 0; y < p.height; ++y)
      for (int x = 0; x < p.width; ++x) f(x, y);
  };
  each([&](int x, int y) {
    *within.at(0, x, y) = ramp(*soft.at(0, x, y), 0.7f, 0.9f), *beyond.at(0, x, y) = 1 - ramp(*soft.at(0, x, y), 0.1f, 0.3f);
  });
  greatest(within, spare, near), greatest(beyond, spare, near);
  // Of a thin line that runs into a body the piece next to it is given back.
  const auto outline = [&](int x, int y) { return *within.at(0, x, y) * *beyond.at(0, x, y); };
  each([&](int x, int y) { *thin.at(0, x, y) = *p.at(3, x, y) * ramp(1 - outline(x, y), 0.5f, 1); });
  greatest(thin, spare, s);
  // The colour of the body next to the outline: of pixels within, blurred, with their weights as a fourth plane
  Planes body = p, room = p;
  each([&](int x, int y) {
    const float alpha = *p.at(3, x, y), solid = ramp(alpha, 0.8f, 1);
    const float weight = solid * solid * ramp(*soft.at(0, x, y), 0.6f, 0.85f) + 1e-4f * alpha;
    for (int c = 0; c < 3; ++c) *body.at(c, x, y) = weight * std::min(1.0f, *p.at(c, x, y) / std::max(alpha, 1e-3f));
    *body.at(3, x, y) = weight;
  });
  blur(body, room, kColourBlur * float(s));
  each([&](int x, int y) {
    const float was = *p.at(3, x, y), inside = *soft.at(0, x, y), edge = outline(x, y), weight = *body.at(3, x, y);
    const float steep = std::clamp((inside - 0.5f) * slope + 0.5f, 0.0f, 1.0f);
    const float alpha = std::max(was + edge * (steep - was), std::min(was, *thin.at(0, x, y)));
    const float own = was > 0.02f ? std::max(std::min(ramp(was, 0.6f, 0.95f), ramp(inside, 0.55f, 0.8f)), 1 - edge) : 0;
    for (int c = 0; c < 3; ++c) {
      const float here = std::min(1.0f, *p.at(c, x, y) / std::max(was, 1e-3f));
      const float beside = weight > 0 ? std::min(1.0f, *body.at(c, x, y) / weight) : here;
      *p.at(c, x, y) = alpha * (own * here + (1 - own) * beside);
    }
    *p.at(3, x, y) = alpha;
  });
}

}  // namespace

const char* name_of(Finish f) { return f == Finish::raw ? "raw" : "clean"; }
Finish finish_of(const std::string& name) {
  if (name == "raw") return Finish::raw;
  if (name == "clean") return Finish::clean;
  refuse("finish '", name, "' is none of clean, raw");
}

Image finished(const float* pixels, int width, int height, Finish finish) {
  if (finish == Finish::raw || width < 1 || height < 1) return from_pixels(pixels, width, height);
  const int side = std::min(width, height), s = (side + 32) / 64;
  const bool large = side >= kLargeFrom;
  Planes p(kChannels, width, height, large ? 2 * kReach * s : kReach);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < kChannels; ++c) {
        const float v = pixels[(int64_t(y) * width + x) * kChannels + c] * 0.5f + 0.5f;
        *p.at(c, x, y) = v >= 0 ? std::min(v, 1.0f) : 0.0f;  // what is no number too
      }
  if (large) {
    smooth_large(p, s);
  } else {
    Planes spare = p;
    for (int pass = 0; pass < 2; ++pass) smooth(p, spare, 1, kColour);
  }
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const float alpha = *p.at(3, x, y), spread = ramp(alpha, kClear, kSolid);
      for (int c = 0; c < 3; ++c) *p.at(c, x, y) *= alpha > 0 ? spread / alpha : 0;
      *p.at(3, x, y) = spread;
    }
  if (large) straighten_outline(p, s);
  std::vector<float> out(size_t(width) * size_t(height) * kChannels);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < kChannels; ++c)
        out[(size_t(y) * size_t(width) + size_t(x)) * kChannels + size_t(c)] = *p.at(c, x, y) * 2 - 1;
  return from_pixels(out.data(), width, height);
}

}  // namespace duet
