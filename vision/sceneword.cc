#include "vision/sceneword.h"

namespace duet {

const Words& shape_words(ShapeKind s, Lang lang) {
  static const Words en[kShapes] = {{"circle"}, {"square"}, {"triangle"}, {"star"}, {"heart"}, {"diamond"}, {"cross"}};
  static const Words ko[kShapes] = {{"원", "동그라미"}, {"사각형", "네모"},       {"삼각형", "세모"}, {"별"},
                                    {"하트"},           {"마름모", "다이아몬드"}, {"십자가"}};
  return (lang == Lang::en ? en : ko)[int(s)];
}

const Words& color_words(Color c, Lang lang) {
  static const Words en[kColors] = {{"red"},    {"orange"}, {"yellow"}, {"green"}, {"blue"},
                                    {"purple"}, {"pink"},   {"brown"},  {"black"}, {"white"}};
  static const Words ko[kColors] = {
      {"빨간", "빨간색"}, {"주황색", "주황"}, {"노란", "노란색"}, {"초록색", "초록", "녹색"}, {"파란", "파란색"},
      {"보라색", "보라"}, {"분홍색", "분홍"}, {"갈색"},           {"검은", "검은색", "까만"}, {"흰", "흰색", "하얀", "하얀색"}};
  return (lang == Lang::en ? en : ko)[int(c)];
}

const Words& size_words(Size s, Lang lang) {
  static const Words none, en[2] = {{"small", "little"}, {"big", "large"}}, ko[2] = {{"작은", "조그만"}, {"큰", "커다란"}};
  if (s == Size::medium) return none;
  return (lang == Lang::en ? en : ko)[s == Size::big];
}

std::string pick_word(const Words& words, SceneRng& rng) {
  if (rng.chance(50)) return words[0];
  return words[rng.below(int(words.size()))];
}

}  // namespace duet
