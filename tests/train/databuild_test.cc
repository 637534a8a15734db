// The builder over fake packages and folders: same bytes every time, disjoint splits, no picture twice, clear refusals.
#include "train/databuild.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "fusion/shards.h"
#include "kernels/error.h"
#include "kernels/parallel.h"
#include "tests/train/faketree.h"
#include "tests/vision/rawdicom.h"
#include "train/datashow.h"
#include "train/neardup.h"
#include "train/words.h"
#include "vision/transform.h"

namespace duet {
namespace {
namespace fs = std::filesystem;

// 300 stamps of 150 names: every second one names the same thing again.
void fake_stamps(const TestFolder& cache) {
  std::string s = fake_package(cache, "tuxpaint-stamps-default") + "/usr/share/tuxpaint/stamps/things/";
  for (int i = 0; i < 300; i++) {
    put_png(s + "t" + std::to_string(i) + ".png", picture(i));
    put(s + "t" + std::to_string(i) + ".txt",
        (i % 2 ? "A " : "The ") + std::string("Thing ") + std::to_string(i / 2) + ".\nko.utf8=물건\n");
  }
}

std::string build(const TestFolder& cache, const std::string& out, std::vector<std::string> sources, int limit = 0) {
  std::ostringstream log;
  build_data({std::move(sources), out, 32, cache.path.string(), 40, 1, limit}, log);
  return log.str();
}

std::map<std::string, std::string> files_of(const std::string& folder) {
  std::map<std::string, std::string> all;
  for (auto& e : fs::recursive_directory_iterator(folder)) {
    if (e.is_regular_file()) all[fs::relative(e.path(), folder).string()] = slurp(e.path());
  }
  return all;
}

TEST(DataBuild, TwoBuildsAreByteIdenticalWhateverTheThreads) {
  TestFolder t;
  fake_stamps(t);
  int before = threads();
  set_threads(1);
  build(t, t / "a", {"stamps", "scenes"});
  set_threads(2);
  build(t, t / "b", {"stamps", "scenes"});
  set_threads(before);
  auto a = files_of(t / "a");
  EXPECT_EQ(a, files_of(t / "b"));
  EXPECT_TRUE(a.count("train/000000.tar") && a.count("val/000000.tar") && a.count("heldout/000000.tar") &&
              a.count("dataset.json"));
}

TEST(DataBuild, NoConceptIsInTwoSplits) {
  TestFolder t;
  fake_stamps(t);
  build(t, t / "out", {"stamps"});
  std::map<std::string, std::string> where;
  int64_t total = 0;
  for (const char* split : {"train", "val", "heldout"}) {
    Dataset data = Dataset::open(t / "out", split);
    EXPECT_GT(data.size(), 0) << split;
    total += data.size();
    for (int64_t i = 0; i < data.size(); i++) {
      Meta m = data.meta(i);
      auto [at, fresh] = where.emplace(concept_of(m.caption), split);
      EXPECT_EQ(at->second, split) << m.caption;
      EXPECT_EQ(m.source, "tuxpaint-stamps-default 1.0-test");
      EXPECT_EQ(m.license, "GPL-2.0-only");
      Image image = decode_image(data.image(i), data.name(i));
      EXPECT_EQ(image.width, 32);
      EXPECT_EQ(image.at(0, 0)[3], 0) << "a margin of one pixel";
      EXPECT_EQ(image.at(1, 16)[3], 255) << "trimmed up to the margin";
    }
  }
  auto j = nlohmann::json::parse(slurp(t / "out/dataset.json"));
  EXPECT_EQ(j["counts"]["train"].get<int64_t>() + j["counts"]["val"].get<int64_t>() + j["counts"]["heldout"].get<int64_t>(),
            total);
  EXPECT_EQ(j["sources"][0]["packages"]["tuxpaint-stamps-default"], "1.0-test");
  EXPECT_EQ(j["hash"].get<std::string>().size(), 6u + 16u);
}

TEST(DataBuild, DropsRepeatedDamagedAndEmptyPicturesAndSaysSo) {
  TestFolder t;
  std::string s = fake_package(t, "tuxpaint-stamps-default") + "/usr/share/tuxpaint/stamps/x/";
  auto stamp = [&](const std::string& name) { put(s + name + ".txt", "A " + name + "."); };
  Image picture7 = picture(7);
  put_png(s + "aa.png", picture7), stamp("aa");
  Image twice(90, 84);  // the same, drawn larger and off the middle
  for (int y = 0; y < 80; y++) {
    for (int x = 0; x < 80; x++) std::copy_n(picture7.at(x / 2, y / 2), 4, twice.at(x + 7, y + 2));
  }
  put_png(s + "bb.png", twice), stamp("bb");
  put_png(s + "cc.png", picture(8)), stamp("cc");
  put_png(s + "empty.png", Image(30, 30)), stamp("empty");
  std::string whole = slurp(s + "cc.png");
  put(s + "broken.png", whole.substr(0, whole.size() / 2)), stamp("broken");
  std::string bomb = whole;  // a header that claims 65500 x 65500
  bomb[18] = bomb[22] = char(0xff), bomb[19] = bomb[23] = char(0xdc);
  put(s + "bomb.png", bomb), stamp("bomb");
  std::string log = build(t, t / "out", {"stamps"});
  auto j = nlohmann::json::parse(slurp(t / "out/dataset.json"));
  EXPECT_EQ(j["sources"][0]["kept"], 2);
  EXPECT_EQ(j["sources"][0]["dropped"], nlohmann::json({{"near-duplicates", 1}, {"empty picture", 1}, {"not readable", 2}}));
  EXPECT_NE(log.find("1 near-duplicates"), std::string::npos) << log;
  EXPECT_NE(log.find("not readable: "), std::string::npos);
  EXPECT_NE(log.find("broken.png"), std::string::npos);
}

TEST(DataBuild, LimitCountsKeptPictures) {
  TestFolder t;
  fake_stamps(t);
  build(t, t / "out", {"stamps"}, 5);
  EXPECT_EQ(nlohmann::json::parse(slurp(t / "out/dataset.json"))["sources"][0]["kept"], 5);
}

TEST(DataBuild, OwnFolderAndTarsKeepTheirWords) {
  TestFolder t;
  for (int i = 0; i < 60; i++) {
    put_png(t / ("mine/cats/c." + std::to_string(i) + ".png"), picture(i));
    put(t / ("mine/cats/c." + std::to_string(i) + ".txt"), i % 2 ? "a cat" : "a dog");
  }
  for (int i = 0; i < 7; i++) put_png(t / ("mine/wordless" + std::to_string(i) + ".png"), picture(90 + i));
  put(t / "mine/moving.gif", "GIF89a");
  put_png(t / "mine/old.png", picture(98)), put(t / "mine/old.txt", "\xb0\xed\xbe\xe7");
  const std::string log = build(t, t / "out", {t / "mine"});
  const auto j = nlohmann::json::parse(slurp(t / "out/dataset.json"))["sources"][0];
  EXPECT_EQ(j["found"], 69);
  EXPECT_EQ(j["dropped"],
            nlohmann::json({{"no caption", 7}, {"not PNG, JPEG, WebP or DICOM", 1}, {"caption is not UTF-8", 1}}));
  EXPECT_NE(log.find("no caption: wordless4.png: no wordless4.txt or wordless4.json beside it, and no --folder-captions\n"),
            std::string::npos)
      << log;
  EXPECT_EQ(log.find("wordless5.png"), std::string::npos) << "the first few are named";
  EXPECT_NE(log.find("not PNG, JPEG, WebP or DICOM: moving.gif\n"), std::string::npos) << log;
  EXPECT_NE(log.find("caption is not UTF-8: old.png: "), std::string::npos) << log;
  EXPECT_EQ(log.find("\xef\xbf\xbd"), std::string::npos);
  Dataset train = Dataset::open(t / "out", "train");
  EXPECT_EQ(train.size() + Dataset::open(t / "out", "val").size(), 60);
  EXPECT_FALSE(fs::exists(t / "out/heldout/000000.tar")) << "class names repeat: nothing of them can be held out";
  std::set<std::string> words;
  for (int64_t i = 0; i < train.size(); i++) words.insert(train.meta(i).caption);
  EXPECT_EQ(words, (std::set<std::string>{"a cat", "a dog"}));
  EXPECT_EQ(train.meta(0).group, "cats");

  build(t, t / "again", {t / "out"});  // a data set as a source: splits stay
  EXPECT_EQ(Dataset::open(t / "again", "train").size(), train.size());
  build(t, t / "one", {t / "out/train/000000.tar"});
  EXPECT_TRUE(fs::exists(t / "one/train/000000.tar"));
}

// Scans: what shows one patient must not be trained on and judged by.
TEST(DataBuild, WhatIsKeptTogetherIsInOneSplit) {
  TestFolder t;
  for (int i = 0; i < 240; i++) {
    const std::string name = "scans/p" + std::to_string(i / 4) + "_slice" + std::to_string(i % 4);
    put_png(t / (name + ".png"), picture(i));
    put(t / (name + ".txt"), i % 2 ? "normal" : "pneumonia");
  }
  const auto splits = [&](const std::string& together, double val) {
    std::ostringstream log;
    BuildOptions o{{t / "scans"}, t / "out", 32, t.path.string()};
    o.together = together, o.val = val;
    build_data(o, log);
    std::map<std::string, std::set<std::string>> of;  // patient -> splits
    int64_t apart = 0;
    for (const char* split : {"train", "val"}) {
      const Dataset d = Dataset::open(t / "out", split);
      if (split == std::string("val")) apart = d.size();
      for (int64_t i = 0; i < d.size(); ++i) {
        const std::string key = d.key(i), patient = key.substr(key.rfind('/') + 1);
        of[patient.substr(0, patient.find('_'))].insert(split);
      }
    }
    int both = 0;
    for (const auto& [patient, in] : of) both += in.size() > 1;
    return std::pair(both, apart);
  };
  EXPECT_GT(splits("", 0.2).first, 10) << "else this test shows nothing";
  const auto [both, apart] = splits("p[0-9]+", 0.2);
  EXPECT_EQ(both, 0);
  EXPECT_NEAR(double(apart), 48, 24) << "60 patients of 4, a fifth of them; 3.1 patients is one sigma";
  EXPECT_EQ(apart % 4, 0);
  EXPECT_EQ(splits("/?(p[0-9]+)_slice[0-9]", 0.2), std::pair(0, apart)) << "the first ( ) counts";
  EXPECT_LT(splits("p[0-9]+", 0.05).second, apart);
  EXPECT_EQ(Dataset::open(t / "out", "train").meta(0).unit.substr(0, 1), "p") << "evaluations find the patient there";
  EXPECT_NE(refusal([&] { splits("q[0-9]+", 0.2); }).find("--together 'q[0-9]+': none of the 240 names has a match"),
            std::string::npos);
  EXPECT_NE(refusal([&] { splits("p[0-9", 0.2); }).find("--together 'p[0-9': not a regular expression"), std::string::npos);
  EXPECT_NE(refusal([&] { splits("", 1.5); }).find("--val 1.5: "), std::string::npos);
}

// A third part for the last report: of patients that are in neither of the others, and val is what it was without.
TEST(DataBuild, HeldOutOfOnesOwn) {
  TestFolder t;
  for (int i = 0; i < 240; i++) {
    const std::string name = join("scans/", i / 4 % 10 ? "normal" : "cyst", "/p", i / 4, "/", i % 4);
    put_png(t / (name + ".png"), picture(i));
  }
  const auto units = [&](double val, double heldout, std::string* said = nullptr) {
    BuildOptions o{{t / "scans"}, t / "out", 32, t.path.string()};
    o.folder_captions = true, o.together = "p[0-9]+", o.val = val, o.heldout = heldout;
    std::ostringstream log;
    build_data(o, log);
    if (said) *said = log.str();
    std::map<std::string, std::set<std::string>> of;  // split -> patients
    for (const char* split : {"train", "val", "heldout"}) {
      if (!has_split(t / "out", split)) continue;
      const Dataset d = Dataset::open(t / "out", split);
      for (int64_t i = 0; i < d.size(); ++i) of[split].insert(d.meta(i).unit);
    }
    return of;
  };
  auto two = units(0.2, 0), three = units(0.2, 0.3);
  EXPECT_EQ(two.count("heldout"), 0u);
  EXPECT_EQ(two["val"], three["val"]);
  EXPECT_NEAR(double(three["heldout"].size()), 18, 11) << "60 patients, three tenths of them; 3.5 is one sigma";
  EXPECT_EQ(three["train"].size() + three["val"].size() + three["heldout"].size(), 60u);
  std::set<std::string> all;
  for (const auto& [split, names] : three) all.insert(names.begin(), names.end());
  EXPECT_EQ(all.size(), 60u) << "none is on two sides";
  std::string said;
  EXPECT_EQ(units(0.8, 0.2).count("train"), 0u);
  units(0.9, 0, &said);
  EXPECT_NE(said.find("train has no picture of: cyst; what is not trained on is not known"), said.npos)
      << "choose another share: " << said;
  units(0.2, 0.01, &said);
  EXPECT_TRUE(said.find("nothing is in heldout; a larger --heldout may have something") != said.npos ||
              said.find("heldout has no picture of: cyst; a larger --heldout may have") != said.npos)
      << said;
  EXPECT_NE(refusal([&] { units(0.8, 0.3); }).find("--heldout 0.3: "), std::string::npos);
  EXPECT_NE(refusal([&] { units(0.8, -1); }).find("--heldout -1: "), std::string::npos);
  BuildOptions builtin{{"scenes"}, t / "scenes", 32, t.path.string(), 64};
  builtin.heldout = 0.1;
  std::ostringstream log;
  EXPECT_NE(refusal([&] { build_data(builtin, log); }).find("--heldout is of your own pictures"), std::string::npos);
}

// A patient's DICOM files and frames are on one side, and no word of who it is in the data set, its log or its name.
TEST(DataBuild, DicomKeepsPatientsTogetherAndSaysNothingOfThem) {
  TestFolder t;
  const auto scan = [](int number, int frames, const std::string& patient, bool burned_in) {
    rawdicom::Grey g{.columns = 32, .rows = 32, .frames = frames, .stored = {}, .patient = patient, .burned_in = burned_in};
    for (int f = 0; f < std::max(frames, 1); ++f) {
      const Image image = picture(number + f);
      for (int i = 0; i < 32 * 32; ++i) g.stored.push_back(image.at(4 + i % 32, 4 + i / 32)[0] * 9 + i % 7);
    }
    const auto bytes = g.bytes();
    return std::string(bytes.begin(), bytes.end());
  };
  const auto build_scans = [&] {
    std::ostringstream log;
    BuildOptions o{{t / "scans"}, t / "out", 32, t.path.string()};
    o.folder_captions = true, o.val = 0.3;
    build_data(o, log);
    return log.str();
  };
  int number = 0;
  for (int p = 0; p < 12; ++p, number += 8) {  // a folder of the class, and of a study in it
    const std::string folder = join("scans/", p % 2 ? "cyst" : "normal", "/study", p, "/"), id = join("SECRET-", p);
    put(t / join(folder, "IM", p, "a"), scan(number, 0, id, p == 3));
    put(t / join(folder, "IM", p, "b.dcm"), scan(number + 1, 3, id, false));
  }
  put(t / "scans/cyst/broken.dcm", scan(0, 0, "SECRET-1", false).substr(0, 500));
  const std::string log = build_scans();
  std::map<std::string, std::set<std::string>> splits;  // of each unit
  int64_t pictures = 0;
  for (const char* split : {"train", "val"}) {
    const Dataset d = Dataset::open(t / "out", split);
    for (int64_t i = 0; i < d.size(); ++i, ++pictures) {
      EXPECT_EQ(d.meta(i).unit.rfind("patient-", 0), 0u) << d.meta(i).unit;
      EXPECT_EQ(d.meta(i).caption, d.meta(i).group);
      EXPECT_TRUE(d.meta(i).caption == "cyst" || d.meta(i).caption == "normal") << d.meta(i).caption;
      splits[d.meta(i).unit].insert(split);
    }
  }
  EXPECT_EQ(pictures, 48) << log;
  EXPECT_EQ(log.find("name no patient"), log.npos) << log;
  EXPECT_EQ(splits.size(), 12u);
  for (const auto& [unit, in] : splits) EXPECT_EQ(in.size(), 1u) << unit;
  EXPECT_NE(log.find("kept together: 12 units"), std::string::npos) << log;
  EXPECT_NE(log.find("1 pictures say that words of the patient are in their pixels"), std::string::npos) << log;
  EXPECT_NE(log.find("not readable: cyst/broken: this DICOM file is damaged"), std::string::npos) << log;
  for (const auto& [file, text] : files_of(t / "out")) EXPECT_EQ(text.find("SECRET"), text.npos) << file;
  EXPECT_EQ(log.find("SECRET"), log.npos);

  std::filesystem::remove_all(t / "scans");
  // Without an id of anyone the frames of a file belong together, and files named by UIDs are none the same.
  for (int i = 0; i < 10; ++i) put(t / join("scans/normal/1.2.840.", i), scan(i * 8, 4, "", false));
  put(t / "scans/normal/1.2.840.3.txt", "the third");
  // Two patients may look alike; of one the same picture counts once.
  put(t / "scans/normal/twin1.dcm", scan(500, 0, "A", false)), put(t / "scans/cyst/twin2.dcm", scan(500, 0, "B", false));
  put(t / "scans/normal/again.dcm", scan(500, 0, "A", false));
  const std::string nameless = build_scans();
  EXPECT_NE(nameless.find("10 files name no patient"), nameless.npos) << nameless;
  EXPECT_NE(nameless.find("1 near-duplicates"), nameless.npos) << nameless;
  for (const char* twin : {"normal/twin1", "cyst/twin2", "normal/again"})
    std::filesystem::remove(t / join("scans/", twin, ".dcm"));
  build_scans();
  splits.clear();
  std::set<std::string> names;
  int third = 0;
  for (const char* split : {"train", "val"}) {
    const Dataset d = Dataset::open(t / "out", split);
    for (int64_t i = 0; i < d.size(); ++i) {
      splits[d.meta(i).unit].insert(split), names.insert(d.key(i));
      third += d.meta(i).caption == "the third";
    }
  }
  EXPECT_EQ(names.size(), 40u);
  EXPECT_EQ(third, 4);
  EXPECT_EQ(splits.size(), 10u);
  for (const auto& [unit, in] : splits) EXPECT_EQ(in.size(), 1u) << unit;
  std::filesystem::remove_all(t / "scans");
  for (int i = 0; i < 6; ++i) put(t / join("scans/normal/", i, ".dcm"), scan(i, 0, "SAME", false));
  EXPECT_NE(build_scans().find("all of them belong to one: val and train cannot be told apart"), std::string::npos);
}

// Of eight patients two have a cyst: with --stratify both classes are on both sides, by whole patients; by chance they are not.
TEST(DataBuild, StratifiedEachClassIsOnEachSide) {
  TestFolder t;
  for (int i = 0; i < 48; i++)
    put_png(t / (join("scans/", i < 36 ? "normal" : "cyst", "/patient", i / 6, "/", i, ".png")), picture(i));
  const auto divided = [&](bool stratify) {
    std::ostringstream log;
    BuildOptions o{{t / "scans"}, t / "out", 32, t.path.string()};
    o.folder_captions = true, o.together = "patient[0-9]+", o.val = 0.2, o.stratify = stratify;
    build_data(o, log);
    std::map<std::string, std::map<std::string, std::set<std::string>>> units;  // split, category
    for (const char* split : {"train", "val"}) {
      if (!has_split(t / "out", split)) continue;
      const Dataset d = Dataset::open(t / "out", split);
      for (int64_t i = 0; i < d.size(); ++i) units[split][d.meta(i).group].insert(d.meta(i).unit);
    }
    EXPECT_EQ(log.str().find("has no picture of") == log.str().npos, stratify) << "choose other names: " << log.str();
    return units;
  };
  divided(false);
  auto units = divided(true);
  EXPECT_EQ(units["train"]["normal"].size(), 5u);
  EXPECT_EQ(units["val"]["normal"].size(), 1u);
  EXPECT_EQ(units["train"]["cyst"].size(), 1u);
  EXPECT_EQ(units["val"]["cyst"].size(), 1u);
  for (const auto& [category, names] : units["val"])
    for (const auto& name : names) EXPECT_FALSE(units["train"][category].contains(name)) << name;
}

// Class, then patient, then slices: the patient is neither the category nor the caption, and what val lacks is said.
TEST(DataBuild, AFolderOfWhatIsKeptTogetherIsNoWord) {
  TestFolder t;
  for (int i = 0; i < 60; i++)
    put_png(t / (join("scans/", i < 48 ? "normal" : "cyst", "/patient", i / 6, "/", i, ".png")), picture(i));
  std::ostringstream log;
  BuildOptions o{{t / "scans"}, t / "out", 32, t.path.string()};
  o.folder_captions = true, o.together = "patient[0-9]+", o.val = 0.1;
  build_data(o, log);
  std::map<std::string, std::set<std::string>> units;
  for (const char* split : {"train", "val"}) {
    if (!has_split(t / "out", split)) continue;
    const Dataset d = Dataset::open(t / "out", split);
    for (int64_t i = 0; i < d.size(); ++i) {
      EXPECT_EQ(d.meta(i).caption, d.meta(i).group);
      EXPECT_TRUE(d.meta(i).group == "normal" || d.meta(i).group == "cyst") << d.meta(i).group;
      units[split].insert(d.meta(i).unit);
    }
  }
  EXPECT_EQ(units["train"].size() + units["val"].size(), 10u);
  EXPECT_NE(log.str().find(join("kept together: 10 units, ", units["train"].size(), " in train")), std::string::npos)
      << log.str();
  EXPECT_EQ(log.str().find("folders of folders"), std::string::npos) << log.str();
  o.together = "";
  for (const bool captions : {true, false}) {
    o.folder_captions = captions;
    if (!captions)
      for (int i = 0; i < 60; i++)
        put(t / (join("scans/", i < 48 ? "normal" : "cyst", "/patient", i / 6, "/", i, ".txt")), "scan");
    std::ostringstream alone;
    build_data(o, alone);
    EXPECT_NE(alone.str().find("scans: 60 pictures lie in folders of folders ("), std::string::npos) << alone.str();
    EXPECT_EQ(alone.str().find("and the innermost is the caption") != std::string::npos, captions) << alone.str();
  }
  for (int i = 0; i < 60; i++) put(t / (join("flat/", i < 58 ? "normal" : "cyst", "/", i, ".txt")), "scan");
  for (int i = 0; i < 60; i++) put_png(t / (join("flat/", i < 58 ? "normal" : "cyst", "/", i, ".png")), picture(i));
  o.sources = {t / "flat"}, o.val = 0.2;
  std::ostringstream flat;
  build_data(o, flat);
  EXPECT_EQ(flat.str().find("kept together"), std::string::npos);
  const Dataset val = Dataset::open(t / "out", "val");
  for (int64_t i = 0; i < val.size(); ++i)
    ASSERT_EQ(val.meta(i).group, "normal") << "choose other names: this test wants none there";
  EXPECT_NE(flat.str().find("val has no picture of: cyst; a larger --val may have"), std::string::npos) << flat.str();
  o.val = 0.9;
  std::ostringstream most;
  build_data(o, most);
  EXPECT_EQ(most.str().find("val has no picture of"), std::string::npos) << most.str();
}

TEST(DataBuild, AFolderMayBeTheCaption) {
  TestFolder t;
  for (int i = 0; i < 40; i++) put_png(t / ("scans/no_finding/" + std::to_string(i) + ".png"), picture(i));
  put_png(t / "scans/no_finding/said.png", picture(50)), put(t / "scans/no_finding/said.txt", "a cat");
  put_png(t / "scans/no_finding/empty.png", picture(51)), put(t / "scans/no_finding/empty.txt", "");
  put_png(t / "scans/bare.png", picture(52));
  std::ostringstream log;
  BuildOptions o{{t / "scans"}, t / "out", 32, t.path.string()};
  o.folder_captions = true;
  build_data(o, log);
  std::map<std::string, int> words;
  for (const char* split : {"train", "val"}) {
    if (!has_split(t / "out", split)) continue;
    const Dataset d = Dataset::open(t / "out", split);
    for (int64_t i = 0; i < d.size(); ++i) ++words[d.meta(i).caption];
  }
  EXPECT_EQ(words, (std::map<std::string, int>{{"no finding", 40}, {"a cat", 1}})) << log.str();
  EXPECT_NE(log.str().find("2 no caption"), std::string::npos)
      << "an empty file is a mistake; a picture beside no folder has none";
}

TEST(DataBuild, RefusesAndLeavesThingsAlone) {
  TestFolder t;
  fake_stamps(t);
  EXPECT_NE(refusal([&] { build(t, t / "o", {"stamp"}); }).find("unknown source 'stamp': neither emoji, stamps"),
            std::string::npos);
  EXPECT_NE(refusal([&] { build(t, t / "o", {}); }).find("no source named"), std::string::npos);
  EXPECT_NE(refusal([&] { build(t, t / "o", {"stamps", "stamps"}); }).find("named twice"), std::string::npos);
  EXPECT_NE(refusal([&] { build(t, "", {"stamps"}); }).find("--out"), std::string::npos);
  std::ostringstream log;
  EXPECT_NE(refusal([&] {
              build_data({{"stamps"}, t / "o", 5000, t.path.string()}, log);
            }).find("--size 5000"),
            std::string::npos);

  put(t / "photos/me.txt", "mine");
  EXPECT_NE(refusal([&] { build(t, t / "photos", {"stamps"}); }).find("is no data set"), std::string::npos);
  EXPECT_EQ(slurp(t / "photos/me.txt"), "mine");

  fs::create_directories(t / "nothing");
  build(t, t / "o", {"stamps"}, 3);
  auto before = files_of(t / "o");
  EXPECT_NE(refusal([&] { build(t, t / "o", {t / "nothing"}); }), "");
  EXPECT_EQ(files_of(t / "o"), before) << "a failed build leaves the data set of before";
  EXPECT_FALSE(fs::exists(t / ".o.part"));
  build(t, t / "o", {"stamps"}, 4);
  EXPECT_NE(files_of(t / "o"), before) << "a good one replaces it";
}

TEST(NearDuplicates, SizesAndFormatsButNotSmallDifferences) {
  NearDuplicates near;
  EXPECT_EQ(near.find_or_keep(picture(1)), -1);
  EXPECT_EQ(near.find_or_keep(picture(2)), -1);
  EXPECT_EQ(near.find_or_keep(resize(picture(2), 97, 97)), 1);
  auto jpeg = encode_jpeg(over(picture(1), 255, 255, 255), 95);
  EXPECT_EQ(near.find_or_keep(over(picture(1), 255, 255, 255)), -1) << "alpha counts";
  EXPECT_EQ(near.find_or_keep(decode_image(jpeg, "jpeg")), 2);
  Image hand = picture(1);  // as on a clock: a short dark stroke
  for (int y = 14; y < 20; y++) std::fill_n(hand.at(18, y), 3, 0), std::fill_n(hand.at(19, y), 3, 0);
  EXPECT_EQ(near.find_or_keep(hand), -1);
  EXPECT_EQ(near.size(), 4);
}

TEST(DataShow, DrawsASheetAndRefusesEmptiness) {
  TestFolder t;
  fake_stamps(t);
  build(t, t / "out", {"stamps"}, 20);
  show_data(t / "out", t / "sheet.png", 8, "train");
  EXPECT_GT(load_image(t / "sheet.png").width, 300);
  EXPECT_NE(refusal([&] { show_data(t / "missing", t / "x.png", 8, "train"); }), "");
  EXPECT_FALSE(fs::exists(t / "x.png"));
}

}  // namespace
}  // namespace duet
