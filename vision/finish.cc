#include "vision/finish.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/error.h"
#include "kernels/vec.h"
#include "vision/patch.h"

namespace duet {
namespace {

constexpr int kReach = 2, kPasses = 2, kChannels = 4;
constexpr float kSpace = 1.3f, kColour = 0.12f, kClear = 0.06f, kSolid = 0.94f;

// A plane a channel, with the border repeated kReach pixels out and lines wide enough for sixteen at a time.
struct Planes {
  int width, height, line;
  std::vector<float> values;
  Planes(int w, int h)
      : width(w),
        height(h),
        line((w + 15) / 16 * 16 + 2 * kReach),
        values(size_t(kChannels) * size_t(h + 2 * kReach) * size_t(line)) {}
  float* at(int c, int x, int y) {
    return values.data() + (int64_t(c) * (height + 2 * kReach) + y + kReach) * line + x + kReach;
  }
  void repeat_border() {
    for (int c = 0; c < kChannels; ++c) {
      for (int y = 0; y < height; ++y) {
        std::fill_n(at(c, -kReach, y), kReach, *at(c, 0, y));
        std::fill(at(c, width, y), at(c, -kReach, y) + line, *at(c, width - 1, y));
      }
      for (int k = 1; k <= kReach; ++k) {
        std::copy_n(at(c, -kReach, 0), line, at(c, -kReach, -k));
        std::copy_n(at(c, -kReach, height - 1), line, at(c, -kReach, height - 1 + k));
      }
    }
  }
};

void smooth(Planes& out, Planes& in) {
  in.repeat_border();
  for (int y = 0; y < in.height; ++y)
    for (int x = 0; x < in.width; x += 16) {
      v16 own[kChannels], sum[kChannels] = {}, all{};
      for (int c = 0; c < kChannels; ++c) own[c] = load16(in.at(c, x, y));
      for (int dy = -kReach; dy <= kReach; ++dy)
        for (int dx = -kReach; dx <= kReach; ++dx) {
          v16 other[kChannels], apart{};
          for (int c = 0; c < kChannels; ++c) {
            other[c] = load16(in.at(c, x + dx, y + dy));
            apart += (other[c] - own[c]) * (other[c] - own[c]);
          }
          const v16 weight =
              exp16(apart * (-0.5f / (kColour * kColour)) - float(dx * dx + dy * dy) * (0.5f / (kSpace * kSpace)));
          all += weight;
          for (int c = 0; c < kChannels; ++c) sum[c] += weight * other[c];
        }
      for (int c = 0; c < kChannels; ++c) store16(out.at(c, x, y), sum[c] / all);
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
  Planes a(width, height), b(width, height);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < kChannels; ++c) {
        const float v = pixels[(int64_t(y) * width + x) * kChannels + c] * 0.5f + 0.5f;
        *a.at(c, x, y) = v >= 0 ? std::min(v, 1.0f) : 0.0f;  // what is no number too
      }
  for (int pass = 0; pass < kPasses; ++pass) smooth(b, a), std::swap(a.values, b.values);
  std::vector<float> out(size_t(width) * size_t(height) * kChannels);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const float alpha = *a.at(3, x, y), spread = std::clamp((alpha - kClear) / (kSolid - kClear), 0.0f, 1.0f);
      const float k = alpha > 0 ? spread / alpha : 0;
      float* p = &out[(size_t(y) * size_t(width) + size_t(x)) * kChannels];
      for (int c = 0; c < 3; ++c) p[c] = *a.at(c, x, y) * k * 2 - 1;
      p[3] = spread * 2 - 1;
    }
  return from_pixels(out.data(), width, height);
}

}  // namespace duet
