#include "vision/transform.h"

#include <algorithm>
#include <cstring>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "kernels/error.h"

namespace duet {
namespace {

// Callers already run one picture per thread; OpenCV's own pool would only get in their way.
const bool kOneThread = (cv::setNumThreads(1), true);

// OpenCV's area average is only that when both sides shrink, so shrink first what shrinks, then grow what grows.
cv::Mat resample(const cv::Mat& from, int width, int height) {
  cv::Mat small = from, out;
  cv::Size shrunk(std::min(width, from.cols), std::min(height, from.rows));
  if (shrunk != from.size()) cv::resize(from, small, shrunk, 0, 0, cv::INTER_AREA);
  if (shrunk == cv::Size(width, height)) return small;
  cv::resize(small, out, cv::Size(width, height), 0, 0, cv::INTER_CUBIC);
  return out;
}

// Straight 8-bit -> premultiplied 16-bit with 255 * 255 as one: exact, and half the size of floats.
cv::Mat premultiply(const Image& image) {
  cv::Mat out(image.height, image.width, CV_16UC4);
  for (int y = 0; y < image.height; ++y) {
    uint16_t* to = out.ptr<uint16_t>(y);
    const uint8_t* from = image.at(0, y);
    for (int x = 0; x < image.width; ++x, to += 4, from += 4) {
      for (int c = 0; c < 3; ++c) to[c] = uint16_t(from[c] * from[3]);
      to[3] = uint16_t(255 * from[3]);
    }
  }
  return out;
}

Image unpremultiply(const cv::Mat& in) {
  Image out(in.cols, in.rows);
  for (int y = 0; y < out.height; ++y) {
    const uint16_t* from = in.ptr<uint16_t>(y);
    uint8_t* to = out.at(0, y);
    for (int x = 0; x < out.width; ++x, to += 4, from += 4) {
      // Cubic weights overshoot: alpha may pass one, colour may pass alpha.
      uint32_t alpha = std::min<uint32_t>(from[3], 255 * 255);
      to[3] = uint8_t((alpha + 127) / 255);
      if (to[3] == 0) continue;
      for (int c = 0; c < 3; ++c) to[c] = uint8_t(std::min(255u, (from[c] * 255u + alpha / 2) / alpha));
    }
  }
  return out;
}

void check(const Image& image, int width, int height) {
  CHECK(image.width > 0 && image.height > 0 && width > 0 && height > 0, "sizes above 0, got ", image.width, " x ", image.height,
        " -> ", width, " x ", height);
}

}  // namespace

bool opaque(const Image& image) {
  for (size_t i = 3; i < image.rgba.size(); i += 4) {
    if (image.rgba[i] != 255) return false;
  }
  return true;
}

Image resize(const Image& image, int width, int height) {
  check(image, width, height);
  if (width == image.width && height == image.height) return image;
  if (!opaque(image)) return unpremultiply(resample(premultiply(image), width, height));
  cv::Mat from(image.height, image.width, CV_8UC4, const_cast<uint8_t*>(image.rgba.data()));
  cv::Mat to = resample(from, width, height);
  Image out(width, height);
  for (int y = 0; y < height; ++y) std::memcpy(out.at(0, y), to.ptr(y), size_t(width) * 4);
  return out;
}

Fitted fitted_in_square(int width, int height, int size) {
  const int longest = std::max(width, height);
  const auto scaled = [&](int side) { return std::max(1, int((int64_t(side) * size + longest / 2) / longest)); };
  const int w = scaled(width), h = scaled(height);
  return {(size - w) / 2, (size - h) / 2, w, h};
}

Image fit_square(const Image& image, int size) {
  check(image, size, size);
  const Fitted b = fitted_in_square(image.width, image.height, size);
  return crop(resize(image, b.width, b.height), -b.x, -b.y, size, size);
}

Image crop(const Image& image, int x, int y, int width, int height) {
  check(image, width, height);
  if (x == 0 && y == 0 && width == image.width && height == image.height) return image;
  Image out(width, height);
  int64_t left = std::max<int64_t>(x, 0), right = std::min<int64_t>(int64_t(x) + width, image.width);
  int64_t top = std::max<int64_t>(y, 0), bottom = std::min<int64_t>(int64_t(y) + height, image.height);
  for (int64_t row = top; row < bottom && left < right; ++row) {
    std::memcpy(out.at(int(left - x), int(row - y)), image.at(int(left), int(row)), size_t(right - left) * 4);
  }
  return out;
}

Image mirror(const Image& image) {
  Image out(image.width, image.height);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) std::memcpy(out.at(image.width - 1 - x, y), image.at(x, y), 4);
  }
  return out;
}

Image trim(const Image& image) {
  int left = image.width, right = 0, top = image.height, bottom = 0;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      if (image.at(x, y)[3] == 0) continue;
      left = std::min(left, x), right = std::max(right, x + 1);
      top = std::min(top, y), bottom = std::max(bottom, y + 1);
    }
  }
  return right == 0 ? Image(1, 1) : crop(image, left, top, right - left, bottom - top);
}

namespace {

uint8_t mix(int top, int bottom, int alpha) { return uint8_t((top * alpha + bottom * (255 - alpha) + 127) / 255); }

}  // namespace

Image over(const Image& image, uint8_t r, uint8_t g, uint8_t b) {
  Image out = image;
  for (size_t i = 0; i < out.rgba.size(); i += 4) {
    uint8_t* p = out.rgba.data() + i;
    p[0] = mix(p[0], r, p[3]), p[1] = mix(p[1], g, p[3]), p[2] = mix(p[2], b, p[3]);
    p[3] = 255;
  }
  return out;
}

Image checkerboard_under(const Image& image, int cell) {
  CHECK(cell > 0, "a checkerboard cell above 0, got ", cell);
  Image out = image;
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      uint8_t* p = out.at(x, y);
      int under = (x / cell + y / cell) % 2 ? 234 : 252;
      for (int c = 0; c < 3; ++c) p[c] = mix(p[c], under, p[3]);
      p[3] = 255;
    }
  }
  return out;
}

}  // namespace duet
