#include <algorithm>

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

std::string unread_letter(const Tokenizer& tokenizer, const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const size_t n = std::max<size_t>(1, utf8_sequence(text, at));
    const std::string one = text.substr(at, n);
    at += n;
    const bool mark = one.starts_with("\xe2\x80") || one.starts_with("\xe2\x81") || one.starts_with("\xe3\x80");
    if (n >= 3 && !mark && !has_hangul(one) && tokenizer.encode(one).size() >= n) return one;
  }
  return {};
}

}  // namespace duet
