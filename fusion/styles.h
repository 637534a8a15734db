// The looks that duet's own data names (Meta::style, Meta::style_ko): captions and prompts say them after the last
// comma, see with_style in fusion/shards.h.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace duet {

struct StyleName {
  const char *en, *ko;
  const char* other = "";  // what else people call it in Korean, | between; captions never say these
};

inline constexpr StyleName kStyleNames[] = {
    {"emoji", "이모지", "이모티콘"},
    {"photo", "사진", "실사|포토"},
    {"drawing", "그림", "일러스트|드로잉|스케치"},
    {"cartoon", "만화", "카툰"},
    {"clipart", "클립아트"},
    {"icon", "아이콘"},
    {"3D", "입체", "쓰리디|3차원"},
    {"flat", "납작한", "플랫"},
    {"simple", "단순한", "심플"},
    {"outline", "외곽선", "아웃라인|윤곽선"},
    {"blob", "방울", "블롭"},
    {"sticker", "스티커"},
    {"glossy icon", "광택 아이콘", "글로시 아이콘|글로시"},
    {"flat icon", "납작한 아이콘", "플랫 아이콘"},
    {"line icon", "선 아이콘", "라인 아이콘"},
    {"thin line icon", "얇은 선 아이콘"},
    {"regular line icon", "보통 선 아이콘"},
    {"bold line icon", "굵은 선 아이콘"},
    {"duotone icon", "두 색조 아이콘"},
    {"filled icon", "채운 아이콘", "솔리드 아이콘"},
    {"solid icon", "단색 아이콘"},
    {"silhouette icon", "실루엣 아이콘"},
};

// The style that `said` means, as captions in that language say it: "Line-Icon", "lineicon" and "라인 아이콘" are "line icon",
// in Korean "선 아이콘". Capitals, spaces, - and _ do not count. None where it is none of `known` (names in English, as weights
// list them).
std::optional<std::string> learned_style(const std::vector<std::string>& known, std::string_view said, bool korean);
// The language of a prompt, by which its style is said too: Korean where it holds Hangul; of no words at all the style's.
bool prompt_is_korean(std::string_view prompt, std::string_view style);
// The known one that may have been meant, as it was said: "outine" is "outline", "외각선" "외곽선"; else empty.
std::string likely_style(const std::vector<std::string>& known, std::string_view said);
// A caption whose style, after the last comma, is said in its own language: "사과, emoji" is "사과, 이모지". Models are trained
// on prompts that say a style in either.
std::string style_in_language(const std::string& caption, bool korean);
// How much of a caption in the making will not change by that: all, or what is before a last comma after which a style of the
// other language may be coming.
size_t settled_bytes(std::string_view beginning, bool korean);
// "emoji (이모지), line icon (선 아이콘)": for messages.
std::string both_names(const std::vector<std::string>& known);

// The Korean word of a style above; empty for any other.
inline std::string korean_style(std::string_view en) {
  for (auto& s : kStyleNames) {
    if (en == s.en) return s.ko;
  }
  return {};
}

}  // namespace duet
