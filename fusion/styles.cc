#include "fusion/styles.h"

#include <algorithm>

#include "text/nearest.h"
#include "text/unicode.h"

namespace duet {
namespace {

std::string folded(std::string_view s) {
  std::string out;
  for (char c : s)
    if (c != ' ' && c != '-' && c != '_') out += c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
  return out;
}

// Whether one of "a|b" is it.
bool among(std::string_view list, const std::string& it) {
  for (size_t at = 0; at < list.size();) {
    const size_t end = std::min(list.find('|', at), list.size());
    if (folded(list.substr(at, end - at)) == it) return true;
    at = end + 1;
  }
  return false;
}

const char* other_names(const std::string& en) {
  for (const auto& s : kStyleNames)
    if (en == s.en) return s.other;
  return "";
}

}  // namespace

std::optional<std::string> learned_style(const std::vector<std::string>& known, std::string_view said, bool korean) {
  const std::string it = folded(said);
  if (it.empty()) return std::nullopt;
  for (const auto& name : known) {
    const std::string ko = korean_style(name);
    if (folded(name) == it || (!ko.empty() && (folded(ko) == it || among(other_names(name), it))))
      return korean && !ko.empty() ? ko : name;
  }
  return std::nullopt;
}

std::string likely_style(const std::vector<std::string>& known, std::string_view said) {
  std::vector<std::string> names;
  for (const auto& name : known) {
    names.push_back(name);
    if (const std::string ko = korean_style(name); !ko.empty()) names.push_back(ko);
  }
  return std::string(likely_meant(names, said));
}

std::string style_in_language(const std::string& caption, bool korean) {
  const size_t at = caption.rfind(", ");
  if (at == caption.npos) return caption;
  const std::string_view last = std::string_view(caption).substr(at + 2);
  for (const auto& s : kStyleNames)
    if (last == (korean ? s.en : s.ko)) return caption.substr(0, at + 2) + (korean ? s.ko : s.en);
  return caption;
}

size_t settled_bytes(std::string_view beginning, bool korean) {
  const size_t at = beginning.rfind(',');
  if (at == beginning.npos) return beginning.size();
  std::string_view last = beginning.substr(at + 1);
  if (last.starts_with(' ')) last.remove_prefix(1);
  for (const auto& s : kStyleNames)
    if (std::string_view(korean ? s.en : s.ko).starts_with(last)) return at;
  return beginning.size();
}

bool prompt_is_korean(std::string_view prompt, std::string_view style) { return has_hangul(prompt.empty() ? style : prompt); }

std::string both_names(const std::vector<std::string>& known) {
  std::string line;
  for (const auto& name : known) {
    const std::string ko = korean_style(name);
    line += (line.empty() ? "" : ", ") + name + (ko.empty() ? "" : " (" + ko + ")");
  }
  return line;
}

}  // namespace duet
