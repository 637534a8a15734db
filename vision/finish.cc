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
constexpr float kGuideBlur = 0.35f, kOutlineBlur = 0.6f, kOutlineWidth = 1.3f, kColourBlur = 0.75f;  // the blurs times s

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
  std::vector<float> k(size_t(2 * r + 1));
  float all = 0;
  for (int i = -r; i <= r; ++i) all += k[size_t(i + r)] = std::exp(-0.5f * float(i * i) / (sigma * sigma));
  for (const bool down : {true, false}) {
    p.repeat_border();
    for (int c = 0; c < p.count; ++c)
      for (int y = 0; y < p.height; ++y)
        for (int x = 0; x < p.width; x += 16) {
          v16 sum{};
          for (int i = -r; i <= r; ++i) sum += load16(p.at(c, down ? x : x + i, down ? y + i : y)) * (k[size_t(i + r)] / all);
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

// p: premultiplied, alpha spread
void straighten_outline(Planes& p, int s) {
  Planes soft(1, p.width, p.height, p.reach), one = soft;
  std::copy_n(p.at(3, -p.reach, -p.reach), soft.values.size(), soft.values.begin());
  blur(soft, one, kOutlineBlur * float(s));
  // The colour of the body next to the outline: of pixels within, blurred, with their weights as a fourth plane
  Planes near = p, spare = p, line = soft;
  const float slope =
      2.5f * kOutlineBlur * float(s) / kOutlineWidth;  // of a blurred step, 1 / (sigma sqrt(2 pi)), to 1 / width
  for (int y = 0; y < p.height; ++y)
    for (int x = 0; x < p.width; ++x) {
      const float alpha = *p.at(3, x, y), within = *soft.at(0, x, y), body = ramp(alpha, 0.8f, 1);
      const float weight = body * body * ramp(within, 0.6f, 0.9f) + 1e-4f * alpha;
      for (int c = 0; c < 3; ++c) *near.at(c, x, y) = weight * std::min(1.0f, *p.at(c, x, y) / std::max(alpha, 1e-3f));
      *near.at(3, x, y) = weight;
      *line.at(0, x, y) = std::clamp((within - 0.5f) * slope + 0.5f, 0.0f, 1.0f);
    }
  blur(near, spare, kColourBlur * float(s));
  line.repeat_border();
  Planes kept = line;  // how much is left around
  greatest(kept, one, s);
  for (int y = 0; y < p.height; ++y)
    for (int x = 0; x < p.width; ++x) {
      const float was = *p.at(3, x, y), gone = 1 - std::min(1.0f, 2 * *kept.at(0, x, y));
      const float alpha = std::max(*line.at(0, x, y), was * gone);
      const float own = ramp(*soft.at(0, x, y), 0.75f, 0.95f), weight = *near.at(3, x, y);
      for (int c = 0; c < 3; ++c) {
        const float here = std::min(1.0f, *p.at(c, x, y) / std::max(was, 1e-3f));
        const float beside = weight > 0 ? std::min(1.0f, *near.at(c, x, y) / weight) : here;
        *p.at(c, x, y) = alpha * (own * here + (1 - own) * beside);
      }
      *p.at(3, x, y) = alpha;
    }
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
