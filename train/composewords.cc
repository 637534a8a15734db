#include "train/composewords.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <unordered_set>

#include "kernels/error.h"
#include "text/josa.h"
#include "text/unicode.h"
#include "train/words.h"
#include "vision/sceneword.h"

namespace duet {
namespace {

using Set = std::unordered_set<std::string_view>;

constexpr size_t kMostEnglish = 36, kMostKorean = 48;  // bytes of a name

const Set& color_words_en() {
  static const Set words = {"red",   "orange", "yellow", "green",     "blue",   "purple",  "violet",  "pink",    "brown",
                            "black", "white",  "grey",   "gray",      "gold",   "golden",  "silver",  "cyan",    "teal",
                            "beige", "indigo", "color",  "coloured",  "colour", "colored", "magenta", "rainbow", "dark",
                            "light", "skin",   "bronze", "turquoise", "maroon", "crimson"};
  return words;
}

constexpr std::array kColorsKo = {"빨간", "빨강", "주황", "오렌지", "노란",   "노랑", "초록", "녹색",  "파란", "파랑",
                                  "보라", "분홍", "핑크", "갈색",   "검은",   "검정", "흰",   "하얀",  "하양", "회색",
                                  "금색", "은색", "황금", "하늘색", "무지개", "색깔", "색상", "피부색"};

// Nouns that are not counted, come in pairs, or have their plural in another way; and what stands last in names that
// are no nouns at all.
const Set& uncounted() {
  static const Set words = {
      "rice",  "milk",      "water",   "fire",    "rain",     "snow",      "bread",    "money",     "wine",     "coffee",
      "tea",   "honey",     "popcorn", "corn",    "cheese",   "butter",    "meat",     "bacon",     "sushi",    "music",
      "wind",  "fog",       "smoke",   "grass",   "broccoli", "spaghetti", "garlic",   "salt",      "ice",      "luggage",
      "hair",  "lightning", "dna",     "wood",    "gold",     "people",    "men",      "women",     "children", "up",
      "down",  "left",      "right",   "off",     "on",       "plus",      "minus",    "open",      "closed",   "low",
      "high",  "full",      "empty",   "outline", "filled",   "simple",    "variant",  "multiple",  "half",     "broken",
      "check", "slash",     "x",       "out",     "in",       "over",      "infinity", "equipment", "clothing", "furniture",
      "food",  "fruit",     "seafood", "jewelry", "traffic",  "weather",   "sun",      "moon"};
  return words;
}

// Words at whose front a name is no noun with one plural.
constexpr std::array<std::string_view, 9> kActors = {"person", "man",    "woman",  "men", "women",
                                                     "people", "family", "couple", "kiss"};

bool speaks_plainly(const std::string& s) {
  return std::none_of(s.begin(), s.end(), [](char c) {
    return std::string_view(":;,.!?\"()[]{}/\\&+*#@|~^=<>_").find(c) != std::string_view::npos || (c >= '0' && c <= '9');
  });
}

bool says(const std::string& words, const Set& any) {
  auto parts = split_words(lower_ascii(words), " -,.:;'\"()");
  return std::any_of(parts.begin(), parts.end(), [&](const std::string& w) { return any.contains(w); });
}

bool says_korean_color(const std::string& words) {
  return std::any_of(kColorsKo.begin(), kColorsKo.end(), [&](const char* w) { return words.find(w) != words.npos; });
}

const char* article(const std::string& word) {
  return std::string_view("aeiouAEIOU").find(word[0]) != std::string_view::npos ? "an " : "a ";
}

std::string pick(std::initializer_list<const char*> ways, Draws& draws) {
  return *(ways.begin() + draws.below(int(ways.size())));
}

std::string plural_word(const std::string& w) {
  static const std::pair<std::string_view, std::string_view> odd[] = {
      {"mouse", "mice"},        {"foot", "feet"},           {"tooth", "teeth"},     {"goose", "geese"},
      {"child", "children"},    {"leaf", "leaves"},         {"knife", "knives"},    {"wolf", "wolves"},
      {"loaf", "loaves"},       {"fish", "fish"},           {"sheep", "sheep"},     {"deer", "deer"},
      {"shrimp", "shrimp"},     {"bison", "bison"},         {"tomato", "tomatoes"}, {"potato", "potatoes"},
      {"volcano", "volcanoes"}, {"mosquito", "mosquitoes"}, {"hero", "heroes"},     {"cactus", "cacti"},
      {"snowman", "snowmen"},   {"elf", "elves"},           {"shelf", "shelves"},   {"calf", "calves"},
      {"octopus", "octopuses"}, {"bus", "buses"},           {"walrus", "walruses"}, {"crocus", "crocuses"},
      {"compass", "compasses"}, {"glass", "glasses"},       {"dress", "dresses"},   {"cross", "crosses"}};
  for (auto& [one, many] : odd)
    if (w == one) return std::string(many);
  auto ends = [&](std::string_view e) { return w.ends_with(e); };
  if (ends("ing") && w.size() > 6) return {};  // "walking"; "ring" and "swing" are things
  if (ends("man") && w != "human") return {};
  if (ends("s") || ends("ese")) return {};
  if (ends("x") || ends("ch") || ends("sh") || ends("z")) return ends("stomach") ? w + "s" : w + "es";
  if (ends("y") && w.size() > 1 && std::string_view("aeiou").find(w[w.size() - 2]) == std::string_view::npos)
    return w.substr(0, w.size() - 1) + "ies";
  return w + "s";
}

}  // namespace

std::string part_name(const Meta& m, Lang lang) {
  std::string s = clean_caption(lang == Lang::en ? m.caption : m.caption_ko);
  if (s.empty() || s.size() > (lang == Lang::en ? kMostEnglish : kMostKorean) || !speaks_plainly(s)) return {};
  if (lang == Lang::ko) return ends_in_hangul(s) ? s : std::string();
  static const Set joints = {"and", "or", "above", "below", "under", "left", "right", "on", "left-facing", "right-facing"};
  if (!std::isalpha(static_cast<unsigned char>(s[0])) || says(s, joints)) return {};
  return s;
}

bool takes_words_in_front(const std::string& name, Lang lang) {
  if (lang == Lang::en) return true;
  if (split_words(name, " ").size() > 2) return false;
  for (const char* own : {"있는 ", "진 ", "의 ", "한 ", "은 ", "는 ", "과 ", "와 "})
    if (name.find(own) != name.npos) return false;
  return true;
}

bool names_a_color(const Meta& m) {
  for (auto* s : {&m.caption, &m.caption_ko})
    if (says(*s, color_words_en()) || says_korean_color(*s)) return true;
  for (auto* list : {&m.captions, &m.captions_ko, &m.tags, &m.tags_ko})
    for (auto& s : *list)
      if (says(s, color_words_en()) || says_korean_color(s)) return true;
  return false;
}

std::string plural(const std::string& name) {
  auto words = split_words(without_article(name), " ");
  if (words.empty() || words.size() > 3 || uncounted().contains(words.back())) return {};
  if (words.size() > 1 && std::find(kActors.begin(), kActors.end(), words[0]) != kActors.end()) return {};
  for (auto& w : words)
    for (std::string_view joint : {"with", "of", "in", "on", "to", "without", "at", "for", "from", "no", "not"})
      if (w == joint) return {};
  const std::string& last = words.back();
  if (!std::all_of(last.begin(), last.end(), [](unsigned char c) { return std::islower(c) || c == '-'; })) return {};
  std::string many = plural_word(last), out;
  if (many.empty()) return {};
  for (size_t i = 0; i + 1 < words.size(); i++) out += words[i] + " ";
  return out + many;
}

std::string with_article(const std::string& name) {
  return plural(name).empty() || without_article(name) != name ? std::string() : article(name) + name;
}

std::string colored(const std::string& name, Color color, Lang lang) {
  std::string word = color_words(color, lang)[0];
  if (lang == Lang::ko) return word + " " + name;
  std::string bare = without_article(name), low = lower_ascii(name);
  if (bare == name) return word + " " + name;
  return (low.starts_with("the ") ? "the " : low.starts_with("some ") ? "some " : article(word)) + word + " " + bare;
}

std::string related(const std::string& a, Relation r, const std::string& b, Lang lang, Draws& draws) {
  if (lang == Lang::en) {
    std::string how = r == Relation::left_of    ? pick({"to the left of", "left of"}, draws)
                      : r == Relation::right_of ? pick({"to the right of", "right of"}, draws)
                      : r == Relation::above    ? "above"
                                                : pick({"below", "under"}, draws);
    return a + " " + how + " " + b;
  }
  static const char* const places[] = {"왼쪽에", "오른쪽에", "위에", "아래에"};
  std::string where = b + "의 " + places[int(r)];
  switch (draws.below(3)) {
    case 0:
      return josa(a, "이", "가") + " " + where + " 있다";
    case 1:
      return where + " 있는 " + a;
    default:
      return where + " " + a;
  }
}

std::string counted(const std::string& name, int count, Lang lang, Draws& draws) {
  CHECK(count >= 2 && count <= 4, count);
  if (lang == Lang::en) {
    static const char* const words[] = {"two", "three", "four"};
    return std::string(words[count - 2]) + " " + plural(name);
  }
  // Numbers without a counter go with things, animals and people alike.
  static const char* const words[] = {"둘", "셋", "넷"};
  return draws.chance(0.75) ? name + " " + words[count - 2] : josa(name, "이", "가") + " " + words[count - 2] + " 있다";
}

std::string grounded(const std::string& name, Ground ground, Color color, Lang lang, Draws& draws) {
  std::string word = color_words(color, lang)[0];
  if (lang == Lang::en) {
    std::string what = ground == Ground::disc     ? pick({"circle", "disc"}, draws)
                       : ground == Ground::square ? "square"
                                                  : pick({"background", "ground"}, draws);
    return name + " on " + article(word) + word + " " + what;
  }
  if (ground == Ground::plain) return word + " 배경" + (draws.chance(0.5) ? "의 " : "에 ") + name;
  std::string what = ground == Ground::disc ? pick({"원", "동그라미"}, draws) : pick({"사각형", "네모"}, draws);
  return word + " " + what + " 위의 " + name;
}

}  // namespace duet
