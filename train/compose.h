// Pictures put together from stored ones, with captions that are exactly true: another colour, two things and how they
// stand, several of one thing, a coloured ground. A function of the pictures and the draws alone.
#pragma once
#include <functional>
#include <optional>
#include <string>

#include "fusion/shards.h"
#include "train/augment.h"
#include "train/composewords.h"
#include "vision/image.h"

namespace duet {

enum class ComposeKind : uint8_t { recolour, relation, count, ground };
constexpr int kComposeKinds = 4;

struct Part {
  Image image;  // whole and square or not, as stored
  Meta meta;
};

struct Composition {
  Image image;                  // size x size
  std::string text;             // in the language asked for
  std::string style, style_ko;  // that all parts share; empty where they do not
};

// Whether the part can be in a composition of this kind: its caption in this language is a plain phrase, it has no
// exact scene, and recolouring and grounds find a cut-out.
bool fits(const Part&, ComposeKind, Lang);

// `second`, of another concept, is needed by relation alone. Nothing where the draws' colour does not go with the
// picture (little contrast, several hues). size >= 16.
std::optional<Composition> compose(ComposeKind, const Part& first, const Part* second, int size, Lang, Draws&);

}  // namespace duet
