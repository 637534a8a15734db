#include "vision/scenetext.h"

#include <algorithm>

#include "kernels/error.h"
#include "vision/sceneword.h"

namespace duet {
namespace {

// The things in the order in which they are named: a said relation first.
std::vector<int> order_of(const ParsedScene& s) {
  std::vector<int> order;
  if (!s.relations.empty()) order = {s.relations[0].a, s.relations[0].b};
  for (int i = 0; i < int(s.things.size()); i++)
    if (std::find(order.begin(), order.end(), i) == order.end()) order.push_back(i);
  return order;
}

// ---- English

std::string english(const StatedThing& t, bool article, SceneRng& rng) {
  std::string s;
  if (t.size) s += pick_word(size_words(*t.size, Lang::en), rng) + " ";
  if (t.color) s += std::string(name(*t.color)) + " ";
  s += t.shape ? name(*t.shape) : "thing";
  if (!article) return s;
  std::string out = std::string_view("aeiou").find(s[0]) != std::string_view::npos ? "an " : "a ";
  return out += s;
}

std::string english_place(Cell c, SceneRng& rng) {
  static const Words edge[4] = {{"at the top", "at the top"},
                                {"on the left", "on the left side"},
                                {"on the right", "on the right side"},
                                {"at the bottom", "at the bottom"}};
  std::string word = name(c);
  switch (c) {
    case Cell::top:
      return pick_word(edge[0], rng);
    case Cell::left:
      return pick_word(edge[1], rng);
    case Cell::right:
      return pick_word(edge[2], rng);
    case Cell::bottom:
      return pick_word(edge[3], rng);
    case Cell::centre:
      return pick_word({"in the centre", "in the center", "in the middle"}, rng);
    default:
      return rng.chance(50) ? "in the " + word + " corner" : "at the " + word;
  }
}

std::string english_relation(Relation r, SceneRng& rng) {
  switch (r) {
    case Relation::left_of:
      return pick_word({"to the left of", "left of"}, rng);
    case Relation::right_of:
      return pick_word({"to the right of", "right of"}, rng);
    case Relation::above:
      return "above";
    default:
      return pick_word({"below", "under"}, rng);
  }
}

std::string tell_english(const ParsedScene& s, SceneRng& rng) {
  std::vector<int> order = order_of(s);
  auto thing = [&](int i, bool article = true) {
    const StatedThing& t = s.things[i];
    return english(t, article, rng) + (t.cell ? std::string(" ") += english_place(*t.cell, rng) : std::string());
  };
  std::string text;
  if (order.size() == 1) {
    const StatedThing& t = s.things[0];
    int way = rng.below(8);
    if (way == 0) text = "there is " + thing(0);
    else if (way == 1) text = thing(0, false);
    else if (way == 2) text = t.cell ? english_place(*t.cell, rng) + ", " + english(t, true, rng) : "a picture of " + thing(0);
    else if (way == 3 && t.cell) text = english(t, true, rng) + " is " + english_place(*t.cell, rng);
    else text = thing(0);
  } else if (!s.relations.empty()) {
    const StatedRelation& r = s.relations[0];
    int way = rng.below(4);
    if (way == 0) text = "there is ";
    text += thing(r.a) + (way == 1 ? " is " : " ") + english_relation(r.relation, rng) + " " + thing(r.b);
    for (size_t i = 2; i < order.size(); i++) text += ", and " + thing(order[i]);
  } else {
    bool placed = std::all_of(s.things.begin(), s.things.end(), [](auto& t) { return t.cell.has_value(); });
    bool place_first = placed && rng.chance(25);
    if (!place_first && rng.chance(20)) text = "there is ";
    for (size_t i = 0; i < order.size(); i++) {
      if (i) text += i + 1 < order.size() || place_first ? ", " : " and ";
      const StatedThing& t = s.things[i];
      text += place_first ? english_place(*t.cell, rng) + " " + english(t, true, rng) : thing(int(i));
    }
  }
  if (s.background)
    text += *s.background == kTransparent ? " on a transparent background"
                                          : pick_word({" on a grey background", " on a gray background"}, rng);
  return text;
}

// ---- Korean

bool closed_syllable(std::string_view word) {  // whether the last Hangul syllable ends in a consonant
  if (word.size() < 3) return false;
  auto b = [&](size_t i) { return uint32_t(uint8_t(word[word.size() - i])); };
  uint32_t code = (b(3) & 15) << 12 | (b(2) & 63) << 6 | (b(1) & 63);
  return code >= 0xac00 && code <= 0xd7a3 && (code - 0xac00) % 28 != 0;
}

std::string subject(std::string s) { return s + (closed_syllable(s) ? "이" : "가"); }
std::string with(std::string s) { return s + (closed_syllable(s) ? "과" : "와"); }

std::string korean(const StatedThing& t, SceneRng& rng) {
  std::string s;
  if (t.size) s += pick_word(size_words(*t.size, Lang::ko), rng) + " ";
  if (t.color) s += pick_word(color_words(*t.color, Lang::ko), rng) + " ";
  return s + (t.shape ? pick_word(shape_words(*t.shape, Lang::ko), rng) : "것");
}

std::string korean_place(Cell c, SceneRng& rng) {
  switch (c) {
    case Cell::top_left:
      return "왼쪽 위에";
    case Cell::top_right:
      return "오른쪽 위에";
    case Cell::bottom_left:
      return "왼쪽 아래에";
    case Cell::bottom_right:
      return "오른쪽 아래에";
    case Cell::top:
      return pick_word({"위쪽에", "위에"}, rng);
    case Cell::bottom:
      return pick_word({"아래쪽에", "아래에"}, rng);
    case Cell::left:
      return "왼쪽에";
    case Cell::right:
      return "오른쪽에";
    default:
      return pick_word({"가운데에", "중앙에"}, rng);
  }
}

std::string korean_relation(Relation r) {
  static const char* const k[] = {"왼쪽에", "오른쪽에", "위에", "아래에"};
  return k[int(r)];
}

std::string tell_korean(const ParsedScene& s, SceneRng& rng) {
  std::vector<int> order = order_of(s);
  auto noun = [&](int i) { return korean(s.things[i], rng); };
  auto place = [&](int i, const char* after) {
    return s.things[i].cell ? korean_place(*s.things[i].cell, rng) + after : std::string();
  };
  std::string text;
  if (order.size() == 1) {
    bool placed = s.things[0].cell.has_value();
    int way = rng.below(8);
    if (way == 0) text += placed ? subject(noun(0)) + " " + place(0, " 있다") : subject(noun(0)) + " 있다";
    else if (way == 1) text += place(0, " ") + subject(noun(0)) + " 있다";
    else if (way == 2) text += place(0, " 있는 ") + noun(0) + (placed ? "" : " 하나");
    else if (way == 3) text += place(0, " 있는 ") + noun(0) + (placed ? "" : " 그림");
    else text += place(0, " ") + noun(0);
    return text;
  }
  if (!s.relations.empty()) {
    const StatedRelation& r = s.relations[0];
    std::string where = korean_relation(r.relation);
    int way = rng.below(5);
    bool sentence = way < 3;
    if (way == 0) text += subject(place(r.a, " 있는 ") + noun(r.a)) + " " + noun(r.b) + "의 " + where;
    else if (way == 1) text += subject(noun(r.a)) + " " + noun(r.b) + "보다 " + where;
    else if (way == 2) text += noun(r.b) + "의 " + where + " " + subject(noun(r.a));
    else text += noun(r.b) + "의 " + where + (way == 3 ? " 있는 " : " ") + noun(r.a);
    for (size_t i = 2; i < order.size(); i++) {
      text += sentence ? " 있고 " : ", 그리고 ";
      text += place(order[i], " ");
      text += sentence ? subject(noun(order[i])) : noun(order[i]);
    }
    return text + (sentence ? " 있다" : "");
  }
  bool placed = std::all_of(s.things.begin(), s.things.end(), [](auto& t) { return t.cell.has_value(); });
  int way = rng.below(5);
  int last = int(order.size()) - 1;
  for (int i = 0; i <= last; i++) {
    if (placed && way == 0) text += subject(noun(i)) + " " + place(i, i < last ? " 있고 " : " 있다");
    else if (placed && way == 1) text += place(i, " ") + subject(noun(i)) + (i < last ? " 있고 " : " 있다");
    else if (placed && way == 2) text += place(i, " ") + noun(i) + (i < last ? ", " : "");
    else {
      std::string t = place(i, " 있는 ") + noun(i);
      bool sentence = way == 3 || way == 0;
      if (i == last) text += sentence ? subject(t) + " 있다" : t;
      else text += i + 1 == last ? with(t) + " " : t + ", ";
    }
  }
  return text;
}

// In front of a place the ground is its owner, so that there are not two "-에" in a row.
std::string korean_ground(int background, const std::string& text) {
  bool place_first = false;
  for (std::string_view w : {"왼쪽", "오른쪽", "위", "아래", "가운데", "중앙"}) place_first |= text.starts_with(w);
  return std::string(background == kTransparent ? "투명한" : "회색") + " 배경" + (place_first ? "의 " : "에 ") + text;
}

// Shapes and colours in their usual words, and the ground where it is said.
std::string plainest(const ParsedScene& s, Lang lang) {
  std::string text;
  int last = int(s.things.size()) - 1;
  for (int i = 0; i <= last; i++) {
    const StatedThing& t = s.things[i];
    if (lang == Lang::en) {
      std::string noun = std::string(name(*t.color)) + " " + name(*t.shape);
      text += (i == 0 ? "" : i < last ? ", " : " and ") + std::string(*t.color == Color::orange ? "an " : "a ") + noun;
    } else {
      std::string noun = std::string(color_words(*t.color, lang)[0]) + " " + shape_words(*t.shape, lang)[0];
      text += i == last ? noun : i + 1 == last ? with(noun) + " " : noun + ", ";
    }
  }
  if (!s.background) return text;
  if (lang == Lang::ko) return korean_ground(*s.background, text);
  return text + (*s.background == kTransparent ? " on a transparent background" : " on a grey background");
}

}  // namespace

Said choose_said(const Scene& scene, uint64_t seed, bool test) {
  SceneRng rng{seed ^ 0x5ca1ab1e0ddba11ull};
  Said said;
  said.things.resize(scene.things.size());
  said.background = scene.background != kTransparent || rng.chance(5);
  int count = int(scene.things.size());
  bool plain = rng.chance(count == 1 ? 25 : 15), anonymous = count == 1 && !test && rng.chance(4);
  std::vector<std::pair<int, int>> clear, kept;
  for (int i = 0; i < count; i++)
    for (int j = 0; j < count; j++) {
      if (i == j || !clear_relation(scene.things[i], scene.things[j])) continue;
      clear.push_back({i, j});
      if (held_out(scene.things[i], scene.things[j])) kept.push_back({i, j});
    }
  bool must = test && !kept.empty();
  int pick = rng.below(1 << 20);
  bool related = !clear.empty() && !plain && rng.chance(60);
  if (must) said.relations.push_back(kept[pick % kept.size()]);
  else if (related) said.relations.push_back(clear[pick % clear.size()]);
  bool all_placed = !plain && rng.chance(count == 1 ? 65 : 70), third_placed = rng.chance(40);
  for (int i = 0; i < count; i++) {
    bool in_relation = false;
    for (auto [a, b] : said.relations) in_relation |= i == a || i == b;
    SaidThing& t = said.things[i];
    t.color = !anonymous;
    t.size = rng.chance(70) && !plain && scene.things[i].size != Size::medium;
    t.cell = said.relations.empty() ? all_placed : third_placed && !in_relation;
  }
  return said;
}

ParsedScene stated(const Scene& scene, const Said& said) {
  ParsedScene out;
  for (size_t i = 0; i < scene.things.size(); i++) {
    const Thing& t = scene.things[i];
    const SaidThing& s = said.things[i];
    StatedThing o{.shape = t.shape, .color = {}, .size = {}, .cell = {}};
    if (s.color) o.color = t.color;
    if (s.size) o.size = t.size;
    if (s.cell) o.cell = cell_of(t.cx, t.cy);
    out.things.push_back(o);
  }
  for (auto [a, b] : said.relations) {
    const Thing &x = scene.things[a], &y = scene.things[b];
    out.relations.push_back({a, b, relation_of(x.cx, x.cy, y.cx, y.cy)});
  }
  if (said.background) out.background = scene.background;
  return out;
}

std::string tell(const ParsedScene& s, Lang lang, uint64_t seed) {
  SceneRng rng{seed ^ 0x7e11ab1edull};
  CHECK(!s.things.empty(), "a scene with something in it");
  if (lang == Lang::en) return tell_english(s, rng);
  std::string text = tell_korean(s, rng);
  return s.background ? korean_ground(*s.background, text) : text;
}

std::string caption(const Scene& scene, Lang lang, uint64_t seed) {
  return tell(stated(scene, choose_said(scene, seed)), lang, seed);
}

std::vector<std::string> captions(const Scene& scene, Lang lang) {
  Said plain;
  plain.things.resize(scene.things.size());
  plain.background = scene.background != kTransparent;
  std::vector<std::string> out{plainest(stated(scene, plain), lang)};
  for (uint64_t seed = 0; seed < 64 && out.size() < 12; seed++) {
    std::string s = caption(scene, lang, seed);
    if (std::find(out.begin(), out.end(), s) == out.end()) out.push_back(s);
  }
  return out;
}

ScenePrompt random_prompt(uint64_t seed, SceneSplit split, Lang lang) {
  ScenePrompt p{.text = {}, .lang = lang, .scene = random_scene(seed, split), .said = {}};
  p.said = choose_said(p.scene, seed, true);
  p.text = tell(stated(p.scene, p.said), lang, seed);
  return p;
}

}  // namespace duet
