#include "infer/webfiles.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "fusion/styles.h"

namespace duet {
namespace {

namespace fs = std::filesystem;
const fs::path kWeb = fs::path(DUET_SOURCE_DIR) / "assets" / "web";

std::string content(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string_view body(std::string_view path) {
  const WebFile* f = web_file(path);
  return f ? f->body : "";
}

TEST(WebFiles, HoldEveryFileByteForByte) {
  int files = 0;
  std::set<std::string_view> etags;
  for (const auto& e : fs::directory_iterator(kWeb)) {
    const WebFile* f = web_file("/" + e.path().filename().string());
    ASSERT_TRUE(f) << e.path();
    EXPECT_EQ(f->body, content(e.path())) << e.path();
    EXPECT_TRUE(std::regex_match(std::string(f->etag), std::regex("\"[0-9a-f]{16}\""))) << f->etag;
    etags.insert(f->etag);
    ++files;
  }
  EXPECT_GT(files, 10);
  EXPECT_EQ(etags.size(), size_t(files)) << "another content, another etag";
}

TEST(WebFiles, KnowTheirKindAndTheirNames) {
  ASSERT_TRUE(web_file("/"));
  EXPECT_EQ(web_file("/"), web_file("/index.html"));
  EXPECT_EQ(web_file("/")->mime, "text/html; charset=utf-8");
  EXPECT_EQ(web_file("/app.js")->mime, "text/javascript; charset=utf-8");
  EXPECT_EQ(web_file("/style.css")->mime, "text/css; charset=utf-8");
  EXPECT_EQ(web_file("/favicon.svg")->mime, "image/svg+xml");
  for (const char* none : {"", "style.css", "/STYLE.CSS", "//", "/../CMakeLists.txt", "/style.css/", "/style.css?x"})
    EXPECT_FALSE(web_file(none)) << none;
}

// What the page asks for must be inside, and nothing may come from elsewhere or run inline: the server's
// Content-Security-Policy would stop it.
TEST(WebFiles, AskForNothingElse) {
  const std::regex asks(R"re((?:src|href)="([^"#]+)"|from '\./([^']+)')re");
  int links = 0;
  for (const auto& e : fs::directory_iterator(kWeb)) {
    const std::string text = content(e.path());
    for (std::sregex_iterator m(text.begin(), text.end(), asks), end; m != end; ++m, ++links) {
      const std::string name = (*m)[1].matched ? (*m)[1].str() : (*m)[2].str();
      EXPECT_TRUE(web_file("/" + name)) << e.path() << " asks for " << name;
    }
    for (const char* remote : {"src=\"http", "href=\"http", "url(", "@import", "import("})
      EXPECT_EQ(text.find(remote), std::string::npos) << e.path() << ": " << remote;
  }
  EXPECT_GT(links, 20);
  const std::string page(body("/"));
  EXPECT_FALSE(std::regex_search(page, std::regex("<style|style=|\\son[a-z]+=|javascript:|<script>", std::regex::icase)));
}

// Text from anywhere is only ever set as text.
TEST(WebFiles, NeverParseTextAsMarkup) {
  for (const auto& e : fs::directory_iterator(kWeb))
    for (const char* way :
         {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc", "DOMParser"})
      EXPECT_EQ(content(e.path()).find(way), std::string::npos) << e.path() << ": " << way;
}

TEST(WebFiles, OfferStylesThatArePartOfTheData) {
  const std::string form(body("/form.js"));
  const std::regex pair("name: '([^']+)', name_ko: '([^']+)'");
  int offered = 0;
  for (std::sregex_iterator m(form.begin(), form.end(), pair), end; m != end; ++m, offered++)
    EXPECT_EQ(korean_style((*m)[1].str()), (*m)[2].str()) << (*m)[1];
  EXPECT_GE(offered, 4);
}

// Every word of the page has an English and a Korean side, and every word it names is there.
TEST(WebFiles, SpeakBothLanguages) {
  const std::string words(body("/strings.js")), page(body("/"));
  std::set<std::string> keys;
  const std::regex row(R"re(\n  ([a-z_]+): \[\s*(["'])((?:(?!\2).)+)\2,\s*(["'])((?:(?!\4).)+)\4,?\s*\],)re");
  for (std::sregex_iterator m(words.begin(), words.end(), row), end; m != end; ++m) {
    keys.insert((*m)[1]);
    const std::regex hole(R"(\{[a-z]+\})");
    const std::string en = (*m)[3], ko = (*m)[5];
    std::multiset<std::string> of_en(std::sregex_token_iterator(en.begin(), en.end(), hole), {});
    std::multiset<std::string> of_ko(std::sregex_token_iterator(ko.begin(), ko.end(), hole), {});
    EXPECT_EQ(of_en, of_ko) << (*m)[1] << " is filled with the same values in both languages";
  }
  const std::regex key(R"(\n  [a-z_]+: \[)"), named(R"re(data-(?:t|label|tip|hint|alt)="([a-z_]+)")re");
  EXPECT_EQ(keys.size(), size_t(std::distance(std::sregex_iterator(words.begin(), words.end(), key), {})))
      << "a row is not a pair";
  EXPECT_GT(keys.size(), 100u);
  for (std::sregex_iterator m(page.begin(), page.end(), named), end; m != end; ++m)
    EXPECT_TRUE(keys.count((*m)[1])) << "index.html names " << (*m)[1];
}

}  // namespace
}  // namespace duet
