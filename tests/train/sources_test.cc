// Sources over fake package trees: what is taken, with which words, what is left out and why; fetching without a
// network.
#include "train/sources.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "kernels/error.h"
#include "tests/train/faketree.h"
#include "tests/train/tinyfont.h"
#include "train/cldr.h"
#include "train/cutout.h"
#include "train/emojifont.h"
#include "train/words.h"
#include "vision/transform.h"

namespace duet {
namespace {

std::vector<Candidate> all_of(const std::string& name, const SourceOptions& options, SourceReport& report) {
  std::vector<Candidate> all;
  find_source(
      name, options, [&](Candidate&& c) { all.push_back(std::move(c)); }, report);
  return all;
}

const Candidate* by_key(const std::vector<Candidate>& all, const std::string& key) {
  auto it = std::find_if(all.begin(), all.end(), [&](auto& c) { return c.key == key; });
  return it == all.end() ? nullptr : &*it;
}

TEST(Words, ConceptsForgetArticlesCaseAndPunctuation) {
  EXPECT_EQ(concept_of("A turkey."), "turkey");
  EXPECT_EQ(concept_of("Turkey"), "turkey");
  EXPECT_EQ(concept_of("“T-intersection”."), "t intersection");
  EXPECT_EQ(concept_of("an X-ray, the second"), "x ray the second");
  EXPECT_EQ(concept_of("keycap: *"), "keycap *");
  EXPECT_EQ(concept_of("칠면조"), "칠면조");
  EXPECT_EQ(concept_of("..."), "...");
  EXPECT_NE(concept_of("anteater"), "teater");
}

TEST(Words, SplitsAreNinetyFiveFiveAndNeverChange) {
  std::map<std::string, int> n;
  for (int i = 0; i < 20000; i++) n[split_of("thing " + std::to_string(i))]++;
  EXPECT_NEAR(n["train"], 18000, 200);
  EXPECT_NEAR(n["val"], 1000, 150);
  EXPECT_NEAR(n["heldout"], 1000, 150);
  // A change here would move trained concepts into the held-out part of every data set built before.
  EXPECT_STREQ(split_of("turkey"), "train");
  EXPECT_STREQ(split_of("raccoon"), "heldout");
}

TEST(Words, FileNames) {
  EXPECT_EQ(words_of_file("animals/candy_cane.txt"), "candy cane");
  EXPECT_EQ(words_of_file("monarchButterfly2.svg"), "monarch butterfly");
  EXPECT_EQ(words_of_file("file-earmark-arrow-down.svg"), "file earmark arrow down");
  EXPECT_EQ(words_of_file("mp3.png"), "mp3");
  EXPECT_EQ(words_of_file("001.png"), "");
}

TEST(Words, SentencesBecomePhrases) {
  EXPECT_EQ(phrase("A computer mouse. Squeak!"), "a computer mouse");
  EXPECT_EQ(phrase("A computer mouse. Squeak!", true), "a computer mouse. Squeak");
  EXPECT_EQ(phrase("The caboose—a carriage for the guard."), "the caboose");
  EXPECT_EQ(phrase("St. Basil's Cathedral."), "St. Basil's Cathedral");
  EXPECT_EQ(phrase("흰동가리 (광대어)"), "흰동가리");
  EXPECT_EQ(phrase("Argentina"), "Argentina");
  EXPECT_EQ(phrase(""), "");
}

constexpr const char* kEn = R"(<?xml version="1.0" encoding="UTF-8" ?><ldml><annotations>
<annotation cp="🦃">bird | thanksgiving | turkey</annotation><annotation cp="🦃" type="tts">turkey</annotation>
<annotation cp="☀">bright | rays | sun</annotation><annotation cp="☀" type="tts">sun</annotation>
<annotation cp="₥" type="tts">mill sign</annotation>
<annotation cp="🏳">↑↑↑</annotation><annotation cp="🏳" type="tts">white flag</annotation></annotations></ldml>)";
constexpr const char* kKo = R"(<?xml version="1.0" encoding="UTF-8" ?><ldml><annotations>
<annotation cp="🦃">추수감사절 | 칠면조</annotation><annotation cp="🦃" type="tts">칠면조</annotation>
<annotation cp="₥" type="tts">밀</annotation></annotations></ldml>)";

TEST(Cldr, NamesAndKeywords) {
  TestFolder t;
  put(t / "en.xml", kEn);
  std::map<std::string, EmojiWords> words;
  read_annotations(t / "en.xml", words);
  EXPECT_EQ(words["🦃"].name, "turkey");
  EXPECT_EQ(words["🦃"].keywords, (std::vector<std::string>{"bird", "thanksgiving"}));
  EXPECT_EQ(words[without_fe0f("☀️")].name, "sun");
  EXPECT_TRUE(words["🏳"].keywords.empty());
}

TEST(Cldr, KoreanNamesOfEmojiOnly) {
  TestFolder t;
  put(t / "usr/share/unicode/cldr/common/annotations/en.xml", kEn);
  put(t / "usr/share/unicode/cldr/common/annotations/ko.xml", kKo);
  auto names = korean_names(t.path.string());
  EXPECT_EQ(names, (std::map<std::string, std::string>{{"turkey", "칠면조"}}));
}

TEST(Cldr, RefusesWhatIsNotCldr) {
  TestFolder t;
  std::map<std::string, EmojiWords> words;
  put(t / "cut.xml", "<ldml><annotations><annotation cp=");
  EXPECT_NE(refusal([&] { read_annotations(t / "cut.xml", words); }).find("cut.xml: not XML"), std::string::npos);
  put(t / "other.xml", "<svg/>");
  EXPECT_NE(refusal([&] { read_annotations(t / "other.xml", words); }).find("not a CLDR annotation file"), std::string::npos);
  put(t / "empty.txt", "# nothing\n");
  EXPECT_NE(refusal([&] { read_emoji_test(t / "empty.txt"); }).find("no emoji in it"), std::string::npos);
  put(t / "big.txt", "110000 ; fully-qualified # x E1.0 x\n");
  EXPECT_NE(refusal([&] { read_emoji_test(t / "big.txt"); }).find("not a code point"), std::string::npos);
}

TEST(Cldr, EmojiListWithGroupsAndTones) {
  TestFolder t;
  put(t / "list.txt",
      "# group: People & Body\n# subgroup: hand-fingers-open\n"
      "1F44B ; fully-qualified # 👋 E0.6 waving hand\n1F44B 1F3FD ; fully-qualified # 👋🏽 E1.0 waving hand: "
      "medium "
      "skin tone\n"
      "263A FE0F ; fully-qualified # ☺️ E0.6 smiling face\n263A ; unqualified # ☺ E0.6 smiling face\n");
  auto list = read_emoji_test(t / "list.txt");
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0].name, "waving hand");
  EXPECT_EQ(list[0].group + "/" + list[0].subgroup, "People & Body/hand-fingers-open");
  EXPECT_EQ(list[1].base, list[0].utf8);
  EXPECT_EQ(list[1].tones, 1);
  EXPECT_EQ(list[1].tone, 2);
  EXPECT_EQ(list[2].base, "☺");
}

TEST(EmojiFont, RefusesOtherFiles) {
  TestFolder t;
  put(t / "x.ttf", "no font");
  EXPECT_NE(refusal([&] { EmojiFont f(t / "x.ttf"); }).find("x.ttf"), std::string::npos);
}

TEST(EmojiFont, DrawsStraightAlphaAndShapesSequences) {
  TestFolder t;
  Image half(16, 16);
  for (int i = 0; i < 256; i++) half.rgba[size_t(i) * 4] = 200, half.rgba[size_t(i) * 4 + 3] = 128;
  Image other = resize(picture(2), 16, 16);
  put(t / "tiny.ttf", tiny_emoji_font(0x1f44b, 0x1f3fb, half, other, resize(picture(3), 16, 16)));
  EmojiFont font(t / "tiny.ttf");
  EXPECT_EQ(font.glyph("👋"), 1u);
  EXPECT_EQ(font.glyph("👋🏻"), 3u) << "a sequence is one picture";
  EXPECT_EQ(font.glyph("👋👋"), 0u) << "two pictures are none";
  EXPECT_EQ(font.glyph("😀"), 0u) << "not in the font";
  Image drawn = font.draw(1);
  ASSERT_EQ(drawn.width, 16);
  EXPECT_NEAR(drawn.at(8, 8)[0], 200, 2) << "not premultiplied";
  EXPECT_EQ(drawn.at(8, 8)[3], 128);
}

TEST(Emoji, NamesInTwoLanguagesAndOneSkinTone) {
  TestFolder cache;
  put(fake_package(cache, "fonts-noto-color-emoji") + "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf",
      tiny_emoji_font(0x1f983, 0x1f3fd, picture(1), picture(2), picture(3)));
  std::string cldr = fake_package(cache, "unicode-cldr-core") + "/usr/share/unicode/cldr/common/";
  for (const char* folder : {"annotations/", "annotationsDerived/"}) {
    put(cldr + folder + "en.xml", kEn);
    put(cldr + folder + "ko.xml", kKo);
  }
  std::string list = "# group: Animals & Nature\n# subgroup: animal-bird\n1F983 ; fully-qualified # x E1.0 turkey\n";
  for (auto tone : {"1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"})
    list += std::string("1F983 ") + tone + " ; fully-qualified # x E1.0 turkey: toned\n";
  list +=
      "2600 ; fully-qualified # x E1.0 sun\n# group: Flags\n1F1E7 1F1FB ; fully-qualified # x E2.0 flag: Bouvet "
      "Island\n";
  put(fake_package(cache, "unicode-data") + "/usr/share/unicode/emoji/emoji-test.txt", list);
  SourceReport report;
  auto all = all_of("emoji", {cache.path.string(), 0, 1}, report);
  EXPECT_EQ(report.found, 8);
  EXPECT_EQ(report.dropped["further skin tones"], 4);
  EXPECT_EQ(report.dropped["flag of another country"], 1);
  auto turkey = by_key(all, "1f983");
  ASSERT_TRUE(turkey);
  EXPECT_EQ(turkey->meta.caption, "turkey");
  EXPECT_EQ(turkey->meta.caption_ko, "칠면조");
  EXPECT_EQ(turkey->meta.tags, (std::vector<std::string>{"bird", "thanksgiving"}));
  EXPECT_EQ(turkey->meta.group, "Animals & Nature/animal-bird");
  EXPECT_EQ(turkey->meta.style, "emoji");
  EXPECT_EQ(turkey->draw(64).at(20, 20)[3], 255);
  for (auto& c : all) {
    if (c.key != "1f983") {
      EXPECT_EQ(c.subject, "turkey") << "a skin tone falls where its base falls";
    }
  }
}

TEST(EmojiOne, FilesAreFoundByTheirCodePoints) {
  TestFolder cache;
  std::string gem = fake_package(cache, "ruby-gemojione") + "/usr/share/rubygems-integration/all/gems/gemojione-9/assets/";
  put_png(gem + "png/1F983.png", picture(1));
  put_png(gem + "png/0023-20E3.png", picture(2));
  put_png(gem + "png/1F468-1F33E.png", picture(3));
  put_png(gem + "sprites/1F984.png", picture(4));
  std::string cldr = fake_package(cache, "unicode-cldr-core") + "/usr/share/unicode/cldr/common/";
  for (const char* folder : {"annotations/", "annotationsDerived/"})
    put(cldr + folder + "en.xml", kEn), put(cldr + folder + "ko.xml", kKo);
  put(fake_package(cache, "unicode-data") + "/usr/share/unicode/emoji/emoji-test.txt",
      "# group: Animals & Nature\n# subgroup: animal-bird\n1F983 ; fully-qualified # x E1.0 turkey\n"
      "1F984 ; fully-qualified # x E1.0 unicorn\n1F468 200D 1F33E ; fully-qualified # x E4.0 man farmer\n"
      "0023 FE0F 20E3 ; fully-qualified # x E0.6 keycap: #\n");
  SourceReport report;
  auto all = all_of("emojione", {cache.path.string(), 0, 1}, report);
  EXPECT_EQ(all.size(), 3u);
  EXPECT_EQ(report.dropped["not in the set"], 1);
  auto turkey = by_key(all, "1f983");
  ASSERT_TRUE(turkey);
  EXPECT_EQ(turkey->meta.caption_ko, "칠면조");
  EXPECT_EQ(turkey->meta.style, "sticker");
  EXPECT_EQ(turkey->draw(64).rgba, picture(1).rgba);
  ASSERT_TRUE(by_key(all, "1f468-200d-1f33e"));
  EXPECT_EQ(by_key(all, "1f468-200d-1f33e")->meta.caption, "man farmer");
}

TEST(Flags, CountriesInTwoLanguagesUnderTheConceptOfTheEmoji) {
  TestFolder cache;
  std::string flags = fake_package(cache, "iso-flags-png-320x240") + "/usr/share/iso-flags-png-320x240/";
  put_png(flags + "no.png", picture(1)), put_png(flags + "_olympic.png", picture(2));
  std::string cldr = fake_package(cache, "unicode-cldr-core") + "/usr/share/unicode/cldr/common/main/";
  auto xml = [](const std::string& name) {
    return "<ldml><localeDisplayNames><territories><territory type=\"NO\">" + name +
           "</territory><territory type=\"NO\" alt=\"short\">x</territory></territories></localeDisplayNames></ldml>";
  };
  put(cldr + "en.xml", xml("Norway")), put(cldr + "ko.xml", xml("노르웨이"));
  SourceReport report;
  auto all = all_of("flags", {cache.path.string(), 0, 1}, report);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(report.dropped["not a country's"], 1);
  EXPECT_EQ(all[0].meta.caption, "flag of Norway");
  EXPECT_EQ(all[0].meta.caption_ko, "노르웨이 국기");
  EXPECT_EQ(all[0].subject, concept_of("flag: Norway"));
  EXPECT_FALSE(all[0].meta.mirror_ok);
  put(cldr + "ko.xml", "<ldml/>");
  EXPECT_NE(refusal([&] { all_of("flags", {cache.path.string(), 0, 1}, report); }).find("ko.xml"), std::string::npos);
}

TEST(Themes, NamedThingsOnceInTheLargestSize) {
  TestFolder cache;
  std::string oxygen = fake_package(cache, "oxygen-icon-theme") + "/usr/share/icons/oxygen/base/";
  put_png(oxygen + "64x64/devices/printer.png", picture(1)), put_png(oxygen + "128x128/devices/printer.png", picture(2));
  put_png(oxygen + "64x64/emotes/face-sad.png", picture(3)), put_png(oxygen + "64x64/places/repository.png", picture(4));
  fake_package(cache, "breeze-icon-theme");
  std::string papirus = fake_package(cache, "papirus-icon-theme") + "/usr/share/icons/Papirus/64x64/";
  put_png(papirus + "devices/printer.png", picture(5)), put_png(papirus + "places/folder-red.png", picture(6));
  SourceReport report;
  auto all = all_of("themes", {cache.path.string(), 0, 1}, report);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(report.dropped["smaller sizes"], 1);
  EXPECT_EQ(report.dropped["no plain thing by its name"], 2);
  auto printer = by_key(all, "oxygen-icon-theme/printer");
  ASSERT_TRUE(printer);
  EXPECT_EQ(printer->draw(64).rgba, picture(2).rgba) << "the largest";
  EXPECT_EQ(printer->meta.caption, "a printer");
  EXPECT_EQ(printer->meta.caption_ko, "프린터");
  EXPECT_EQ(printer->meta.style, "glossy icon");
  EXPECT_TRUE(by_key(all, "papirus-icon-theme/printer"));
  EXPECT_EQ(by_key(all, "oxygen-icon-theme/face-sad")->meta.caption_ko, "슬픈 얼굴");
}

TEST(Stamps, WordsGroupsAndWhatIsLeftOut) {
  TestFolder cache;
  std::string s = fake_package(cache, "tuxpaint-stamps-default") + "/usr/share/tuxpaint/stamps/";
  put_png(s + "animals/birds/turkey.png", picture(1));
  put(s + "animals/birds/turkey.txt", "A turkey. Gobble!\nfr.utf8=Une dinde.\nko.utf8=칠면조\n");
  put_png(s + "animals/birds/turkey_mirror.png", picture(2));
  put_png(s + "animals/birds/wordless.png", picture(3));
  put_png(s + "town/roadsigns/stop.png", picture(4));
  put(s + "town/roadsigns/stop.txt", "Stop!");
  put_png(s + "food/fruit/cartoon/pear.png", picture(5));
  put(s + "food/fruit/cartoon/pear.svg", "<svg/>");
  put(s + "food/fruit/cartoon/pear.txt", "A pear.");
  put_png(s + "symbols/money/pound.png", picture(6));
  put(s + "symbols/money/pound.svg", "<svg><text>P</text></svg>");
  put(s + "symbols/money/pound.txt", "Pound sign.");
  put(s + "symbols/money/pound.dat", "nomirror\n");
  SourceReport report;
  auto all = all_of("stamps", {cache.path.string(), 0, 1}, report);
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(report.found, 8);
  EXPECT_EQ(report.dropped,
            (std::map<std::string, int64_t>{{"mirrored copies", 1}, {"no text", 1}, {"PNG and SVG of one stamp", 2}}));
  EXPECT_EQ(report.packages.at(0).version, "1.0-test");

  auto turkey = by_key(all, "animals/birds/turkey");
  ASSERT_TRUE(turkey);
  EXPECT_EQ(turkey->meta.caption, "a turkey");
  EXPECT_EQ(turkey->meta.caption_ko, "칠면조");
  EXPECT_EQ(turkey->meta.captions, (std::vector<std::string>{"a turkey. Gobble", "turkey"}));
  EXPECT_EQ(turkey->meta.tags, (std::vector<std::string>{"birds", "animals"}));
  EXPECT_EQ(turkey->meta.group, "animals/birds");
  EXPECT_EQ(turkey->meta.style, "photo");
  EXPECT_EQ(turkey->meta.license, "GPL-2.0-only");
  EXPECT_TRUE(turkey->meta.mirror_ok);
  EXPECT_EQ(turkey->draw(64).rgba, picture(1).rgba);
  EXPECT_FALSE(by_key(all, "town/roadsigns/stop")->meta.mirror_ok);
  EXPECT_FALSE(by_key(all, "symbols/money/pound")->meta.mirror_ok);
  EXPECT_EQ(by_key(all, "food/fruit/cartoon/pear")->meta.style, "cartoon");
  EXPECT_EQ(by_key(all, "symbols/money/pound")->draw(64).rgba, picture(6).rgba) << "letters come from the PNG";
}

TEST(Clipart, TitlesAreJudged) {
  TestFolder cache;
  std::string s = fake_package(cache, "openclipart-svg") + "/usr/share/openclipart/svg/";
  std::string cldr = fake_package(cache, "unicode-cldr-core") + "/usr/share/unicode/cldr/common/annotations/";
  put(cldr + "en.xml", kEn);
  put(cldr + "ko.xml", kKo);
  auto art = [&](const std::string& file, const std::string& title) {
    put(s + file, "<svg xmlns='http://www.w3.org/2000/svg'><metadata><rdf:RDF><dc:title>" + title +
                      "</dc:title><dc:creator><dc:title>Ann Author</dc:title></dc:creator><rdf:li>hash(0x8a3)</rdf:li>"
                      "<rdf:li>bird</rdf:li></rdf:RDF></metadata><rect width='9' height='9'/></svg>");
  };
  art("animals/birds/gobbler_01.svg", "Turkey (wild)");
  art("shapes/stars/star_1.svg", "gramastar");
  art("computer/icons/lemon-theme/actions/ark.svg", "Ark");
  art("food/x1.svg", "ralf@example.org");
  art("signs_and_symbols/flags/africa/congo.svg", "united_kingdom - orkney");
  for (int i = 0; i < 7; i++) art("animals/cat" + std::string(1, char('a' + i)) + ".svg", "Clipart by Ann Author - dog");
  SourceReport report;
  auto all = all_of("clipart", {cache.path.string(), 0, 1}, report);
  ASSERT_EQ(all.size(), 9u);
  auto turkey = by_key(all, "animals/birds/gobbler_01");
  ASSERT_TRUE(turkey);
  EXPECT_EQ(turkey->meta.caption, "turkey");
  EXPECT_EQ(turkey->meta.caption_ko, "칠면조");
  EXPECT_EQ(turkey->meta.tags, (std::vector<std::string>{"bird"}));
  EXPECT_EQ(by_key(all, "animals/catb")->meta.caption, "catb") << "the title names the collection: the file is asked";
  EXPECT_EQ(by_key(all, "signs_and_symbols/flags/africa/congo")->meta.caption, "flag of United Kingdom, Orkney");
  EXPECT_EQ(report.dropped.at("computed stars"), 1);
  EXPECT_EQ(report.dropped.at("icon themes of programs"), 1);
  EXPECT_EQ(report.dropped.at("no clear title"), 1);
}

TEST(Icons, FoldersSpeakOfColourAndEmblem) {
  TestFolder cache;
  std::string b = fake_package(cache, "bootstrap-icons") + "/usr/share/bootstrap-icons/svg/";
  std::string p = fake_package(cache, "papirus-icon-theme") + "/usr/share/icons/Papirus/64x64/places/";
  for (auto f : {"dice-2-fill.svg", "dice-2.svg", "type-h1.svg"}) put(b + f, "<svg/>");
  for (auto f :
       {"folder-red.svg", "folder-orange-books.svg", "folder-blue-music-open.svg", "folder-nordic.svg", "user-red-home.svg"})
    put(p + f, "<svg/>");
  SourceReport report;
  auto all = all_of("icons", {cache.path.string(), 0, 1}, report);
  ASSERT_EQ(all.size(), 5u);
  EXPECT_EQ(by_key(all, "bootstrap/dice-2-fill")->meta.caption, "dice 2 filled");
  EXPECT_EQ(by_key(all, "bootstrap/dice-2-fill")->subject, by_key(all, "bootstrap/dice-2")->subject);
  EXPECT_EQ(by_key(all, "papirus/folder-red")->meta.caption, "a red folder");
  EXPECT_EQ(by_key(all, "papirus/folder-red")->meta.caption_ko, "빨간 폴더");
  EXPECT_EQ(by_key(all, "papirus/folder-orange-books")->meta.caption, "an orange folder with a book");
  EXPECT_EQ(by_key(all, "papirus/folder-orange-books")->meta.caption_ko, "책이 있는 주황색 폴더");
  EXPECT_EQ(by_key(all, "papirus/folder-blue-music-open")->meta.caption, "an open blue folder with a music note");
  EXPECT_EQ(by_key(all, "papirus/folder-blue-music-open")->meta.caption_ko, "음표가 있는 열린 파란 폴더");
}

TEST(Cartoons, NamesFromFilesAndKoreanFromCldr) {
  TestFolder cache;
  std::string s = fake_package(cache, "pysiogame") + "/usr/share/games/pysiogame/res/images/art4apps/";
  std::string cldr = fake_package(cache, "unicode-cldr-core") + "/usr/share/unicode/cldr/common/annotations/";
  put(cldr + "en.xml", kEn);
  put(cldr + "ko.xml", kKo);
  for (auto f : {"animals/turkey.png", "actions/turkey.png", "fruit_n_veg/green_pear.png"}) put_png(s + f, picture(1));
  SourceReport report;
  auto all = all_of("cartoons", {cache.path.string(), 0, 1}, report);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(by_key(all, "animals/turkey")->meta.caption_ko, "칠면조");
  EXPECT_EQ(by_key(all, "actions/turkey")->meta.caption_ko, "") << "a verb is not the thing";
  EXPECT_EQ(by_key(all, "fruit_n_veg/green_pear")->meta.caption, "green pear");
  EXPECT_EQ(by_key(all, "fruit_n_veg/green_pear")->meta.group, "cartoons/fruit and vegetables");
}

TEST(Cutout, PaperTurnsTransparentAndInsidesStay) {
  Image image(20, 20);
  std::fill(image.rgba.begin(), image.rgba.end(), 255);
  for (int i = 5; i < 15; i++) {  // a black frame around white
    for (auto [x, y] : {std::pair{i, 5}, {i, 14}, {5, i}, {14, i}}) std::fill_n(image.at(x, y), 3, 0);
  }
  Image cut = cut_out(image);
  EXPECT_EQ(cut.at(0, 0)[3], 0);
  EXPECT_EQ(cut.at(5, 5)[3], 255);
  EXPECT_EQ(cut.at(10, 10)[3], 255);
  EXPECT_EQ(cut.at(10, 10)[0], 255);
  std::fill_n(image.at(0, 0), 4 * 20 * 3, 90);  // a dark top: no paper
  for (int i = 0; i < 60; i++) image.at(i % 20, i / 20)[3] = 255;
  EXPECT_EQ(cut_out(image).rgba, image.rgba);
}

TEST(Scenes, SplitsAndExactDescriptions) {
  SourceReport report;
  auto all = all_of("scenes", {"", 100, 3}, report);
  std::map<std::string, int> n;
  std::set<std::string> keys;
  for (auto& c : all) {
    n[c.split]++;
    keys.insert(c.key);
    EXPECT_FALSE(c.meta.caption.empty() || c.meta.caption_ko.empty() || c.meta.scene.empty());
    EXPECT_TRUE(c.ready);
  }
  EXPECT_EQ(n, (std::map<std::string, int>{{"train", 100}, {"val", 64}, {"heldout", 64}}));
  EXPECT_EQ(keys.size(), all.size());
}

// apt-get as a script in front of PATH: what it does is what the network would do.
struct FakeApt {
  TestFolder bin;
  std::string path = std::getenv("PATH");
  explicit FakeApt(const std::string& script) {
    put(bin / "apt-get", "#!/bin/sh\n" + script);
    std::filesystem::permissions(bin / "apt-get", std::filesystem::perms::owner_all);
    setenv("PATH", (bin.path.string() + ":" + path).c_str(), 1);
  }
  ~FakeApt() { setenv("PATH", path.c_str(), 1); }
};

TEST(Fetch, UnpacksOnceAndThenNeedsNoNetwork) {
  TestFolder cache, make;
  put(make / "p/DEBIAN/control", "Package: small\nVersion: 2.5-1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n");
  put(make / "p/usr/share/small/a.txt", "hello");
  {
    FakeApt apt("dpkg-deb -b " + make.path.string() + "/p ./small_2.5-1_all.deb >/dev/null\n");
    Package p = fetch_package("small", cache.path.string());
    EXPECT_EQ(p.version, "2.5-1");
    EXPECT_EQ(slurp(p.tree + "/usr/share/small/a.txt"), "hello");
  }
  FakeApt gone("echo 'E: no network'; exit 100\n");
  EXPECT_EQ(fetch_package("small", cache.path.string()).version, "2.5-1");
}

TEST(Fetch, OwnPackageListsWhenTheMachinesAreMissing) {
  TestFolder cache, make;
  put(make / "p/DEBIAN/control", "Package: small\nVersion: 3\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n");
  // Without lists of ours apt does not know the package; `update` makes them.
  FakeApt apt("case \"$*\" in\n*Dir::State::Lists=*update) exit 0;;\n*Dir::State::Lists=*download*) dpkg-deb -b " +
              make.path.string() +
              "/p ./small_3_all.deb >/dev/null;;\n*) echo 'E: Unable to locate package small'; exit 100;;\nesac\n");
  EXPECT_EQ(fetch_package("small", cache.path.string()).version, "3");
}

TEST(Fetch, SaysWhyAndLeavesNothing) {
  TestFolder cache;
  FakeApt apt("echo 'Err:1 x'; echo 'E: Unable to locate package small'; exit 100\n");
  std::string why = refusal([&] { fetch_package("small", cache.path.string()); });
  EXPECT_NE(why.find("cannot get the Debian package small: Unable to locate package small; is there a network?"),
            std::string::npos)
      << why;
  EXPECT_FALSE(std::filesystem::exists(cache / ".small.part"));
  EXPECT_FALSE(std::filesystem::exists(cache / "small"));
  EXPECT_THROW(fetch_package("../evil", cache.path.string()), Error);
}

TEST(Sources, AnUnexpectedPackageIsNamed) {
  TestFolder cache;
  fake_package(cache, "tuxpaint-stamps-default");
  SourceReport report;
  std::string why = refusal([&] { all_of("stamps", {cache.path.string(), 0, 1}, report); });
  EXPECT_NE(why.find("tuxpaint/stamps; the package does not hold what was expected"), std::string::npos) << why;
}

}  // namespace
}  // namespace duet
