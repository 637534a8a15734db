#include "train/compose.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/error.h"
#include "train/recolour.h"
#include "vision/draw.h"
#include "vision/transform.h"

namespace duet {
namespace {

// Of the picture's side.
constexpr float kTwo = 0.44f, kThree = 0.42f, kFour = 0.43f;        // a thing among several
constexpr float kOnDisc = 0.6f, kOnSquare = 0.7f, kOnPlain = 0.8f;  // a thing on its ground
constexpr float kDisc = 0.48f, kSquare = 0.47f;                     // radius, half side
constexpr float kShrink = 0.12f;                                    // things are smaller by up to this share
constexpr float kSway = 0.02f;                                      // and off their places by up to this

constexpr float kNear = 90, kMostNear = 0.12f;  // at most this share of a thing may be so near (RGB) its ground

bool cut_out_already(const Image& image) {
  int64_t clear = 0, all = int64_t(image.width) * image.height;
  for (size_t i = 3; i < image.rgba.size(); i += 4) clear += image.rgba[i] < 8;
  return clear * 20 > all;
}

// The share of what is visible that is hard to tell from the colour.
float lost_on(const Image& image, Rgb ground) {
  double near = 0, all = 0;
  for (size_t i = 0; i < image.rgba.size(); i += 4) {
    const uint8_t* p = &image.rgba[i];
    all += p[3];
    if (std::hypot(float(p[0] - ground.r), float(p[1] - ground.g), float(p[2] - ground.b)) < kNear) near += p[3];
  }
  return all > 0 ? float(near / all) : 1;
}

class Page {
 public:
  Page(int size, Draws& draws) : image_(size, size), size_(size), draws_(draws), shrink_(1 - kShrink * float(draws.unit())) {}

  // The thing, `share` of the side large, its middle at (x, y) of the side.
  void put(const Image& thing, float share, float x, float y) {
    int side = std::max(4, int(std::lround(share * shrink_ * float(size_))));
    auto at = [&](float middle) {
      float sway = kSway * float(2 * draws_.unit() - 1);
      return std::clamp(int(std::lround((middle + sway) * float(size_) - float(side) / 2)), 0, size_ - side);
    };
    int left = at(x), top = at(y);
    blit(image_, frame(thing, side, false, draws_), left, top);
  }

  void lay(Ground ground, Rgb c) {
    std::vector<float> covered(size_t(size_) * size_, 1.f);
    float middle = float(size_) / 2;
    if (ground == Ground::disc) cover(covered.data(), size_, size_, ShapeKind::circle, middle, middle, kDisc * float(size_));
    for (int y = 0; y < size_; y++) {
      for (int x = 0; x < size_; x++) {
        float share = covered[size_t(y) * size_ + x];
        float half = kSquare * float(size_);
        if (ground == Ground::square && std::max(std::abs(x + 0.5f - middle), std::abs(y + 0.5f - middle)) > half) share = 0;
        uint8_t pixel[4] = {c.r, c.g, c.b, uint8_t(std::lround(255 * share))};
        if (pixel[3]) std::copy_n(pixel, 4, image_.at(x, y));
      }
    }
  }

  Image take() { return std::move(image_); }

 private:
  Image image_;
  int size_;
  Draws& draws_;
  float shrink_;  // all things of a page are one size
};

Image two(const Image& a, const Image& b, Relation r, int size, Draws& draws) {
  Page page(size, draws);
  bool beside = r == Relation::left_of || r == Relation::right_of;
  bool first = r == Relation::left_of || r == Relation::above;
  float mine = first ? 0.26f : 0.74f;
  page.put(a, kTwo, beside ? mine : 0.5f, beside ? 0.5f : mine);
  page.put(b, kTwo, beside ? 1 - mine : 0.5f, beside ? 0.5f : 1 - mine);
  return page.take();
}

Image several(const Image& thing, int count, int size, Draws& draws) {
  Page page(size, draws);
  bool turned = draws.chance(0.5);
  if (count == 2) {
    for (float at : {0.26f, 0.74f}) page.put(thing, kTwo, turned ? at : 0.5f, turned ? 0.5f : at);
  } else if (count == 3) {  // a triangle on its base or on its tip
    float single = turned ? 0.27f : 0.73f;
    page.put(thing, kThree, 0.5f, single);
    for (float x : {0.26f, 0.74f}) page.put(thing, kThree, x, 1 - single);
  } else {
    for (float y : {0.26f, 0.74f})
      for (float x : {0.26f, 0.74f}) page.put(thing, kFour, x, y);
  }
  return page.take();
}

}  // namespace

bool fits(const Part& part, ComposeKind kind, Lang lang) {
  std::string name = part_name(part.meta, lang);
  if (name.empty() || !part.meta.scene.empty()) return false;
  if (kind == ComposeKind::count) return lang == Lang::ko ? !plural(part.meta.caption).empty() : !plural(name).empty();
  if (kind == ComposeKind::relation) return true;
  if (!takes_words_in_front(name, lang) || !cut_out_already(part.image)) return false;
  return kind == ComposeKind::ground || !names_a_color(part.meta);
}

std::optional<Composition> compose(ComposeKind kind, const Part& first, const Part* second, int size, Lang lang, Draws& draws) {
  CHECK(size >= 16, size);
  std::string name = part_name(first.meta, lang);
  Composition out{{}, {}, first.meta.style, first.meta.style_ko};
  if (kind == ComposeKind::relation) {
    CHECK(second, "two parts");
    if (second->meta.style != first.meta.style) out.style = out.style_ko = "";
    auto r = Relation(draws.below(kRelations));
    out.image = two(first.image, second->image, r, size, draws);
    out.text = related(name, r, part_name(second->meta, lang), lang, draws);
  } else if (kind == ComposeKind::count) {
    int count = 2 + draws.below(3);
    out.image = several(first.image, count, size, draws);
    out.text = counted(name, count, lang, draws);
  } else if (kind == ComposeKind::recolour) {
    auto color = Color(draws.below(kColors));
    auto fresh = recolour(first.image, color);
    if (!fresh) return {};
    out.image = frame(*fresh, size, true, draws);
    out.text = colored(name, color, lang);
  } else {
    auto ground = Ground(draws.below(3));
    auto color = Color(draws.below(kColors));
    if (lost_on(first.image, rgb(color)) > kMostNear) return {};
    Page page(size, draws);
    page.lay(ground, rgb(color));
    page.put(first.image, ground == Ground::disc ? kOnDisc : ground == Ground::square ? kOnSquare : kOnPlain, 0.5f, 0.5f);
    out.image = page.take();
    out.text = grounded(name, ground, color, lang, draws);
  }
  return out;
}

}  // namespace duet
