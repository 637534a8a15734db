#include "text/korean.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace duet {
namespace {

constexpr size_t kLongest = 1500;  // bytes: no line that a person is to read is longer

// How many parts of a message may still be looked up: what strangers send can be full of colons.
using Budget = int;
constexpr Budget kLookups = 40;

using Pieces = std::vector<std::string_view>;  // what stands between the {}

struct Template {
  Pieces english;
  size_t letters = 0;  // of the pieces: how much of a message is known for certain
  std::string_view korean;
};

Pieces pieces_of(std::string_view english) {
  Pieces out;
  size_t from = 0;
  for (size_t at; (at = english.find("{}", from)) != english.npos; from = at + 2)
    out.push_back(english.substr(from, at - from));
  out.push_back(english.substr(from));
  return out;
}

const std::vector<Template>& templates() {
  static const auto all = [] {
    std::vector<Template> out;
    for (const auto& [english, korean] : korean_messages()) {
      Template t{pieces_of(english), 0, korean};
      for (const auto& p : t.english) t.letters += p.size();
      out.push_back(std::move(t));
    }
    return out;
  }();
  return all;
}

// What stands for each {}: the first piece begins the message, the last ends it, the others are taken where they come first.
std::optional<Pieces> match(const Pieces& pieces, std::string_view message) {
  if (!message.starts_with(pieces.front())) return {};
  if (pieces.size() == 1) return message == pieces.front() ? std::optional(Pieces{}) : std::nullopt;
  message.remove_prefix(pieces.front().size());
  if (!message.ends_with(pieces.back())) return {};
  message.remove_suffix(pieces.back().size());
  Pieces values;
  for (size_t i = 1; i + 1 < pieces.size(); ++i) {
    const size_t at = message.find(pieces[i]);
    if (at == message.npos) return {};
    values.push_back(message.substr(0, at));
    message.remove_prefix(at + pieces[i].size());
  }
  values.push_back(message);
  return values;
}

std::optional<std::string> turned(std::string_view message, Budget& left);

// {}: the next value as it is; {m}: the next, a message; {2}: the second as it is.
std::string filled(std::string_view korean, const Pieces& values, Budget& left) {
  std::string out;
  size_t next = 0;
  for (size_t i = 0; i < korean.size(); ++i) {
    const std::string_view rest = korean.substr(i);
    const bool message = rest.starts_with("{m}");
    const bool numbered = rest.size() > 2 && rest[0] == '{' && rest[1] >= '1' && rest[1] <= '9' && rest[2] == '}';
    size_t which = values.size();
    if (numbered) which = size_t(rest[1] - '1');
    else if (message || rest.starts_with("{}")) which = next++;
    if (which >= values.size()) {
      out += korean[i];
      continue;
    }
    const std::string_view v = values[which];
    if (message) out += turned(v, left).value_or(std::string(v));
    else out += v;
    i += message || numbered ? 2 : 1;
  }
  return out;
}

// The template of which most is certain, none of whose values holds any of `no`; nesting: one of them is a message itself.
std::optional<std::string> matched(std::string_view message, std::initializer_list<std::string_view> no, bool nesting,
                                   Budget& left) {
  const Template* best = nullptr;
  Pieces values;
  for (const Template& t : templates()) {
    if ((best && t.letters <= best->letters) || (nesting && t.korean.find("{m}") == t.korean.npos)) continue;
    auto v = match(t.english, message);
    const auto holds = [&](std::string_view x) { return std::ranges::any_of(no, [&](auto n) { return x.find(n) != x.npos; }); };
    if (!v || std::ranges::any_of(*v, holds)) continue;
    best = &t, values = std::move(*v);
  }
  if (!best) return {};
  return filled(best->korean, values, left);
}

std::optional<std::string> turned(std::string_view message, Budget& left) {
  if (left-- <= 0 || message.size() > kLongest) return {};
  if (auto whole = matched(message, {"; ", ": "}, false, left)) return whole;
  for (size_t at = message.find("; "); at != message.npos; at = message.find("; ", at + 1)) {
    auto first = turned(message.substr(0, at), left);
    if (!first) continue;
    if (auto rest = turned(message.substr(at + 2), left)) return *first + ". " + *rest;
  }
  if (auto whole = matched(message, {"; "}, true, left)) return whole;
  // "name: clause": the name stays.
  for (size_t at = message.find(": "); at != message.npos; at = message.find(": ", at + 1))
    if (auto rest = turned(message.substr(at + 2), left)) return std::string(message.substr(0, at + 2)) + *rest;
  return matched(message, {}, false, left);
}

}  // namespace

std::optional<std::string> korean_of(std::string_view message) {
  Budget left = kLookups;
  return turned(message, left);
}

std::string in_korean(std::string_view message) {
  Budget left = kLookups;
  if (auto whole = turned(message, left)) return *whole;
  if (message.size() > kLongest) return std::string(message);
  std::string out;
  left = kLookups;
  while (true) {
    const size_t at = message.find("; ");
    const auto clause = turned(message.substr(0, at), left);
    out += clause ? *clause : message.substr(0, at);
    if (at == message.npos) return out;
    out += clause ? ". " : "; ";
    message.remove_prefix(at + 2);
  }
}

std::optional<std::string> korean_by(const KoreanMessage& row, std::string_view message) {
  const auto values = match(pieces_of(row.english), message);
  if (!values) return {};
  Budget left = kLookups;
  return filled(row.korean, *values, left);
}

bool korean_terminal() {
  for (const char* name : {"LC_ALL", "LC_MESSAGES", "LANG"})
    if (const char* v = std::getenv(name); v && *v) {
      // language[_territory][.codeset][@modifier]
      const std::string_view locale(v);
      if (!locale.starts_with("ko") || (locale.size() > 2 && !std::strchr("_.@", locale[2]))) return false;
      const size_t at = locale.find('.');
      if (at == locale.npos) return true;
      std::string codeset;
      for (const char c : locale.substr(at + 1, locale.find('@') - at - 1))
        if (c != '-') codeset += char(c | 32);
      return codeset == "utf8";
    }
  return false;
}

void say(const std::string& message) {
  std::fprintf(stderr, "duet: %s\n", (korean_terminal() ? in_korean(message) : message).c_str());
}

bool prefers_korean(std::string_view header) {
  const auto trimmed = [](std::string_view v) {
    while (!v.empty() && (v.front() == ' ' || v.front() == '\t')) v.remove_prefix(1);
    while (!v.empty() && (v.back() == ' ' || v.back() == '\t')) v.remove_suffix(1);
    return v;
  };
  double korean = 0, english = 0;
  while (!header.empty()) {
    const std::string_view one = header.substr(0, header.find(','));
    header.remove_prefix(std::min(header.size(), one.size() + 1));
    const size_t semicolon = one.find(';');
    const std::string_view tag = trimmed(one.substr(0, semicolon));
    double q = 1;
    if (const size_t at = one.find("q=", std::min(semicolon, one.size())); at != one.npos)
      q = std::strtod(std::string(one.substr(at + 2, 5)).c_str(), nullptr);
    const auto is = [&](const char* language) {
      return tag.size() >= 2 && (tag[0] | 32) == language[0] && (tag[1] | 32) == language[1] &&
             (tag.size() == 2 || tag[2] == '-');
    };
    // Just above: of equals the first that is named.
    if (is("ko") && q > korean && q > english) korean = q;
    else if (is("en") && q > english && q > korean) english = q;
  }
  return korean > english;
}

}  // namespace duet
