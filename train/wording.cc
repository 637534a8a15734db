#include "train/wording.h"

#include <algorithm>
#include <vector>

#include "text/unicode.h"
#include "train/composewords.h"

namespace duet {
namespace {

constexpr double kWithTags = 0.17, kTagsOnly = 0.08, kOtherCaption = 0.5, kKoreanStyle = 0.7, kArticle = 0.2;

std::vector<std::string> cleaned(const std::vector<std::string>& in) {
  std::vector<std::string> out;
  for (auto& s : in)
    if (std::string c = clean_caption(s); !c.empty()) out.push_back(std::move(c));
  return out;
}

// n different tags in random order, ", " between.
std::string some_of(std::vector<std::string> tags, int n, Draws& draws) {
  std::string out;
  for (int i = 0; i < n && !tags.empty(); i++) {
    auto pick = tags.begin() + draws.below(int(tags.size()));
    out += (out.empty() ? "" : ", ") + *pick;
    tags.erase(pick);
  }
  return out;
}

}  // namespace

Wording choose_words(const Meta& m, double korean, double styled, Draws& draws) {
  struct Words {
    std::string caption;
    std::vector<std::string> captions, tags;
    bool empty() const { return caption.empty() && captions.empty() && tags.empty(); }
  };
  Words en{clean_caption(m.caption), cleaned(m.captions), cleaned(m.tags)};
  Words ko{clean_caption(m.caption_ko), cleaned(m.captions_ko), cleaned(m.tags_ko)};
  Wording w;
  w.korean = !ko.empty() && (en.empty() || draws.chance(korean));
  Words& words = w.korean ? ko : en;
  if (words.empty()) return w;

  if (words.caption.empty() || (!words.captions.empty() && draws.chance(kOtherCaption)))
    if (!words.captions.empty()) words.caption = words.captions[draws.below(int(words.captions.size()))];
  w.text = words.caption;
  // Names come bare ("red heart"); without this only scenes would say "a red heart", and so be drawn for it in any style.
  if (!w.korean && m.scene.empty() && draws.chance(kArticle))
    if (std::string named = with_article(w.text); !named.empty()) w.text = std::move(named);
  if (!words.tags.empty() && m.scene.empty()) {
    double r = draws.unit();
    if (w.text.empty() || r < kTagsOnly) w.text = some_of(words.tags, 2 + draws.below(3), draws);
    else if (r < kTagsOnly + kWithTags) w.text += ", " + some_of(words.tags, 1 + draws.below(2), draws);
  }
  w.text = say_style(w.text, w.korean, m.style, m.style_ko, styled, draws);
  return w;
}

std::string say_style(const std::string& words, bool korean, const std::string& style, const std::string& style_ko,
                      double styled, Draws& draws) {
  if (!draws.chance(styled)) return words;
  // People ask for a style in either language, whatever the language of the rest.
  bool native = korean && !style_ko.empty() && draws.chance(kKoreanStyle);
  return with_style(words, clean_caption(native ? style_ko : style));
}

}  // namespace duet
