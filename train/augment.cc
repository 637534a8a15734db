#include "train/augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_set>

#include "kernels/error.h"
#include "vision/transform.h"

namespace duet {
namespace {

constexpr double kJitter = 0.5;  // share of pictures that are moved; the rest stay crisp

// What a mirror would make false: sides and turning, writing, things that have a printed or agreed direction.
const std::unordered_set<std::string_view>& side_words() {
  // clang-format off
  static const std::unordered_set<std::string_view> words = {
      "left", "right", "leftward", "leftwards", "rightward", "rightwards", "leftmost", "rightmost", "lefthand",
      "righthand", "lefty", "clockwise", "counterclockwise", "anticlockwise", "east", "west", "eastward", "westward",
      "arrow", "arrows", "arrowhead", "next", "previous", "forward", "backward", "rewind", "play", "undo", "redo",
      "reply", "skip", "letter", "letters", "alphabet", "latin", "digit", "digits", "number", "numbers", "numeral",
      "numeric", "keycap", "text", "word", "words", "writing", "written", "character", "characters", "abc", "abcd",
      "hiragana", "katakana", "kanji", "hangul", "ideograph", "logo", "sign", "signs", "button", "squared", "flag",
      "flags", "banner", "map", "globe", "clock", "clocks", "oclock", "watch", "calendar", "music", "musical", "note",
      "notes", "clef", "question", "percent", "dollar", "euro", "yen", "pound", "won", "zodiac", "waxing", "waning",
      "quarter", "crescent", "newspaper", "book", "font", "symbol", "italic", "bold"};
  // clang-format on
  return words;
}

// Looked for anywhere, since Korean words carry endings.
constexpr std::array kKoreanSides = {"왼",   "오른",   "좌측",   "우측",   "좌회전", "우회전", "시계",   "화살",
                                     "글자", "문자",   "글씨",   "숫자",   "번호",   "한글",   "알파벳", "키캡",
                                     "깃발", "국기",   "지도",   "지구본", "동쪽",   "서쪽",   "음표",   "음악",
                                     "버튼", "로고",   "표지판", "물음표", "달력",   "되감기", "재생",   "이전",
                                     "다음", "앞으로", "뒤로",   "상현",   "하현",   "초승달", "그믐달", "별자리"};

bool ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Code points that are arrows, regional indicators (flags) or digits in a keycap.
bool side_mark(std::string_view s, size_t i) {
  auto byte = [&](size_t k) { return i + k < s.size() ? uint8_t(s[i + k]) : 0; };
  uint8_t a = byte(0), b = byte(1), c = byte(2), d = byte(3);
  if (a == 0xE2) {
    int code = 0x2000 | (b & 0x3F) << 6 | (c & 0x3F);
    return (code >= 0x2190 && code <= 0x21FF) || (code >= 0x27F0 && code <= 0x27FF) || (code >= 0x2900 && code <= 0x297F) ||
           (code >= 0x2B00 && code <= 0x2B11) || code == 0x20E3;
  }
  if (a == 0xF0 && b == 0x9F) return c == 0x87 && d >= 0xA6 && d <= 0xBF;  // U+1F1E6..1F1FF
  return false;
}

struct Box {
  int x0, y0, x1, y1;  // [x0,x1) x [y0,y1)
};

// What is drawn, and whether every pixel is opaque.
Box drawn(const Image& image, bool* opaque) {
  constexpr uint8_t kVisible = 8;
  Box b{image.width, image.height, 0, 0};
  *opaque = true;
  for (int y = 0; y < image.height; y++) {
    const uint8_t* row = image.at(0, y);
    for (int x = 0; x < image.width; x++) {
      uint8_t a = row[x * 4 + 3];
      if (a != 255) *opaque = false;
      if (a < kVisible) continue;
      b.x0 = std::min(b.x0, x), b.x1 = std::max(b.x1, x + 1);
      b.y0 = std::min(b.y0, y), b.y1 = std::max(b.y1, y + 1);
    }
  }
  if (b.x1 == 0) b = {0, 0, image.width, image.height};
  return b;
}

// A place for a window of `side` near `centred` that holds [lo, hi).
int place(int side, int centred, int reach, int lo, int hi, Draws& draws) {
  int from = std::max(hi - side, centred - reach), to = std::min(lo, centred + reach);
  if (from > to) return std::clamp(centred, hi - side, lo);
  return from + draws.below(to - from + 1);
}

}  // namespace

bool has_side(std::string_view words) {
  for (const char* k : kKoreanSides)
    if (words.find(k) != std::string_view::npos) return true;
  std::string word;
  for (size_t i = 0; i <= words.size(); i++) {
    char c = i < words.size() ? words[i] : ' ';
    if (ascii_letter(c)) {
      word += char(c | 0x20);
      continue;
    }
    if (c == '\'' && word == "o") continue;  // o'clock
    if (!word.empty() && side_words().contains(word)) return true;
    word.clear();
    if ((c >= '0' && c <= '9') || (i < words.size() && side_mark(words, i))) return true;
  }
  return false;
}

bool may_mirror(const Meta& m) {
  if (!m.mirror_ok || has_side(m.caption) || has_side(m.caption_ko) || has_side(m.group)) return false;
  for (auto* list : {&m.captions, &m.captions_ko, &m.tags, &m.tags_ko})
    if (std::any_of(list->begin(), list->end(), has_side)) return false;
  return true;
}

std::string mirror_words(std::string_view caption) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kSwaps = {{{"left", "right"},
                                                                                           {"right", "left"},
                                                                                           {"Left", "Right"},
                                                                                           {"Right", "Left"},
                                                                                           {"왼", "오른"},
                                                                                           {"오른", "왼"},
                                                                                           {"좌측", "우측"},
                                                                                           {"우측", "좌측"}}};
  std::string out;
  for (size_t i = 0; i < caption.size();) {
    auto swap = std::find_if(kSwaps.begin(), kSwaps.end(), [&](auto& s) {
      // "bright" has no side: an English word starts here.
      return caption.substr(i).starts_with(s.first) && (!ascii_letter(s.first[0]) || i == 0 || !ascii_letter(caption[i - 1]));
    });
    if (swap != kSwaps.end()) {
      out += swap->second;
      i += swap->first.size();
    } else {
      out += caption[i++];
    }
  }
  return out;
}

Image frame(const Image& image, int size, bool jitter, Draws& draws) {
  CHECK(!image.empty() && size > 0, image.width, "x", image.height, " to ", size);
  bool opaque;
  Box box = drawn(image, &opaque);
  int w = image.width, h = image.height;
  // A photograph fills its square; a drawing lies whole inside it.
  int side = opaque ? std::min(w, h) : std::max(w, h);
  bool move = jitter && draws.chance(kJitter);
  if (move && opaque) side = std::max(1, int(std::lround(side * (0.9 + 0.1 * draws.unit()))));
  if (move && !opaque) {
    side = std::max({int(std::lround(side * (0.93 + 0.17 * draws.unit()))), box.x1 - box.x0, box.y1 - box.y0});
  }
  int x = (w - side) / 2, y = (h - side) / 2;
  if (move) {
    int reach = std::max(1, side * 6 / 100);
    if (opaque) {
      x = std::clamp(x + draws.below(2 * reach + 1) - reach, 0, w - side);
      y = std::clamp(y + draws.below(2 * reach + 1) - reach, 0, h - side);
    } else {
      x = place(side, x, reach, box.x0, box.x1, draws);
      y = place(side, y, reach, box.y0, box.y1, draws);
    }
  }
  if (x == 0 && y == 0 && side == w && side == h) return side == size ? image : resize(image, size, size);
  Image window = crop(image, x, y, side, side);
  return side == size ? window : resize(window, size, size);
}

}  // namespace duet
