#include "text/korean.h"

#include <gtest/gtest.h>

#include <cctype>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "text/koreanmessages.h"

namespace duet {
namespace {
namespace fs = std::filesystem;

using Words = std::vector<std::string>;

// Of C++ source: the place after the string or character literal that begins at i, else i.
size_t after_literal(const std::string& s, size_t i) {
  const char quote = s[i];
  if (quote != '"' && !(quote == '\'' && (i == 0 || !std::isalnum(static_cast<unsigned char>(s[i - 1]))))) return i;
  size_t j = i + 1;
  while (j < s.size() && s[j] != quote) j += s[j] == '\\' ? 2 : 1;
  return j + 1;
}

std::string without_comments(const std::string& s) {
  std::string out;
  for (size_t i = 0; i < s.size();) {
    const size_t end = after_literal(s, i);
    if (end > i) out += s.substr(i, end - i), i = end;
    else if (s.compare(i, 2, "//") == 0) i = std::min(s.find('\n', i), s.size());
    else out += s[i++];
  }
  return out;
}

// What stands between the separators of the outermost level, up to the bracket that closes it (or the end).
Words parts(const std::string& s, size_t i, char separator) {
  Words out{""};
  for (int depth = 0; i < s.size();) {
    const size_t end = after_literal(s, i);
    if (end > i) {
      out.back() += s.substr(i, end - i), i = end;
      continue;
    }
    const char c = s[i++];
    if (std::strchr("([{", c)) ++depth;
    if (std::strchr(")]}", c) && depth-- == 0) break;
    const bool doubled = c == ':' && ((i < s.size() && s[i] == ':') || (i > 1 && s[i - 2] == ':'));
    if (c == separator && depth == 0 && !doubled) out.emplace_back();
    else out.back() += c;
  }
  for (auto& o : out) {
    const size_t a = o.find_first_not_of(" \n"), b = o.find_last_not_of(" \n");
    o = a == o.npos ? "" : o.substr(a, b - a + 1);
  }
  return out;
}

// The text of literals that stand side by side; none where there is anything else.
std::optional<std::string> literal(const std::string& e) {
  std::string out;
  for (size_t i = 0; i < e.size();) {
    if (std::isspace(static_cast<unsigned char>(e[i]))) ++i;
    else if (e[i] != '"') return {};
    else
      for (++i; e[i] != '"' || !++i; ++i) {
        if (e[i] == '\\') ++i;
        out += e[i];
      }
  }
  return e.empty() ? std::nullopt : std::optional(out);
}

constexpr char kUnknown = '\x01';

// What an expression can say, kUnknown for what reading it does not tell.
Words sayings(const std::string& e);
Words joined(const Words& pieces) {
  Words out{""};
  for (const auto& p : pieces) {
    Words next;
    for (const auto& head : out)
      for (const auto& tail : sayings(p))
        if (next.size() < 16) next.push_back(head + tail);
    out = next;
  }
  return out;
}
Words sayings(const std::string& e) {
  if (auto text = literal(e)) return {*text};
  for (const char* call : {"std::string(", "join("})
    if (e.starts_with(call) && e.ends_with(")")) return joined(parts(e, std::strlen(call), ','));
  if (const Words ask = parts(e, 0, '?'); ask.size() == 2 && e.find('"') != e.npos) {
    const Words branches = parts(ask[1], 0, ':');
    if (branches.size() == 2) {
      Words both = sayings(branches[0]);
      for (auto& s : sayings(branches[1])) both.push_back(s);
      return both;
    }
  }
  if (const Words sum = parts(e, 0, '+'); sum.size() > 1) return joined(sum);
  return {std::string(1, kUnknown)};
}

// Every message that the sources can say on bad input -> where.
std::map<std::string, std::string> messages_of_sources() {
  std::map<std::string, std::string> out;
  // name of the call -> which of its arguments are the message: all (-1), or one
  const std::map<std::string, int> calls{{"refuse", -1},     {"HttpError", 1},        {"bad", -1},     {"say", 0}, {"Busy", 0},
                                         {"DecoderDied", 0}, {"DicomUnavailable", 0}, {"DicomDied", 0}};
  const fs::path root = fs::path(__FILE__).parent_path().parent_path().parent_path();
  for (const char* folder : {"vision", "text", "fusion", "kernels", "train", "infer"})
    for (const auto& f : fs::recursive_directory_iterator(root / folder)) {
      if (f.path().extension() != ".cc" && f.path().extension() != ".h") continue;
      std::ostringstream read;
      read << std::ifstream(f.path()).rdbuf();
      const std::string s = without_comments(read.str());
      for (const auto& [call, which] : calls)
        for (size_t at = s.find(call + "("); at != s.npos; at = s.find(call + "(", at + 1)) {
          if (at && (std::isalnum(static_cast<unsigned char>(s[at - 1])) || s[at - 1] == '_')) continue;
          Words arguments = parts(s, at + call.size() + 1, ',');
          if (which >= int(arguments.size())) continue;
          if (which >= 0) arguments = {arguments[size_t(which)]};
          const bool of_parameter = literal(arguments[0]).value_or("").find(' ') == std::string::npos;
          if (call == "bad" && arguments.size() > 1 && of_parameter) arguments.erase(arguments.begin());
          for (const auto& m : joined(arguments)) out.emplace(m, f.path().filename());
        }
    }
  return out;
}

// Whether it can be said in Korean with numbers for what is not known, or with a name before it, with nothing there, or with a
// clause of the table, where one of these may stand.
bool known(const std::string& m, size_t from = 0) {
  const size_t at = m.find(kUnknown, from);
  if (at == m.npos) return korean_of(m).has_value();
  for (const char* value : {"7", "7: ", "", "the file is empty", "the prompt"})
    if (known(std::string(m).replace(at, 1, value), at)) return true;
  return false;
}

bool has_word(const std::string& s) {
  int run = 0;
  for (const char c : s) {
    run = c >= 'a' && c <= 'z' ? run + 1 : 0;
    if (run == 3) return true;
  }
  return false;
}

TEST(Korean, EveryMessageOfTheSourcesIsInTheTable) {
  const auto messages = messages_of_sources();
  EXPECT_GT(messages.size(), 400u);  // they were found
  int checked = 0;
  for (const auto& [m, file] : messages) {
    if (!has_word(m)) continue;
    ++checked;
    EXPECT_TRUE(known(m)) << file << ": text/koreanmessages.cc lacks: " << m;
  }
  EXPECT_GT(checked, 400);
}

TEST(Korean, TheTableFillsWhatItNames) {
  const auto word = [](int n) { return std::string("w").append(std::to_string(n)).append("w"); };
  std::set<std::string_view> seen;
  for (const auto& [english, korean] : korean_messages()) {
    EXPECT_TRUE(seen.insert(english).second) << "twice: " << english;
    const std::string message = [&] {
      std::string s(english);
      int n = 0;
      for (size_t at; (at = s.find("{}")) != s.npos;) s = s.substr(0, at).append(word(n++)).append(s.substr(at + 2));
      return s;
    }();
    const std::string said = in_korean(message);
    for (int n = 0; message.find(word(n)) != message.npos; ++n) {
      const bool dropped = std::set<std::string_view>{"it is needed ({})", "duet writes PNG{}"}.contains(english) ||
                           english.find("unpacks {}") != english.npos || english.find("for the label") != english.npos;
      EXPECT_TRUE(dropped || said.find(word(n)) != said.npos) << message << " -> " << said;
    }
  }
}

TEST(Korean, ClausesNamesAndReasons) {
  EXPECT_EQ(in_korean("a b.png: the file is empty"), "a b.png: 파일이 비어 있습니다");
  EXPECT_EQ(in_korean("x/y.png: cannot open: No such file or directory"),
            "x/y.png: 열 수 없습니다: 그런 파일이나 폴더가 없습니다");
  EXPECT_EQ(in_korean("m.safetensors: 4 bytes are too few for a safetensors file"),
            "m.safetensors: safetensors 파일로는 4바이트가 너무 적습니다");
  EXPECT_EQ(in_korean("n: 9 pictures of 64x48 at a time; at most 4 of that size"),
            "n: 64x48 그림 9장을 한꺼번에 달라고 했습니다. 그 크기로는 최대 4장입니다");
  EXPECT_EQ(in_korean("part 2 of the form has no 'Content-Disposition: form-data; name=...'"),
            "폼의 2번째 부분에 'Content-Disposition: form-data; name=...'이 없습니다");
}

// Names, and what people wrote, come back as they were, whatever they look like.
TEST(Korean, WhatPeopleWroteIsNeverTurned) {
  for (const std::string word :
       {"no such file", "is missing", "cat, line art", "the prompt", "cancelled", "a list of 3", "7: empty"}) {
    EXPECT_NE(in_korean("label '" + word + "' is given twice; name it once").find("'" + word + "'"), std::string::npos) << word;
    EXPECT_NE(in_korean("one argument too many: '" + word + "'; words that belong together need quotes").find("'" + word + "'"),
              std::string::npos)
        << word;
    EXPECT_EQ(in_korean(word + ": the file is empty"), word + ": 파일이 비어 있습니다");
  }
  EXPECT_EQ(
      in_korean("xs-128 has not learned the style 'zzz'; it knows emoji (이모지), line icon (선 아이콘), icon (아이콘)"),
      "xs-128은(는) 스타일 'zzz'을(를) 배우지 않았습니다. 아는 스타일: emoji (이모지), line icon (선 아이콘), icon (아이콘)");
  EXPECT_EQ(in_korean("a.txt, line 3 has 80 tokens; the last 16 are left out"),
            "a.txt 3행: 토큰이 80개입니다. 마지막 16개는 쓰지 않습니다");
}

TEST(Korean, ReasonsWithinMessages) {
  EXPECT_EQ(in_korean("left out: k/a.png: the file is empty"), "제외: k/a.png: 파일이 비어 있습니다");
  EXPECT_EQ(in_korean("x: not written (No space left on device)"), "x: 쓰지 못했습니다(디스크에 남은 자리가 없습니다)");
  EXPECT_EQ(in_korean("--set steps=true: steps: expected an integer, got true"),
            "--set steps=true: steps: 정수이어야 하는데 true입니다");
  EXPECT_EQ(in_korean("prompt: byte 1 (0xff) is not UTF-8; type it in a UTF-8 terminal, or convert it with iconv"),
            "prompt: 바이트 1(0xff)은(는) UTF-8이 아닙니다. UTF-8 터미널에서 입력하거나 iconv로 변환하세요");
  EXPECT_EQ(in_korean("the body has 9 bytes; this route takes 4"), "본문이 9바이트인데 이 주소는 4바이트까지 받습니다");
  EXPECT_EQ(in_korean("this route takes POST"), "이 주소는 POST 메서드만 받습니다");
}

TEST(Korean, WhatIsNotInTheTableStaysAsItIs) {
  EXPECT_EQ(in_korean("the moon is full"), "the moon is full");
  EXPECT_EQ(in_korean("the moon is full; try again soon"), "the moon is full; 잠시 뒤 다시 시도하세요");
  EXPECT_FALSE(korean_of("the moon is full; try again soon"));
  EXPECT_EQ(in_korean(""), "");
}

// What a stranger sends may be full of what messages are cut at.
TEST(Korean, ColonsAndSemicolonsWithoutEndAreAnsweredSoon) {
  std::string s;
  for (int i = 0; i < 600; ++i) s += i % 2 ? ": a" : "; a";
  EXPECT_EQ(in_korean(s), s);
  EXPECT_EQ(in_korean(s + s + s), s + s + s);
  const std::string many = [] {
    std::string m;
    for (int i = 0; i < 200'000; ++i) m += "; ";
    return m;
  }();
  EXPECT_EQ(in_korean(many), many);
}

TEST(Korean, WhatABrowserLikes) {
  for (const char* yes : {"ko", "ko-KR", "ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", "KO", "fr, ko;q=0.5, en;q=0.4",
                          "en;q=0.3,ko;q=0.4", "ko ;q=0.9,en;q=0.1", "\tko"})
    EXPECT_TRUE(prefers_korean(yes)) << yes;
  for (const char* no : {"", "*", "en", "en-US,en;q=0.9,ko;q=0.8", "kok", "fr", "ko;q=0", "en,ko", ",,,", "q=1"})
    EXPECT_FALSE(prefers_korean(no)) << no;
}

TEST(Korean, WhatTheTerminalSpeaks) {
  std::map<std::string, std::optional<std::string>> was;
  for (const char* name : {"LC_ALL", "LC_MESSAGES", "LANG"}) {
    const char* v = std::getenv(name);
    was[name] = v ? std::optional<std::string>(v) : std::nullopt;
    unsetenv(name);
  }
  EXPECT_FALSE(korean_terminal());
  setenv("LANG", "ko_KR.UTF-8", 1);
  EXPECT_TRUE(korean_terminal());
  setenv("LC_MESSAGES", "en_US.UTF-8", 1);
  EXPECT_FALSE(korean_terminal());
  setenv("LC_ALL", "", 1);  // as if it were not set
  EXPECT_FALSE(korean_terminal());
  for (const char* yes : {"ko", "ko_KR", "ko_KR.utf8", "ko_KR.UTF-8@x", "ko.UTF-8"})
    EXPECT_TRUE((setenv("LC_ALL", yes, 1), korean_terminal())) << yes;
  for (const char* no : {"kok_IN.UTF-8", "ko_KR.EUC-KR", "C.UTF-8", "en_KO.UTF-8"})
    EXPECT_FALSE((setenv("LC_ALL", no, 1), korean_terminal())) << no;
  for (const auto& [name, v] : was) v ? setenv(name.c_str(), v->c_str(), 1) : unsetenv(name.c_str());
}

}  // namespace
}  // namespace duet
