// Words of pictures put together from stored ones, in English and Korean: which captions may be part of one, and how
// the whole is said.
#pragma once
#include <string>

#include "fusion/shards.h"
#include "train/augment.h"
#include "vision/scenetext.h"

namespace duet {

enum class Ground : uint8_t { disc, square, plain };

// The caption as part of another: a short plain phrase, in Korean one that takes particles. Empty where there is none.
std::string part_name(const Meta&, Lang);

// Whether words said in front of the name are about its thing. Korean puts all that describes in front, so that they
// would be about the star in "별이 있는 방패" (a shield with a star).
bool takes_words_in_front(const std::string& name, Lang);

bool names_a_color(const Meta&);  // a caption or keyword says a colour, or gold, skin and the like

// "two cats"; empty for English words that have no plural we can be sure of (phrases, "milk", "scissors").
std::string plural(const std::string& name);

// "red heart" -> "a red heart", as people type it; empty where there is an article or plural() knows none of it.
std::string with_article(const std::string& name);

// "a mug" + blue -> "a blue mug"; "머그잔" -> "파란 머그잔".
std::string colored(const std::string& name, Color, Lang);
// How a stands to b: "a cat to the left of a dog", "개의 왼쪽에 있는 고양이".
std::string related(const std::string& a, Relation, const std::string& b, Lang, Draws&);
// 2 to 4 of it: "three cats", "고양이 셋". English names must have a plural.
std::string counted(const std::string& name, int count, Lang, Draws&);
// "a cat on a blue circle", "파란 원 위의 고양이"; "a cat on a blue background", "파란 배경의 고양이".
std::string grounded(const std::string& name, Ground, Color, Lang, Draws&);

}  // namespace duet
