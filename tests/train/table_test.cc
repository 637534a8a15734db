// A table of pictures in several styles: what is read of it, how its styles are called, which concepts and which
// (concept, style) pairs are held out.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "fusion/shards.h"
#include "kernels/error.h"
#include "kernels/parallel.h"
#include "tests/train/faketree.h"
#include "train/databuild.h"
#include "train/koreanwords.h"
#include "train/sources.h"
#include "train/wording.h"
#include "train/words.h"

namespace duet {
namespace {

using Pair = std::pair<std::string, std::string>;  // concept, style

std::vector<Candidate> rows_of(const std::string& table, SourceReport& report, const std::string& styles = "") {
  SourceOptions options;
  options.styles = styles;
  std::vector<Candidate> all;
  find_source(
      "table:" + table, options, [&](Candidate&& c) { all.push_back(std::move(c)); }, report);
  return all;
}

std::string build(const std::vector<std::string>& sources, const std::string& out) {
  BuildOptions o;
  o.sources = sources;
  o.out = out;
  o.size = 32;
  std::ostringstream log;
  build_data(o, log);
  return log.str();
}

// `things` concepts in the styles given; every picture differs.
std::string fake_table(const TestFolder& t, const std::string& folder, int things, const std::vector<std::string>& styles) {
  std::string table = "file\tstyle\ten\tko\n";
  for (int i = 0; i < things; i++) {
    for (size_t k = 0; k < styles.size(); k++) {
      std::string file = styles[k] + "/" + std::to_string(i) + ".png";
      put_png(t / (folder + "/" + file), picture(i * int(styles.size()) + int(k)));
      table += file + "\t" + styles[k] + "\tthing " + std::to_string(i) + "\t물건 " + std::to_string(i) + "\n";
    }
  }
  put(t / (folder + "/things.tsv"), table);
  return t / (folder + "/things.tsv");
}

std::map<std::string, std::vector<Meta>> splits_of(const std::string& dir) {
  std::map<std::string, std::vector<Meta>> all;
  for (const char* split : {"train", "val", "heldout", "pairs"}) {
    if (!std::filesystem::exists(dir + "/" + split + "/000000.tar")) continue;
    Dataset data = Dataset::open(dir, split);
    for (int64_t i = 0; i < data.size(); i++) all[split].push_back(data.meta(i));
  }
  return all;
}

TEST(Table, ReadsBothKindsOfColumnsAndPassesOverOthers) {
  TestFolder t;
  put(t / "emoji.tsv",
      "file\tstyle\temoji\ten\tko\ten_keywords\tko_keywords\tgroup\r\n"
      "3d/1.png\tfluent3d\tX\tflag: Norway\t깃발: 노르웨이\tflag|land\t깃발|나라\tFlags\r\n");
  put(t / "icons.tsv", "file\tstyle\tname\ttags\tcategories\nlucide/a.svg\tthin\tcat outline\tpet|animal\tnature|fun\n");
  SourceReport report;
  auto emoji = rows_of(t / "emoji.tsv", report);
  ASSERT_EQ(emoji.size(), 1u);
  const Meta& m = emoji[0].meta;
  EXPECT_EQ(m.caption, "flag: Norway");
  EXPECT_EQ(m.caption_ko, "깃발: 노르웨이");
  EXPECT_EQ(m.captions, (std::vector<std::string>{"flag of Norway", "Norway flag"}));
  EXPECT_EQ(m.tags, (std::vector<std::string>{"flag", "land"}));
  EXPECT_EQ(m.tags_ko, (std::vector<std::string>{"깃발", "나라"}));
  EXPECT_EQ(m.group, "Flags");
  EXPECT_EQ(m.style, "fluent3d");
  EXPECT_EQ(emoji[0].subject, concept_of("flag: Norway"));
  EXPECT_EQ(emoji[0].key, "3d/1");
  EXPECT_EQ(report.license, "as given");

  auto icons = rows_of(t / "icons.tsv", report);
  ASSERT_EQ(icons.size(), 1u);
  EXPECT_EQ(icons[0].meta.caption, "cat outline");
  EXPECT_EQ(icons[0].meta.caption_ko, "고양이") << "from the table of common words";
  EXPECT_EQ(icons[0].subject, "cat");
  EXPECT_EQ(icons[0].meta.group, "nature");
  EXPECT_EQ(icons[0].meta.tags, (std::vector<std::string>{"pet", "animal"}));
}

TEST(Table, StylesAreCalledByTheFirstRowThatFits) {
  TestFolder t;
  put(t / "x.tsv", "file\tstyle\tname\na/1.png\tthin\tone\nb/thin/2.png\tthin\ttwo\nc/3.png\tfat\tthree\n");
  const std::string head = "folder\tstyle\tword\tko\tlicense\tsource\n";
  put(t / "styles.tsv", head + "a\tthin\tline icon\t선 아이콘\tISC\tA\nb/thin\t\tthin icon\t얇은\tMIT\tB\n");
  SourceReport report;
  auto rows = rows_of(t / "x.tsv", report);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].meta.style, "line icon");
  EXPECT_EQ(rows[0].meta.style_ko, "선 아이콘");
  EXPECT_EQ(rows[0].meta.license, "ISC");
  EXPECT_EQ(rows[0].meta.source, "A");
  EXPECT_EQ(rows[1].meta.style, "thin icon");
  EXPECT_EQ(rows[2].meta.style, "fat");
  EXPECT_EQ(report.license, "ISC, MIT, as given");

  put(t / "other/s.tsv", head + "\tthin\tX\t엑스\tL\tS\n");
  rows = rows_of(t / "x.tsv", report, t / "other/s.tsv");
  EXPECT_EQ(rows[0].meta.style, "X") << "the one named goes before the one beside";
}

TEST(Table, WrongRowsAreCountedAndWrongTablesRefused) {
  TestFolder t;
  put(t / "x.tsv",
      "file\tname\n../secret.png\tone\n/etc/x.png\ttwo\na.png\n\nb.png\tfour\textra\nc.png\tfine\nd.png\t\xb0\xed\n");
  SourceReport report;
  EXPECT_EQ(rows_of(t / "x.tsv", report).size(), 1u);
  EXPECT_EQ(report.found, 6);
  EXPECT_EQ(report.dropped["caption is not UTF-8"], 1);
  EXPECT_EQ(report.examples.back(), "caption is not UTF-8: " + t / "x.tsv" + ": line 8, column 'name', byte 0 (0xb0)");
  EXPECT_EQ(report.dropped["file outside the folder"], 2);
  EXPECT_EQ(report.dropped["not as many cells as columns"], 2);

  auto said = [&](const std::string& text) {
    put(t / "bad.tsv", text);
    return refusal([&] { rows_of(t / "bad.tsv", report); });
  };
  EXPECT_NE(said("name\tstyle\n").find("no column 'file'"), std::string::npos);
  EXPECT_NE(said("file\tstyle\n").find("'en', 'name' or 'ko'"), std::string::npos);
  EXPECT_NE(said("").find("empty"), std::string::npos);
  EXPECT_NE(refusal([&] { rows_of(t / "none.tsv", report); }).find("none.tsv"), std::string::npos);
  put(t / "s.tsv", "folder\tword\n");
  EXPECT_NE(refusal([&] { rows_of(t / "x.tsv", report, t / "s.tsv"); }).find("no column 'style'"), std::string::npos);
  EXPECT_NE(refusal([&] { build({"table:" + (t / "none.tsv")}, t / "o"); }).find("unknown source"), std::string::npos);
}

TEST(Table, TheSameLookInAnotherStyleStaysAndAnyOtherRepetitionGoes) {
  TestFolder t;
  for (const char* f : {"a1", "a2", "b1", "c1"}) put_png(t / ("p/" + std::string(f) + ".png"), picture(5));
  put(t / "p/x.tsv", "file\tstyle\tname\na1.png\ta\tcat\nb1.png\tb\tcat\na2.png\ta\tcat\nc1.png\tb\tdog\n");
  build({"table:" + (t / "p/x.tsv")}, t / "out");
  auto j = nlohmann::json::parse(slurp(t / "out/dataset.json"));
  EXPECT_EQ(j["sources"][0]["kept"], 2) << "cat in a and in b";
  EXPECT_EQ(j["sources"][0]["dropped"], nlohmann::json({{"near-duplicates", 2}}));
  EXPECT_EQ(j["sources"][0]["name"], "table:x.tsv");
}

TEST(Table, ConceptsAreHeldOutInAllStylesAndSources) {
  TestFolder t;
  auto one = fake_table(t, "one", 300, {"flat", "3D"});
  std::string table = "file\tstyle\tname\n";  // the same things again, in another style and source
  for (int i = 0; i < 300; i++) {
    put_png(t / ("two/" + std::to_string(i) + ".png"), picture(5000 + i));
    table += std::to_string(i) + ".png\tline icon\tThing " + std::to_string(i) + "\n";
  }
  put(t / "two/icons.tsv", table);
  build({"table:" + one, "table:" + (t / "two/icons.tsv")}, t / "out");
  auto all = splits_of(t / "out");
  std::map<std::string, std::set<std::string>> where;
  for (auto& [split, metas] : all)
    for (auto& m : metas) where[m.subject].insert(split == "pairs" ? "train" : split);
  EXPECT_EQ(where.size(), 300u);
  int heldout = 0;
  for (auto& [subject, splits] : where) {
    EXPECT_EQ(splits.size(), 1u) << subject;
    EXPECT_EQ(*splits.begin(), split_of(subject));
    heldout += *splits.begin() == "heldout";
  }
  EXPECT_NEAR(heldout, 15, 12);
  EXPECT_EQ(all["heldout"].size(), size_t(heldout) * 3);
}

TEST(Table, PairsHoldOutWhatIsSeenApart) {
  TestFolder t;
  auto table = fake_table(t, "p", 300, {"flat", "3D", "blob"});
  build({"table:" + table}, t / "out");
  auto all = splits_of(t / "out");
  std::set<Pair> trained, apart;
  std::set<std::string> concepts, styles;
  for (auto& m : all["train"]) trained.insert({m.subject, m.style}), concepts.insert(m.subject), styles.insert(m.style);
  for (auto& m : all["pairs"]) {
    apart.insert({m.subject, m.style});
    EXPECT_TRUE(pair_apart(m.subject, m.style));
    EXPECT_FALSE(trained.contains({m.subject, m.style})) << m.subject << ", " << m.style;
    EXPECT_TRUE(concepts.contains(m.subject)) << m.subject;
    EXPECT_TRUE(styles.contains(m.style));
    EXPECT_EQ(m.style_ko, m.style == "flat" ? "납작한" : m.style == "3D" ? "입체" : "방울");
  }
  EXPECT_NEAR(double(apart.size()), 81, 30) << "a tenth of 300 x 3 x 0.9";
  for (auto& [subject, style] : trained) {
    // What chance set apart and is in train all the same has nothing else in train.
    if (pair_apart(subject, style)) {
      EXPECT_EQ(std::count_if(trained.begin(), trained.end(), [&](auto& p) { return p.first == subject; }), 1) << subject;
    }
  }
  auto j = nlohmann::json::parse(slurp(t / "out/dataset.json"));
  EXPECT_EQ(j["counts"]["pairs"], int(all["pairs"].size()));
  EXPECT_EQ(j["styles"]["3D"]["pairs"],
            int(std::count_if(apart.begin(), apart.end(), [](auto& p) { return p.second == "3D"; })));
  EXPECT_EQ(j["concepts"]["train"], int(concepts.size()));

  int before = threads();
  set_threads(before == 1 ? 2 : 1);
  build({"table:" + table}, t / "again");
  set_threads(before);
  EXPECT_EQ(slurp(t / "again/dataset.json"), slurp(t / "out/dataset.json")) << "with the hash of all tars";
}

TEST(Table, OneStyleAloneHasNoPairs) {
  TestFolder t;
  build({"table:" + fake_table(t, "p", 100, {"flat"})}, t / "out");
  EXPECT_TRUE(splits_of(t / "out")["pairs"].empty());
}

TEST(Table, ATwinInTrainMakesNoFairPair) {
  TestFolder t;  // both styles look the same
  std::string table = "file\tstyle\tname\n";
  for (int i = 0; i < 200; i++) {
    for (const char* style : {"flat", "3D"}) {
      std::string file = std::string(style) + std::to_string(i) + ".png";
      put_png(t / ("p/" + file), picture(i));
      table += file + "\t" + style + "\tthing " + std::to_string(i) + "\n";
    }
  }
  put(t / "p/x.tsv", table);
  build({"table:" + (t / "p/x.tsv")}, t / "out");
  EXPECT_TRUE(splits_of(t / "out")["pairs"].empty());
}

TEST(Table, StylesAreSaidInTheLanguageOfTheWordsMostly) {
  Meta m;
  m.caption_ko = "사과";
  m.style = "3D", m.style_ko = "입체";
  Draws draws(3);
  int native = 0;
  for (int i = 0; i < 1000; i++) {
    std::string text = choose_words(m, 0.5, 1, draws).text;
    EXPECT_TRUE(text == "사과, 입체" || text == "사과, 3D") << text;
    native += text == "사과, 입체";
  }
  EXPECT_NEAR(native, 700, 60);
  m.caption = "an apple", m.caption_ko = "";
  EXPECT_EQ(choose_words(m, 0.5, 1, draws).text, "an apple, 3D");
}

TEST(KoreanWords, ThingsMarksAndDirections) {
  EXPECT_EQ(korean_word("cat"), "고양이");
  EXPECT_EQ(korean_word("fire truck"), "소방차");
  EXPECT_EQ(korean_word("shield plus"), "더하기 표시가 있는 방패");
  EXPECT_EQ(korean_word("phone off"), "사선이 그어진 전화기");
  EXPECT_EQ(korean_word("arrow up"), "위쪽 화살표");
  EXPECT_EQ(korean_word("abugida thai"), "");
  EXPECT_EQ(korean_word("plus"), "더하기");
  EXPECT_EQ(korean_word(""), "");
}

}  // namespace
}  // namespace duet
