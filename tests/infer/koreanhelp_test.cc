// What --help says on a Korean terminal: all of it, and nothing lost on the way.
#include "infer/koreanhelp.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "tests/infer/clirun.h"
#include "text/korean.h"
#include "text/unicode.h"

namespace duet {
namespace {

using Words = std::set<std::string>;

// Examples that say nothing but a command.
const Words kCommandsAlone{"  duet demo --out demo", "  duet caption cat.png photos/ --lang both", "  duet info assets/xs",
                           "  duet eval generate data/emoji data/stamps -n 100 --steps 16 --out report"};
// What stands for something and is said in Korean too, in usage and in messages.
const std::map<std::string, std::string> kStandIns{
    {"VERB", "명령"}, {"WIDTHxHEIGHT", "너비x높이"}, {"CENTER/WIDTH", "가운데/너비"}};

struct Said {
  std::string verb, where, text;
  Words values;  // what may be chosen, and verbs below: names that a text keeps
};

// Whether it is there by itself, not within a longer word.
bool names(const std::string& s, const std::string& word) {
  const auto letter = [&](size_t at) { return at < s.size() && (std::isalnum(uint8_t(s[at])) || s[at] == '-'); };
  for (size_t at = s.find(word); at != s.npos; at = s.find(word, at + 1))
    if (!(at && letter(at - 1)) && !letter(at + word.size())) return true;
  return false;
}

// Every description and footer, in the order of the verbs.
void collect(const CLI::App& app, const std::string& name, std::vector<Said>& out) {
  Words below;
  for (const CLI::App* verb : app.get_subcommands({})) below.insert(verb->get_name());
  // "build and look at data sets" is no list of verbs
  if (!std::ranges::all_of(below, [&](const auto& verb) { return names(app.get_description(), verb); })) below.clear();
  out.push_back({name, name, app.get_description(), below});
  if (!app.get_footer().empty()) out.push_back({name, name + ", footer", app.get_footer(), {}});
  for (const CLI::Option* o : app.get_options()) {
    Words values;
    const std::string type = o->get_type_name();  // "TEXT:{auto,cuda,cpu}"
    const size_t from = type.find('{'), to = type.find('}');
    for (size_t at = from; at < to;) {
      const size_t end = std::min(type.find(',', at + 1), to);
      values.insert(type.substr(at + 1, end - at - 1));
      at = end;
    }
    out.push_back({name, name + " " + o->get_name(false, true), o->get_description(), values});
  }
  for (const CLI::App* verb : app.get_subcommands({})) collect(*verb, name + " " + verb->get_name(), out);
}

const std::vector<Said>& english() {
  static const std::vector<Said> all = [] {
    CLI::App app;
    set_up(app);
    std::vector<Said> out;
    collect(app, "duet", out);
    return out;
  }();
  return all;
}

// The paths of all verbs: "duet data build".
Words verbs() {
  Words out;
  for (const Said& s : english()) out.insert(s.verb);
  return out;
}

std::vector<std::string> found(const std::string& s, const char* pattern) {
  const std::regex r(pattern);
  std::vector<std::string> out;
  for (std::sregex_iterator i(s.begin(), s.end(), r), end; i != end; ++i) out.push_back(i->str());
  return out;
}

// What is the same in every language: options, $VARIABLES, numbers, names of files, keys and formats, FILE and the like,
// commands.
Words kept(std::string s) {
  for (const auto& [word, korean] : kStandIns)
    for (size_t at; (at = s.find(word)) != s.npos;) s.replace(at, word.size(), korean);
  Words out;
  for (const auto& w : found(s, "\\$[A-Z_]+")) out.insert(w);
  for (const auto& w : found(s, "(^|[^A-Za-z0-9-])--?[A-Za-z][a-z-]*")) out.insert(w.substr(w.find('-')));
  for (std::string w : found(s, "[A-Za-z0-9_./+*=:@-]+")) {
    while (!w.empty() && (w.back() == '.' || w.back() == ':')) w.pop_back();
    while (!w.empty() && w[0] == ':') w.erase(0, 1);
    const bool shape = w.find_first_of("0123456789./_=") != w.npos;
    const bool capital = w.size() > 1 && std::any_of(w.begin() + 1, w.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
    if (shape || capital) out.insert(w);
  }
  for (const auto& verb : verbs())  // with or without "duet ", where it is no plain word
    if (const std::string path = verb.substr(4); path.find(' ', 1) != path.npos && names(s, path.substr(1))) out.insert(path);
    else if (verb != "duet" && names(s, verb)) out.insert(verb);
  return out;
}

bool is_number(const std::string& s) { return s.find_first_not_of("0123456789") == s.npos; }

// The Korean of a text; how many rows have one.
std::pair<std::string, int> in_table(const std::string& text) {
  std::pair<std::string, int> out{text, 0};
  for (const KoreanMessage& row : korean_help())
    if (auto korean = korean_by(row, text)) out.first = *korean, ++out.second;
  return out;
}

TEST(KoreanHelp, EveryTextHasOneKorean) {
  EXPECT_GT(english().size(), 300u);
  for (const Said& s : english()) {
    const auto [korean, rows] = in_table(s.text);
    EXPECT_EQ(rows, kCommandsAlone.contains(s.text) ? 0 : 1) << s.where << ": infer/koreanhelp.cc: " << s.text;
    EXPECT_TRUE(rows == 0 || has_hangul(korean)) << s.where << ": " << korean;
    EXPECT_EQ(broken_utf8(korean), std::string::npos) << korean;
  }
}

TEST(KoreanHelp, EveryRowIsUsed) {
  for (const KoreanMessage& row : korean_help()) {
    EXPECT_EQ(found(std::string(row.english), "\\{\\}").size(), found(std::string(row.korean), "\\{\\}").size()) << row.english;
    const auto of_row = [&](const Said& s) { return korean_by(row, s.text).has_value(); };
    EXPECT_TRUE(std::ranges::any_of(english(), of_row)) << "nothing says: " << row.english;
  }
  for (const auto& text : kCommandsAlone)
    EXPECT_TRUE(std::ranges::any_of(english(), [&](const Said& s) { return s.text == text; })) << "nothing says: " << text;
}

TEST(KoreanHelp, NothingIsLost) {
  size_t checked = 0;
  for (const Said& s : english()) {
    const std::string korean = in_table(s.text).first;
    const Words was = kept(s.text), now = kept(korean);
    for (const auto& w : was) EXPECT_TRUE(now.contains(w)) << s.where << ": lost " << w << ": " << korean;
    for (const auto& w : now) {  // a number may be a word in English
      EXPECT_TRUE(was.contains(w) || is_number(w)) << s.where << ": where is " << w << " from? " << korean;
    }
    for (const auto& w : s.values) {
      EXPECT_TRUE(!names(s.text, w) || names(korean, w)) << s.where << ": lost " << w << ": " << korean;
    }
    for (const auto& [word, stand_in] : kStandIns) {
      EXPECT_TRUE(!names(s.text, word) || korean.find(stand_in) != korean.npos) << s.where << ": lost " << word;
    }
    EXPECT_EQ(std::ranges::count(s.text, '"'), std::ranges::count(korean, '"')) << s.where << ": " << korean;
    EXPECT_EQ(std::ranges::count(s.text, '\n'), std::ranges::count(korean, '\n')) << s.where << ": " << korean;
    checked += was.size();
  }
  EXPECT_GT(checked, 500u);  // they were found
}

// As a person sees it.
struct KoreanHelpTest : CliTest {
  std::string help(const std::string& path, const char* locale) {
    std::vector<std::string> args;
    std::istringstream words(path.substr(4));  // without "duet"
    for (std::string w; words >> w;) args.push_back(w);
    args.push_back("--help");
    std::vector<const char*> argv{"duet"};
    for (const auto& a : args) argv.push_back(a.c_str());
    setenv("LC_ALL", locale, 1);
    testing::internal::CaptureStdout();
    CLI::App app;
    set_up(app);
    EXPECT_EQ(run_program(app, int(argv.size()), argv.data()), 0);
    setenv("LC_ALL", "C", 1);
    return testing::internal::GetCapturedStdout();
  }
  static std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> out;
    std::istringstream all(text);
    for (std::string line; std::getline(all, line);) out.push_back(line);
    return out;
  }
  static bool is_command(const std::string& line) { return line.starts_with("  duet ") || line.starts_with("  curl "); }
};

TEST_F(KoreanHelpTest, ALineWithoutKoreanIsACommand) {
  EXPECT_GT(verbs().size(), 20u);  // they were found
  for (const auto& verb : verbs())
    for (const auto& line : lines(help(verb, "ko_KR.UTF-8"))) {
      EXPECT_EQ(broken_utf8(line), std::string::npos) << verb << ": " << line;
      EXPECT_TRUE(line.empty() || is_command(line) || has_hangul(line)) << verb << ": " << line;
      // Two English words side by side, but for verbs, options and what is in quotes
      if (is_command(line)) continue;
      const std::string bare = std::regex_replace(line, std::regex("'[^']*'|\"[^\"]*\"|--[a-z-]+"), "");
      for (const auto& pair : found(bare, "\\b[a-z]{2,} [a-z]{2,}"))
        EXPECT_TRUE(pair.starts_with("duet ") || verbs().contains("duet " + pair)) << verb << ": " << pair << ": " << line;
    }
}

TEST_F(KoreanHelpTest, EveryLabelIsUsed) {
  std::string all;
  for (const auto& verb : verbs()) all += help(verb, "C");
  for (const auto& [label, korean] : korean_labels()) {
    EXPECT_TRUE(names(all, std::string(label))) << label;
    EXPECT_TRUE(has_hangul(korean)) << label;
  }
}

TEST_F(KoreanHelpTest, WhatStandsInColumnsDoesSo) {
  EXPECT_EQ(help("duet data show", "ko_KR.UTF-8"),
            "데이터 세트의 모음 그림을 만듭니다\n"
            "사용법: duet data show [옵션] DIR\n"
            "\n"
            "인자:\n"
            "  DIR 글                      데이터 세트\n"
            "\n"
            "옵션:\n"
            "  -h,--help                   이 도움말을 출력하고 끝냅니다\n"
            "  -o,--out 글 (=sheet.png)    쓸 PNG 파일\n"
            "  -n,--count 정수 (=64)       그림 수\n"
            "  --split 글 (=train)         train, val, heldout, pairs 가운데 하나\n"
            "  --compose                   그림 대신, 학습 때 그림을 합성해 만드는 것을 보여 줍니다\n"
            "\n");
  EXPECT_NE(help("duet data", "ko_KR.UTF-8")
                .find("사용법: duet data [옵션] 명령\n"
                      "\n"
                      "옵션:\n"
                      "  -h,--help                   이 도움말을 출력하고 끝냅니다\n"
                      "\n"
                      "명령:\n"
                      "  build                       출처에서"),
            std::string::npos);
  const std::string wide = help("duet eval generate", "ko_KR.UTF-8");  // a name wider than its column
  EXPECT_NE(wide.find("  --split 글 (=[train,heldout,pairs])\n                              어느"), std::string::npos) << wide;
}

TEST_F(KoreanHelpTest, OtherTerminalsSeeEnglish) {
  EXPECT_EQ(help("duet data show", "C"),
            "a contact sheet of a data set\n"
            "Usage: duet data show [OPTIONS] DIR\n"
            "\n"
            "Positionals:\n"
            "  DIR TEXT                    data set\n"
            "\n"
            "Options:\n"
            "  -h,--help                   Print this help message and exit\n"
            "  -o,--out TEXT (=sheet.png)  PNG to write\n"
            "  -n,--count INT (=64)        pictures\n"
            "  --split TEXT (=train)       train, val, heldout or pairs\n"
            "  --compose                   compositions that training makes of the pictures, instead of the pictures\n"
            "\n");
  for (const auto& verb : verbs()) {
    const std::string text = help(verb, "en_US.UTF-8");
    for (const auto& [label, korean] : korean_labels())
      EXPECT_EQ(text.find(korean), std::string::npos) << verb << ": " << korean;
    for (const Said& s : english())
      if (s.verb == verb) {
        EXPECT_NE(text.find(s.text), std::string::npos) << verb << ": " << s.text;
      }
  }
}

}  // namespace
}  // namespace duet
