// One page that shows what 'duet eval generate' found: figures, pictures, how it was measured. It holds everything it shows
// (pictures as data URLs), asks nothing of the network, runs no script, and follows the reader's light or dark setting.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "infer/eval_generate.h"
#include "infer/eval_scenes.h"

namespace duet {

struct PageHead {
  std::string title;
  std::vector<std::pair<std::string, std::string>> facts;  // weights, hash, steps ...
};

// scenes: may be null. show: pictures of each gallery.
std::string generate_page(const GenerateEval&, const SceneEval* scenes, const PageHead&, int show);

// At most `count` drawings of a group: near-copies first, then those with the smallest distance to a training picture.
std::vector<const GenerateEval::Drawn*> closest_to_training(const GenerateEval&, const GenerateEval::Group&, size_t count);

std::string escape_html(const std::string& utf8);  // for text and for attributes in quotes

}  // namespace duet
