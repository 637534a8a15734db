// Which words go with a picture this time: mostly its caption, sometimes with keywords, sometimes keywords alone.
#pragma once
#include <string>

#include "fusion/shards.h"
#include "train/augment.h"

namespace duet {

struct Wording {
  std::string text;  // cleaned (text/unicode.h); empty when the sample has no words at all
  bool korean = false;
};

// korean: chance of Korean where there is English too. styled: chance to name the style, in Korean words mostly
// in Korean ones. A scene's words are taken as they
// are, without keywords.
Wording choose_words(const Meta&, double korean, double styled, Draws&);

// "a cat" -> "a cat, 3D" with the chance `styled`: how choose_words names the style.
std::string say_style(const std::string& words, bool korean, const std::string& style, const std::string& style_ko,
                      double styled, Draws&);

}  // namespace duet
