#include "fusion/shards.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "fusion/cocojson.h"
#include "kernels/error.h"
#include "text/unicode.h"
#include "vision/codec.h"

namespace duet {
namespace {
namespace fs = std::filesystem;

struct TempDir {
  std::string path;
  TempDir() {
    std::string pattern = (fs::temp_directory_path() / "duet-shards-XXXXXX").string();
    path = mkdtemp(pattern.data());
  }
  ~TempDir() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
};

std::vector<uint8_t> bytes(const std::string& s) { return {s.begin(), s.end()}; }

void write(const std::string& path, const std::string& text) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

std::vector<uint8_t> slurp(const std::string& path) {
  std::ifstream f(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(f), {}};
}

std::vector<uint8_t> dot(uint8_t red) {
  Image image(6, 6);
  for (int i = 0; i < 36; i++) image.rgba[i * 4] = red, image.rgba[i * 4 + 3] = 255;
  return encode_png(image);
}

// One entry of a tar as POSIX writes it, so that names can be what ShardWriter would refuse.
std::string entry(const std::string& name, const std::string& data, char type = '0') {
  std::string h(512, '\0');
  auto put = [&](size_t at, const std::string& s) { h.replace(at, s.size(), s); };
  put(0, name);
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  char size[16];
  snprintf(size, sizeof size, "%011zo", data.size());
  put(124, size);
  put(136, "00000000000");
  put(148, "        ");
  h[156] = type;
  put(257, std::string("ustar\00000", 8));
  unsigned sum = 0;
  for (unsigned char c : h) sum += c;
  snprintf(size, sizeof size, "%06o", sum);
  put(148, std::string(size) + '\0');
  return h + data + std::string((512 - data.size() % 512) % 512, '\0');
}

std::vector<uint8_t> tar(const std::string& entries) { return bytes(entries + std::string(1024, '\0')); }

std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Shards, WritesAndReadsBack) {
  TempDir dir;
  ShardWriter w(dir.path, "", 2);
  std::string longkey = "folder/" + std::string(150, 'k');
  w.add({"a", {{"png", bytes("one")}, {"json", bytes("{}")}}});
  w.add({"한글/고양이", {{"png", bytes("two")}, {"txt", {}}}});
  w.add({longkey, {{"seg.png", std::vector<uint8_t>(5000, 7)}}});
  w.finish();
  EXPECT_EQ(w.samples(), 3);
  ASSERT_EQ(list_shards(dir.path), (std::vector<std::string>{dir / "000000.tar", dir / "000001.tar"}));
  std::vector<ShardSample> got;
  for (auto& f : list_shards(dir.path)) read_shard(f, [&](ShardSample&& s) { got.push_back(s); });
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(got[0].key, "a");
  EXPECT_EQ(got[0].parts.at("png"), bytes("one"));
  EXPECT_EQ(got[1].key, "한글/고양이");
  EXPECT_TRUE(got[1].parts.at("txt").empty());
  EXPECT_EQ(got[2].key, longkey);
  EXPECT_EQ(got[2].parts.at("seg.png").size(), 5000u);
}

TEST(Shards, SameSamplesGiveSameBytes) {
  TempDir dir;
  std::vector<uint8_t> first;
  for (const char* sub : {"x", "y"}) {
    ShardWriter w(dir / sub, "p-", 10);
    w.add({"a", {{"png", dot(3)}, {"json", bytes("{\"caption\":\"a\"}")}}});
    w.finish();
    std::vector<uint8_t> b = slurp(dir / sub + "/p-000000.tar");
    if (first.empty()) {
      first = b;
      sleep(1);  // a time stamp would differ
    }
    EXPECT_EQ(b, first);
  }
}

TEST(Shards, UnfinishedTarLeavesNothing) {
  TempDir dir;
  {
    ShardWriter w(dir.path, "", 10);
    w.add({"a", {{"txt", bytes("x")}}});
  }
  EXPECT_TRUE(fs::is_empty(dir.path));
}

TEST(Shards, FullDiskIsSaid) {
  if (!fs::exists("/dev/full")) GTEST_SKIP();
  TempDir dir;
  fs::create_symlink("/dev/full", dir / "000000.tar.part");
  ShardWriter w(dir.path, "", 10);
  std::string said = message([&] {
    w.add({"a", {{"txt", std::vector<uint8_t>(1 << 20)}}});
    w.finish();
  });
  EXPECT_NE(said.find("cannot be written"), std::string::npos) << said;
  EXPECT_FALSE(fs::exists(dir / "000000.tar"));
}

TEST(Shards, RefusesKeysThatWouldNotReadBack) {
  TempDir dir;
  ShardWriter w(dir.path, "", 10);
  EXPECT_THROW(w.add({"a.b", {{"txt", {}}}}), Error);
  EXPECT_THROW(w.add({"", {{"txt", {}}}}), Error);
  EXPECT_THROW(w.add({"a", {{"TXT", {}}}}), Error);
  EXPECT_THROW(w.add({"a", {{"", {}}}}), Error);
  EXPECT_THROW(w.add({"a", {{"x/y", {}}}}), Error);
  EXPECT_THROW(w.add({"a\n", {{"txt", {}}}}), Error);
  EXPECT_THROW(w.add({"a", {}}), Error);
}

TEST(Shards, KeyEndsAtTheFirstDotOfTheFileName) {
  auto t = tar(entry("d.x/cat.0.PNG", "p") + entry("d.x/cat.json", "{}") + entry("./b.txt", "t"));
  auto got = index_shard(t, "t.tar");
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].key, "d.x/cat");
  EXPECT_EQ(got[0].parts.count("0.png"), 1u);
  EXPECT_EQ(got[0].parts.count("json"), 1u);
  EXPECT_EQ(got[1].key, "./b");
}

TEST(Shards, AFaultSpoilsItsSampleOnly) {
  auto t = tar(entry("a.png", "1") + entry("a.PNG", "2") + entry("b.png", "3") + entry(std::string("c\xff.png"), "4") +
               entry("d.png", std::string(3000, 'x')) + entry("e.png", "5"));
  ShardLimits limits;
  limits.entry_bytes = 2000;
  auto got = index_shard(t, "t.tar", limits);
  ASSERT_EQ(got.size(), 5u);
  EXPECT_EQ(got[0].fault, "two files with extension png");
  EXPECT_EQ(got[1].fault, "");
  EXPECT_NE(got[2].fault, "");
  EXPECT_NE(got[3].fault, "");
  EXPECT_EQ(got[4].fault, "");
  EXPECT_EQ(got[4].parts.at("png")[0], '5');
}

TEST(Shards, LinksFoldersAndHiddenFilesAreNoSamples) {
  auto t = tar(entry("d.dir/", "", '5') + entry("l.png", "", '2') + entry("h.png", "", '1') + entry(".hidden", "x") +
               entry("noext", "x") + entry("a.png", "x"));
  auto got = index_shard(t, "t.tar");
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].key, "a");
}

TEST(Shards, DamagedTarsAreRefusedByName) {
  EXPECT_NE(message([] { index_shard({}, "e.tar"); }).find("e.tar"), std::string::npos);
  auto garbage = bytes(std::string(2048, 'q'));
  EXPECT_NE(message([&] { index_shard(garbage, "g.tar"); }).find("g.tar"), std::string::npos);
  auto t = tar(entry("a.png", std::string(4000, 'x')));
  for (size_t cut : {700ul, 2000ul}) {
    std::string said = message([&] { index_shard(std::span(t).first(cut), "cut.tar"); });
    EXPECT_NE(said.find("cut.tar: byte"), std::string::npos) << said;
  }
  t[3] ^= 1;  // the checksum of the header no longer fits
  EXPECT_NE(message([&] { index_shard(t, "bit.tar"); }), "no error");
}

TEST(Shards, TooManyFilesAreRefused) {
  std::string many;
  for (int i = 0; i < 20; i++) many += entry("a" + std::to_string(i) + ".txt", "");
  auto t = tar(many);
  ShardLimits limits;
  limits.entries = 19;
  EXPECT_THROW(index_shard(t, "t.tar", limits), Error);
  limits.entries = 20;
  EXPECT_EQ(index_shard(t, "t.tar", limits).size(), 20u);
}

TEST(Shards, ListsFoldersBracesAndFiles) {
  TempDir dir;
  for (const char* n : {"000009.tar", "000010.tar", "000011.tar", "x.tar", "y.txt"}) write(dir / n, "");
  EXPECT_EQ(list_shards(dir.path).size(), 4u);
  EXPECT_EQ(list_shards(dir / "{000009..000011}.tar"),
            (std::vector<std::string>{dir / "000009.tar", dir / "000010.tar", dir / "000011.tar"}));
  EXPECT_EQ(list_shards(dir / "{x,000010}.tar"), (std::vector<std::string>{dir / "x.tar", dir / "000010.tar"}));
  EXPECT_EQ(list_shards(dir / "x.tar"), (std::vector<std::string>{dir / "x.tar"}));
  EXPECT_THROW(list_shards(dir / "{000009..000012}.tar"), Error);
  EXPECT_THROW(list_shards(dir / "{0..999999999}.tar"), Error);
  EXPECT_THROW(list_shards(dir / "none"), Error);
  fs::create_directory(dir / "empty");
  EXPECT_THROW(list_shards(dir / "empty"), Error);
}

TEST(Meta, ReadsWhatItWrites) {
  Meta m;
  m.caption = "a \"red\" cat\n";
  m.caption_ko = "빨간 고양이";
  m.captions = {"x", ""};
  m.captions_ko = {"가"};
  m.tags = {"cat", "red"};
  m.tags_ko = {"고양이"};
  m.source = "pkg";
  m.license = "CC0-1.0";
  m.group = "animals";
  m.style = "emoji";
  m.scene = R"({"things":[{"shape":"circle","cx":0.5}]})";
  m.mirror_ok = false;
  std::string json = dump_meta(m);
  Meta r = parse_meta(bytes(json), "m.json");
  EXPECT_EQ(r.caption, m.caption);
  EXPECT_EQ(r.caption_ko, m.caption_ko);
  EXPECT_EQ(r.captions, m.captions);
  EXPECT_EQ(r.captions_ko, m.captions_ko);
  EXPECT_EQ(r.tags, m.tags);
  EXPECT_EQ(r.tags_ko, m.tags_ko);
  EXPECT_EQ(r.source, m.source);
  EXPECT_EQ(r.license, m.license);
  EXPECT_EQ(r.group, m.group);
  EXPECT_EQ(r.style, m.style);
  EXPECT_EQ(r.scene, m.scene);
  EXPECT_FALSE(r.mirror_ok);
  EXPECT_EQ(dump_meta(r), json);
  EXPECT_EQ(dump_meta(Meta{}), "{}");
  EXPECT_TRUE(parse_meta(bytes("{\"unknown\":[1],\"caption\":null}"), "m").caption.empty());
}

TEST(Meta, APlainCaptionIsKoreanWhereItHoldsHangul) {
  Meta en, ko, jamo;
  en.say("a cat, café");
  ko.say("고양이 (cat)");
  jamo.say("ㄱ");
  EXPECT_EQ(en.caption, "a cat, café");
  EXPECT_TRUE(en.caption_ko.empty());
  EXPECT_EQ(ko.caption_ko, "고양이 (cat)");
  EXPECT_TRUE(ko.caption.empty());
  EXPECT_EQ(jamo.caption_ko, "ㄱ");
}

TEST(Meta, RefusesOtherTypesByKey) {
  auto said = [](const std::string& json) { return message([&] { parse_meta(bytes(json), "m.json"); }); };
  EXPECT_EQ(said(R"({"caption":5})"), "m.json: key 'caption': expected text");
  EXPECT_EQ(said(R"({"tags":"x"})"), "m.json: key 'tags': expected a list of texts");
  EXPECT_EQ(said(R"({"mirror_ok":1})"), "m.json: key 'mirror_ok': expected true or false");
  for (const char* bad : {"", "[]", "5", "{", "{\"caption\":\"\xff\"}"})
    EXPECT_EQ(said(bad).rfind("m.json: ", 0), 0u) << bad << ": " << said(bad);
  EXPECT_NE(said(std::string(100000, '[')), "no error");
  EXPECT_NE(said("{\"caption\":\"" + std::string(1 << 20, 'x') + "\"}"), "no error");
  std::string list = "{\"tags\":[\"x\"";
  for (int i = 0; i < 1024; i++) list += ",\"x\"";
  EXPECT_NE(said(list + "]}"), "no error");
}

TEST(Dataset, IndexesASplitAndNamesFaults) {
  TempDir dir;
  ShardWriter w(dir / "val", "", 3);
  w.add(to_sample({"a", dot(1), [] {
                     Meta m;
                     m.caption = "one";
                     return m;
                   }()}));
  w.add({"b", {{"txt", bytes("no picture")}}});
  w.add({"c", {{"png", dot(2)}}});
  w.add({"d", {{"png", dot(3)}, {"txt", bytes("a dot")}}});
  w.add({"e", {{"png", dot(4)}, {"jpg", dot(4)}, {"txt", bytes("two pictures")}}});
  w.finish();
  Dataset d = Dataset::open(dir.path, "val");
  ASSERT_EQ(d.size(), 2);
  EXPECT_EQ(d.faults().size(), 3u);
  EXPECT_EQ(d.key(1), "d");
  EXPECT_EQ(d.meta(0).caption, "one");
  EXPECT_EQ(d.meta(1).caption, "a dot");
  EXPECT_EQ(d.record(1).image_bytes, dot(3));
  EXPECT_NE(d.name(1).find("val/000001.tar: d"), std::string::npos);
  EXPECT_THROW(Dataset::open(dir.path, "train"), Error);
  EXPECT_THROW(to_sample({"x", bytes("GIF89a"), {}}), Error);
}

struct Collected {
  std::map<std::string, Meta> good;
  std::map<std::string, std::string> bad, detail;
  EachRecord each() {
    return [this](Record&& r) { good[r.key] = r.meta; };
  }
  EachFault fault() {
    return [this](const std::string& f, const std::string& r, const std::string& d) { bad[f] = r, detail[f] = d; };
  }
};

void write(const std::string& path, const std::vector<uint8_t>& b) { write(path, std::string(b.begin(), b.end())); }

TEST(Coco, JoinsPicturesAndCaptions) {
  TempDir dir;
  write(dir / "img/1.png", dot(1));
  write(dir / "img/sub/2.png", dot(2));
  write(dir / "img/4.png", dot(4));
  write(dir / "out.png", dot(5));
  write(dir / "c.json", R"({"info":{},"images":[{"id":7,"file_name":"1.png"},{"id":8,"file_name":"sub/2.png"},
    {"id":9,"file_name":"3.png"},{"id":10,"file_name":"../out.png"},{"id":11,"file_name":"4.png"}],
    "annotations":[{"image_id":8,"id":1,"caption":"two"},{"image_id":7,"caption":"하나"},{"image_id":7,"caption":"one"},
    {"image_id":7,"caption":"uno"},{"image_id":7,"caption":"일"},
    {"image_id":9,"caption":"gone"},{"image_id":10,"caption":"outside"}]})");
  Collected c;
  read_coco(dir / "c.json", dir / "img", c.each(), c.fault());
  ASSERT_EQ(c.good.size(), 2u);
  EXPECT_EQ(c.good.at("1").caption, "one");
  EXPECT_EQ(c.good.at("1").captions, std::vector<std::string>{"uno"});
  EXPECT_EQ(c.good.at("1").caption_ko, "하나");
  EXPECT_EQ(c.good.at("1").captions_ko, std::vector<std::string>{"일"});
  EXPECT_EQ(c.good.at("sub/2").caption, "two");
  EXPECT_EQ(parse_meta(bytes(dump_meta(c.good.at("1"))), "1").coco_id, 7);
  EXPECT_EQ(parse_meta(bytes(dump_meta(c.good.at("sub/2"))), "2").coco_id, 8);
  EXPECT_EQ(c.bad.size(), 3u);
  EXPECT_NE(c.bad.at("../out.png").find("outside"), std::string::npos);
  EXPECT_EQ(c.bad.at("4.png"), "no caption");
  for (const char* bad : {"", "{}", "[", "{\"images\":5,\"annotations\":[]}", "{\"images\":[{\"id\":1}],\"annotations\":[]}",
                          "{\"images\":[],\"annotations\":[{\"image_id\":1}]}"}) {
    write(dir / "b.json", bad);
    std::string said = message([&] { read_coco(dir / "b.json", dir / "img", c.each(), c.fault()); });
    EXPECT_NE(said.find("b.json"), std::string::npos) << bad << ": " << said;
  }
}

TEST(Meta, LinesOfATextFileInBothLanguagesAreTwoCaptions) {
  const auto said = [](std::string_view text) {
    Meta m;
    m.say_file(text);
    return std::pair(clean_caption(m.caption), clean_caption(m.caption_ko));
  };
  EXPECT_EQ(said("a plane\n비행기\n"), std::pair(std::string("a plane"), std::string("비행기")));
  EXPECT_EQ(said("비행기가\r\n\r\na plane that\nflies\n난다"),
            std::pair(std::string("a plane that flies"), std::string("비행기가 난다")));
  EXPECT_EQ(said("두 줄인\n설명"), std::pair(std::string(), std::string("두 줄인 설명")));
  EXPECT_EQ(said("two\n\nlines"), std::pair(std::string("two lines"), std::string()));
  EXPECT_EQ(said("USB 케이블"), std::pair(std::string(), std::string("USB 케이블")));
  EXPECT_EQ(said(" \n"), std::pair(std::string(), std::string()));
}

TEST(Folder, TakesMetadataThenSidecars) {
  TempDir dir;
  write(dir / "a.png", dot(1));
  write(dir / "b.v2.png", dot(2));
  write(dir / "deep/c.PNG", dot(3));
  write(dir / "d.png", dot(4));
  write(dir / "e.png", dot(5));
  write(dir / "metadata.jsonl",
        "{\"file_name\":\"a.png\",\"text\":\"from jsonl\",\"style\":\"emoji\"}\n\n"
        "{\"file_name\":\"gone.png\",\"caption\":\"x\"}\n");
  write(dir / "a.txt", "not this");
  write(dir / "b.v2.txt", "side text");
  write(dir / "deep/c.json", R"({"caption":"side json","caption_ko":"곁"})");
  write(dir / "e.json", "{broken");
  Collected c;
  read_folder(dir.path, c.each(), c.fault());
  ASSERT_EQ(c.good.size(), 3u);
  EXPECT_EQ(c.good.at("a").caption, "from jsonl");
  EXPECT_EQ(c.good.at("a").style, "emoji");
  EXPECT_EQ(c.good.at("b_v2").caption, "side text");
  EXPECT_EQ(c.good.at("deep/c").caption_ko, "곁");
  EXPECT_EQ(c.bad.at("d.png"), "no caption");
  EXPECT_EQ(c.detail.at("d.png"), "no d.txt or d.json beside it, and no --folder-captions");
  EXPECT_EQ(c.bad.at("e.png"), "not readable");
  EXPECT_NE(c.detail.at("e.png").find("e.json"), std::string::npos);
  EXPECT_EQ(c.bad.count("gone.png"), 1u);
  write(dir / "metadata.jsonl", "{\"file_name\":\"a.png\"}\n{\"caption\":\n");
  std::string said = message([&] { read_folder(dir.path, c.each(), c.fault()); });
  EXPECT_NE(said.find("metadata.jsonl: line 2"), std::string::npos) << said;
  EXPECT_THROW(read_folder(dir / "none", c.each(), c.fault()), Error);
}

TEST(Folder, SaysWhatItLeavesOut) {
  TempDir dir;
  for (const char* name : {"a.png", "b.png", "c.png", "dog/d.png", "e.png"}) write(dir / name, dot(1));
  write(dir / "a.txt", "\xb0\xed\xbe\xe7\xc0\xcc");  // EUC-KR
  write(dir / "b.txt", std::string("\xff\xfe"
                                   "a\0",
                                   4));  // UTF-16
  write(dir / "c.json", R"({"style": "emoji"})");
  write(dir / "dog/d.txt", "a dog");
  write(dir / "e.txt", "");
  write(dir / "f.gif", "GIF89a"), write(dir / "f.txt", "a cat");
  write(dir / "notes.pdf", "none");
  Collected c;
  read_folder(dir.path, c.each(), c.fault());
  EXPECT_EQ(c.good.size(), 1u);
  EXPECT_EQ(c.good.at("dog/d").group, "dog") << "a folder is a category";
  EXPECT_EQ(c.bad, (std::map<std::string, std::string>{{"a.png", "caption is not UTF-8"},
                                                       {"b.png", "caption is not UTF-8"},
                                                       {"c.png", "no caption"},
                                                       {"e.png", "no caption"},
                                                       {"f.gif", "not PNG, JPEG, WebP or DICOM"}}));
  EXPECT_NE(c.detail.at("a.png").find("a.txt: byte 0 (0xb0)"), std::string::npos) << c.detail.at("a.png");
  EXPECT_NE(c.detail.at("b.png").find("b.txt: byte 0 (0xff)"), std::string::npos) << c.detail.at("b.png");
  EXPECT_NE(c.detail.at("c.png").find("c.json has no 'caption'"), std::string::npos) << c.detail.at("c.png");
  EXPECT_NE(c.detail.at("e.png").find("e.txt is empty"), std::string::npos) << c.detail.at("e.png");
}

// An empty split of a set that has others is no missing data set.
TEST(Dataset, AnEmptySplitSaysWhatThereIs) {
  TempDir dir;
  for (const auto& [split, n] : {std::pair("train", 3), std::pair("val", 1)}) {
    ShardWriter w(dir / split, "", 100);
    for (int i = 0; i < n; i++) {
      Meta m;
      m.caption = "x";
      w.add(to_sample({std::to_string(i), dot(i), m}));
    }
    w.finish();
  }
  fs::create_directories(dir / "heldout");
  for (const char* split : {"heldout", "pairs"}) {
    const std::string has = std::string(": ") + split + " is empty (the set has 3 in train, 1 in val)";
    EXPECT_EQ(message([&] { Dataset::open(dir.path, split); }), dir.path + has + "; try --split val");
    EXPECT_EQ(message([&] { Dataset::open(dir.path, split, SplitBy::config); }), dir.path + has + "; try data.split=train");
    EXPECT_EQ(message([&] { Dataset::open(dir.path, split, SplitBy::nothing); }), dir.path + has);
  }
  EXPECT_TRUE(has_split(dir.path, "val"));
  EXPECT_FALSE(has_split(dir.path, "heldout"));
  EXPECT_NE(message([&] { Dataset::open(dir / "val", "train"); }).find("data build"), std::string::npos);
  // A caption of a tar that is not UTF-8 is refused as broken JSON is.
  ShardWriter w(dir / "set/train", "", 100);
  w.add({"k", {{"png", dot(1)}, {"txt", {0x61, 0xb0}}}});
  w.finish();
  EXPECT_NE(message([&] { Dataset::open(dir / "set", "train").meta(0); }).find("k.txt: caption is not UTF-8 at byte 1 (0xb0)"),
            std::string::npos);
}

}  // namespace
}  // namespace duet
