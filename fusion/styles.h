// The looks that duet's own data names (Meta::style, Meta::style_ko): captions and prompts say them after the last
// comma, see with_style in fusion/shards.h.
#pragma once
#include <string>
#include <string_view>

namespace duet {

struct StyleName {
  const char *en, *ko;
};

inline constexpr StyleName kStyleNames[] = {
    {"emoji", "이모지"},
    {"photo", "사진"},
    {"drawing", "그림"},
    {"cartoon", "만화"},
    {"clipart", "클립아트"},
    {"icon", "아이콘"},
    {"3D", "입체"},
    {"flat", "납작한"},
    {"simple", "단순한"},
    {"outline", "외곽선"},
    {"blob", "방울"},
    {"sticker", "스티커"},
    {"glossy icon", "광택 아이콘"},
    {"flat icon", "납작한 아이콘"},
    {"line icon", "선 아이콘"},
    {"thin line icon", "얇은 선 아이콘"},
    {"regular line icon", "보통 선 아이콘"},
    {"bold line icon", "굵은 선 아이콘"},
    {"duotone icon", "두 색조 아이콘"},
    {"filled icon", "채운 아이콘"},
    {"solid icon", "단색 아이콘"},
    {"silhouette icon", "실루엣 아이콘"},
};

// The Korean word of a style above; empty for any other.
inline std::string korean_style(std::string_view en) {
  for (auto& s : kStyleNames) {
    if (en == s.en) return s.ko;
  }
  return {};
}

}  // namespace duet
