// The words of scene captions, shared by the teller and the reader. The first of a list is the usual one.
#pragma once
#include <string>
#include <vector>

#include "vision/scenetext.h"

namespace duet {

using Words = std::vector<const char*>;

const Words& shape_words(ShapeKind, Lang);
const Words& color_words(Color, Lang);
const Words& size_words(Size, Lang);  // of small and big; medium has none

// The usual word half of the time, else any.
std::string pick_word(const Words&, SceneRng&);

}  // namespace duet
