#include "infer/sampler.h"
#include "text/unicode.h"

namespace duet {

std::vector<int> prompt_ids(const Tokenizer& tokenizer, const std::string& text, int most) {
  const std::string clean = clean_caption(text);
  std::vector<int> ids{tokenizer.special(has_hangul(clean) ? "<|ko|>" : "<|en|>")};
  const std::vector<int> words = tokenizer.encode(clean);
  ids.insert(ids.end(), words.begin(), words.end());
  if (int(ids.size()) > most) ids.resize(size_t(most));
  return ids;
}

}  // namespace duet
