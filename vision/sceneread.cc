// Reading captions of scenes. Both languages become a row of marks (a colour, a place, a thing's noun, "of", ...) that
// a small machine turns into things and relations.
#include <algorithm>
#include <cctype>
#include <map>

#include "vision/sceneword.h"

namespace duet {
namespace {

constexpr size_t kMostThings = 6;

// A place is collected piece by piece: "top" + "left", "왼쪽" + "위". -1, 0, 1 in each direction; 0 alone is the
// middle.
struct Place {
  bool any = false;
  int column = 0, row = 0;
  Cell cell() const { return Cell((row + 1) * 3 + column + 1); }
  std::optional<Relation> relation() const {
    if (column && !row) return column < 0 ? Relation::left_of : Relation::right_of;
    if (row && !column) return row < 0 ? Relation::above : Relation::below;
    return {};
  }
};

struct Mark {
  enum Kind { none, shape, color, size, place, relation, ground, of, picture, end } kind = none;
  int value = 0;  // of the enum; of a place: column + 1 + 3 * (row + 1)
};
Mark mark_place(int column, int row) { return {Mark::place, column + 1 + 3 * (row + 1)}; }

using Lexicon = std::map<std::string, Mark, std::less<>>;

void add_words(Lexicon& lex, Lang lang) {
  for (int i = 0; i < kShapes; i++)
    for (const char* w : shape_words(ShapeKind(i), lang)) lex[w] = {Mark::shape, i};
  for (int i = 0; i < kColors; i++)
    for (const char* w : color_words(Color(i), lang)) lex[w] = {Mark::color, i};
  for (Size s : {Size::small, Size::big})
    for (const char* w : size_words(s, lang)) lex[w] = {Mark::size, int(s)};
}

const Lexicon& english_words() {
  static const Lexicon lexicon = [] {
    Lexicon lex;
    add_words(lex, Lang::en);
    lex["tiny"] = {Mark::size, int(Size::small)};
    lex["violet"] = {Mark::color, int(Color::purple)};
    lex["left"] = mark_place(-1, 0), lex["right"] = mark_place(1, 0);
    lex["top"] = lex["upper"] = mark_place(0, -1), lex["bottom"] = lex["lower"] = mark_place(0, 1);
    lex["centre"] = lex["center"] = lex["middle"] = mark_place(0, 0);
    lex["above"] = lex["over"] = {Mark::relation, int(Relation::above)};
    lex["below"] = lex["under"] = lex["beneath"] = {Mark::relation, int(Relation::below)};
    lex["grey"] = lex["gray"] = {Mark::ground, kGrey};
    lex["transparent"] = {Mark::ground, kTransparent};
    lex["of"] = {Mark::of, 0};
    lex["picture"] = lex["image"] = lex["canvas"] = {Mark::picture, 0};
    return lex;
  }();
  return lexicon;
}

const Lexicon& korean_words() {
  static const Lexicon lexicon = [] {
    Lexicon lex;
    add_words(lex, Lang::ko);
    lex["빨강"] = {Mark::color, int(Color::red)}, lex["노랑"] = {Mark::color, int(Color::yellow)};
    lex["파랑"] = {Mark::color, int(Color::blue)}, lex["검정"] = lex["검정색"] = {Mark::color, int(Color::black)};
    lex["까만색"] = {Mark::color, int(Color::black)}, lex["분홍색"] = {Mark::color, int(Color::pink)};
    lex["핑크색"] = {Mark::color, int(Color::pink)}, lex["정사각형"] = {Mark::shape, int(ShapeKind::square)};
    lex["왼쪽"] = mark_place(-1, 0), lex["오른쪽"] = mark_place(1, 0);
    lex["위"] = lex["위쪽"] = mark_place(0, -1), lex["아래"] = lex["아래쪽"] = mark_place(0, 1);
    lex["가운데"] = lex["중앙"] = mark_place(0, 0);
    lex["회색"] = {Mark::ground, kGrey}, lex["투명한"] = {Mark::ground, kTransparent};
    lex["있다"] = lex["있고"] = lex["있으며"] = lex["그리고"] = {Mark::end, 0};
    return lex;
  }();
  return lexicon;
}

struct Reader {
  ParsedScene out;
  StatedThing next;                        // what was said of the thing that is still to come
  std::optional<StatedRelation> awaiting;  // a relation whose first (Korean) or second (English) thing is still to come
  Place place;
  bool full = false;

  void add_piece(int value) {
    place.any = true;
    if (int c = value % 3 - 1) place.column = c;
    if (int r = value / 3 - 1) place.row = r;
  }

  void attributes(Mark m) {
    if (m.kind == Mark::color) next.color = Color(m.value);
    if (m.kind == Mark::size) next.size = Size(m.value);
    if (m.kind == Mark::ground) out.background = m.value;
  }

  int add_thing(int shape) {
    int index = int(out.things.size());
    full = out.things.size() >= kMostThings;
    if (full) return index - 1;
    next.shape = ShapeKind(shape);
    out.things.push_back(next);
    next = {};
    if (awaiting) {
      (awaiting->a < 0 ? awaiting->a : awaiting->b) = index;
      out.relations.push_back(*awaiting);
      awaiting.reset();
    }
    return index;
  }

  // A place follows its thing, or stands before it.
  void settle(int owner) {
    if (!place.any) return;
    if (owner >= 0 && !out.things[owner].cell) out.things[owner].cell = place.cell();
    else next.cell = place.cell();
    place = {};
  }
};

ParsedScene read_english(std::string_view text) {
  Reader r;
  bool after_of = false;  // a place and "of" were read: "the left of" a thing, or of the picture
  size_t i = 0;
  auto last = [&] { return int(r.out.things.size()) - 1; };
  while (i < text.size() && !r.full) {
    if (!std::isalpha(uint8_t(text[i]))) {
      i++;
      continue;
    }
    std::string word;
    for (; i < text.size() && std::isalpha(uint8_t(text[i])); i++) word += char(std::tolower(uint8_t(text[i])));
    auto found = english_words().find(word);
    Mark m = found == english_words().end() ? Mark{} : found->second;
    if (m.kind == Mark::place) {
      r.add_piece(m.value);
      continue;
    }
    if (m.kind == Mark::of && r.place.any) {
      after_of = true;
      continue;
    }
    if (after_of && m.kind == Mark::none) continue;  // "of the", "of a"
    if (after_of && m.kind != Mark::picture) {
      if (auto rel = r.place.relation(); rel && last() >= 0) r.awaiting = StatedRelation{last(), -1, *rel};
      r.place = {};
    }
    after_of = false;
    r.settle(last());
    if (m.kind == Mark::relation && last() >= 0) r.awaiting = StatedRelation{last(), -1, Relation(m.value)};
    if (m.kind == Mark::shape) r.add_thing(m.value);
    r.attributes(m);
  }
  r.settle(last());
  return r.out;
}

// The longest word of the lexicon that begins the run of letters and leaves a particle (or nothing).
Mark korean_mark(std::string_view run, std::string_view& particle) {
  static constexpr std::string_view particles[] = {"",   "이",   "가", "은",   "는",   "과", "와",
                                                   "의", "보다", "에", "에는", "에서", "도", "하고"};
  for (size_t n = run.size(); n > 0; n--) {
    auto found = korean_words().find(run.substr(0, n));
    if (found == korean_words().end()) continue;
    particle = run.substr(n);
    if (std::find(std::begin(particles), std::end(particles), particle) != std::end(particles)) return found->second;
  }
  particle = {};
  return {};
}

ParsedScene read_korean(std::string_view text) {
  Reader r;
  int subject = -1, reference = -1;  // "A가", "B의" or "B보다" of the clause
  auto flush = [&] {
    if (!r.place.any) return;
    if (reference < 0) return r.settle(subject);
    if (auto rel = r.place.relation()) {
      if (subject >= 0 && subject != reference) r.out.relations.push_back({subject, reference, *rel});
      else r.awaiting = StatedRelation{-1, reference, *rel};
    }
    r.place = {};
    reference = -1;
  };
  size_t i = 0;
  while (i < text.size() && !r.full) {
    if (uint8_t(text[i]) < 0x80) {
      if (text[i] == ',' || text[i] == '.') flush(), subject = -1;
      i++;
      continue;
    }
    size_t start = i;
    while (i < text.size() && uint8_t(text[i]) >= 0x80) i++;
    std::string_view particle;
    Mark m = korean_mark(text.substr(start, i - start), particle);
    if (m.kind == Mark::place) {
      r.add_piece(m.value);
      if (particle.starts_with("에")) flush();
      continue;
    }
    flush();
    if (m.kind == Mark::end) subject = reference = -1;
    r.attributes(m);
    if (m.kind != Mark::shape) continue;
    int thing = r.add_thing(m.value);
    if (particle == "이" || particle == "가" || particle == "은" || particle == "는") subject = thing;
    reference = particle == "의" || particle == "보다" ? thing : -1;
  }
  flush();
  return r.out;
}

}  // namespace

ParsedScene parse_caption(std::string_view text, Lang lang) {
  return lang == Lang::en ? read_english(text) : read_korean(text);
}

}  // namespace duet
