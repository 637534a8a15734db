#include "vision/scenescore.h"

#include <algorithm>

namespace duet {
namespace {

constexpr int kMostMatched = 6;

Score score_as(const ParsedScene& s, const SeenScene& there, const std::vector<int>& match) {
  Score score;
  auto partner = [&](int i) { return match[i] < 0 ? nullptr : &there.things[match[i]]; };
  for (size_t i = 0; i < s.things.size(); i++) {
    const StatedThing& t = s.things[i];
    const SeenThing* p = partner(int(i));
    if (t.shape) score[Attribute::shape].add(p && p->shape == t.shape);
    if (t.color) score[Attribute::color].add(p && p->color == *t.color);
    if (t.size) score[Attribute::size].add(p && p->size == *t.size);
    if (t.cell) score[Attribute::position].add(p && cell_of(p->cx, p->cy) == *t.cell);
  }
  for (const StatedRelation& r : s.relations) {
    const SeenThing *a = partner(r.a), *b = partner(r.b);
    score[Attribute::relation].add(a && b && relation_of(a->cx, a->cy, b->cx, b->cy) == r.relation);
  }
  if (s.background) score[Attribute::background].add(there.background == *s.background);
  score[Attribute::count].add(there.things.size() == s.things.size());
  return score;
}

int points(const Score& s) {
  int sum = 0;
  for (const Tally& t : s.tally) sum += t.right;
  return sum;
}

// All ways to give each stated thing one that is there, or none.
void search(const ParsedScene& s, const SeenScene& there, std::vector<int>& match, size_t i, uint32_t used, Score& best,
            std::vector<int>& best_match) {
  if (i == s.things.size()) {
    Score score = score_as(s, there, match);
    if (best_match.empty() || points(score) > points(best)) best = score, best_match = match;
    return;
  }
  int n = std::min(kMostMatched, int(there.things.size()));
  for (int j = 0; j < n; j++) {
    if (used >> j & 1) continue;
    match[i] = j;
    search(s, there, match, i + 1, used | 1u << j, best, best_match);
  }
  // Leaving a stated thing without a partner can only help when there are too few to go round.
  if (n < int(s.things.size())) {
    match[i] = -1;
    search(s, there, match, i + 1, used, best, best_match);
  }
}

}  // namespace

const char* name(Attribute a) {
  static const char* const k[] = {"shape", "color", "size", "position", "relation", "count", "background"};
  return k[int(a)];
}

bool Score::whole() const {
  return std::all_of(tally.begin(), tally.end(), [](const Tally& t) { return t.right == t.total; });
}

SeenScene seen(const Scene& scene) {
  SeenScene out{.things = {}, .background = scene.background};
  for (const Thing& t : scene.things) out.things.push_back({t.shape, t.color, t.size, t.cx, t.cy});
  return out;
}

Score judge(const ParsedScene& stated, const SeenScene& there) {
  Score best;
  std::vector<int> match(stated.things.size(), -1), best_match;
  search(stated, there, match, 0, 0, best, best_match);
  return best_match.empty() ? score_as(stated, there, match) : best;
}

Score score_caption(const ParsedScene& parsed, const Scene& scene) {
  Score score = judge(parsed, seen(scene));
  for (size_t i = parsed.things.size(); i < scene.things.size(); i++) {
    score[Attribute::shape].add(false);
    score[Attribute::color].add(false);
  }
  return score;
}

}  // namespace duet
