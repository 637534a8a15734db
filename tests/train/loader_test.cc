#include "train/loader.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <set>

#include "fusion/shards.h"
#include "kernels/error.h"
#include "train/augment.h"
#include "train/order.h"
#include "vision/codec.h"
#include "vision/patch.h"
#include "vision/scene.h"
#include "vision/scenetext.h"

namespace duet {
namespace {
namespace fs = std::filesystem;

Tokenizer byte_tokenizer() {
  std::vector<std::string> tokens(std::begin(kSpecialTokens), std::end(kSpecialTokens));
  std::vector<int> specials;
  for (size_t i = 0; i < tokens.size(); i++) specials.push_back(int(i));
  for (int b = 0; b < 256; b++) tokens.push_back(std::string(1, char(b)));
  return Tokenizer::make(tokens, {}, specials, "bytes");
}

// A picture of one's own for every sample, not its own mirror image, its content off the border.
Image picture(int id) {
  Image image(16, 16);
  for (int y = 3; y < 12; y++)
    for (int x = 3; x < 10; x++) {
      uint8_t* p = image.at(x, y);
      p[0] = uint8_t(id), p[1] = uint8_t(id >> 8), p[2] = uint8_t(x * 20), p[3] = 255;
    }
  return image;
}

std::vector<uint8_t> text_bytes(const std::string& s) { return {s.begin(), s.end()}; }

class LoaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "duet-loader-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(root_); }

  // n good samples "s0" ..., then the bad parts given.
  std::string build(const std::string& name, int n, const std::vector<ShardSample>& bad = {},
                    const std::function<void(int, Meta&)>& edit = {}) {
    std::string dir = root_ + "/" + name;
    ShardWriter w(dir + "/train", "", 7);
    for (int i = 0; i < n; i++) {
      Meta m;
      m.caption = name + " thing " + std::string(1, char('a' + i % 26));
      m.caption_ko = "물건";
      if (edit) edit(i, m);
      w.add(to_sample({"s" + std::to_string(i), encode_png(picture(i)), m}));
      if (i < int(bad.size())) w.add(bad[i]);
    }
    w.finish();
    return dir;
  }

  DataConfig config(std::vector<std::string> dirs, int batch = 5) {
    DataConfig c;
    c.dirs = std::move(dirs);
    c.size = 16;
    c.batch = batch;
    return c;
  }
  static DataConfig scenes_alone(int size, int batch) {
    DataConfig c;
    c.scenes = 1, c.size = size, c.batch = batch;
    return c;
  }
  std::string root_;
};

void expect_same(const Batch& a, const Batch& b) {
  EXPECT_EQ(a.step, b.step);
  EXPECT_EQ(a.keys, b.keys);
  EXPECT_EQ(a.captions, b.captions);
  EXPECT_EQ(a.caption_hash, b.caption_hash);
  EXPECT_EQ(a.text, b.text);
  EXPECT_EQ(a.pixels, b.pixels);
}

std::string key_of(const std::string& name) { return name.substr(name.rfind(' ') + 1); }

TEST(Order, ShuffledIsABijectionThatDependsOnTheKey) {
  for (uint64_t n : {1, 2, 3, 5, 16, 17, 1000, 4097}) {
    std::set<uint64_t> seen;
    int moved = 0;
    for (uint64_t i = 0; i < n; i++) {
      uint64_t j = shuffled(i, n, 42);
      EXPECT_LT(j, n);
      seen.insert(j);
      moved += j != shuffled(i, n, 43);
    }
    EXPECT_EQ(seen.size(), n);
    if (n >= 1000) {
      EXPECT_GT(moved, int(n) * 95 / 100);
    }
  }
}

TEST(Order, TurnsKeepSharesAndCountEverySourceWithoutGaps) {
  Turns turns({3, 1, 0, 1e-9});
  std::array<int64_t, 4> next{};
  for (int64_t g = 0; g < 3 * Turns::kCycle; g++) {
    auto t = turns.at(g);
    ASSERT_EQ(t.count, next[t.source]++) << g;
  }
  EXPECT_NEAR(double(next[0]) / next[1], 3, 0.01);
  EXPECT_EQ(next[2], 0);
  EXPECT_EQ(next[3], 3);
}

TEST_F(LoaderTest, AFolderMayNameItsStyleAlwaysAndAnotherNever) {
  const auto style = [](int, Meta& m) { m.style = "flat"; };
  DataConfig c = config({build("a", 6, {}, style), build("b", 6, {}, style)}, 40);
  c.weights = {1, 1}, c.korean = 0;
  const auto named = [&](std::vector<double> shares) {
    c.dir_styled = std::move(shares);
    const Batch batch = Loader(c, byte_tokenizer(), 1).make(0);
    std::map<char, std::array<int, 2>> count;  // by folder: without, with
    for (const auto& words : batch.captions)   // "a thing c", "b thing c" or "a b thing c"
      ++count[words.find("b thing") == words.npos ? 'a' : 'b'][words.ends_with(", flat")];
    return count;
  };
  EXPECT_EQ(named({0, 1}), (std::map<char, std::array<int, 2>>{{'a', {20, 0}}, {'b', {0, 20}}}));
  EXPECT_EQ(named({1, 0}), (std::map<char, std::array<int, 2>>{{'a', {0, 20}}, {'b', {20, 0}}}));
  c.styled = 1;
  EXPECT_EQ(named({}), (std::map<char, std::array<int, 2>>{{'a', {0, 20}}, {'b', {0, 20}}}));

  const auto refusal = [&](std::vector<double> shares) -> std::string {
    c.dir_styled = std::move(shares);
    try {
      Loader(c, byte_tokenizer(), 1);
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  };
  EXPECT_EQ(refusal({1}),
            "config key 'data.dir_styled': 1 shares for 2 dirs; --set 'data.dir_styled=[]' takes data.styled for all");
  EXPECT_EQ(refusal({1, 1.5}), "config key 'data.dir_styled': 1.5 is not within 0 to 1");
}

TEST_F(LoaderTest, KnowsItsStylesTheCommonestFirst) {
  const auto a = build("a", 6, {}, [](int i, Meta& m) { m.style = i < 2 ? "flat" : i < 5 ? "line icon" : ""; });
  const auto b = build("b", 3, {}, [](int, Meta& m) { m.style = "flat"; });
  EXPECT_EQ(Loader(config({a}), byte_tokenizer(), 1).styles(), (std::vector<std::string>{"line icon", "flat"}));
  EXPECT_EQ(Loader(config({a, b}), byte_tokenizer(), 1).styles(), (std::vector<std::string>{"flat", "line icon"}));
}

TEST_F(LoaderTest, BatchesAreAFunctionOfTheStep) {
  DataConfig c = config({build("a", 23), build("b", 9)});
  c.scenes = 0.2;
  Loader plain(
      [&] {
        auto x = c;
        x.threads = 0;
        x.cache_mb = 0;
        return x;
      }(),
      byte_tokenizer(), 7);
  for (int threads : {1, 3}) {
    c.threads = threads;
    Loader loader(c, byte_tokenizer(), 7);
    for (int64_t step = 0; step < 12; step++) {
      Batch b = loader.next();
      EXPECT_EQ(b.step, step);
      expect_same(b, plain.make(step));
    }
    for (int64_t step : {1000, 3, 4, 0}) {  // 4 follows 3 without a seek of effect
      loader.seek(step);
      expect_same(loader.next(), plain.make(step));
    }
    expect_same(loader.make(5), plain.make(5));
    expect_same(loader.next(), plain.make(1));
    EXPECT_EQ(loader.stats().batches, 17);
    EXPECT_GT(loader.stats().cached, 0);
  }
  Loader other(c, byte_tokenizer(), 8);
  EXPECT_NE(other.make(0).pixels, plain.make(0).pixels);
}

TEST_F(LoaderTest, BatchHasThePromisedShape) {
  DataConfig c = config({build("a", 10)}, 4);
  c.max_tokens = 12;
  Tokenizer t = byte_tokenizer();
  Loader loader(c, t, 1);
  for (int step = 0; step < 8; step++) {
    Batch b = loader.next();
    ASSERT_EQ(b.B, 4);
    ASSERT_EQ(b.size, 16);
    ASSERT_EQ(b.pixels.size(), 4u * 16 * 16 * 4);
    for (float v : b.pixels) ASSERT_TRUE(v >= -1 && v <= 1);
    for (int i = 0; i < 4; i++) {
      auto& ids = b.text[i];
      bool korean = b.captions[i] == "물건";
      EXPECT_EQ(ids.front(), t.special(korean ? "<|ko|>" : "<|en|>"));
      EXPECT_EQ(ids.back(), t.eos());
      EXPECT_LE(ids.size(), 12u);
      std::string said = t.decode(ids);
      EXPECT_EQ(said, b.captions[i].substr(0, 10));
      for (int j = 0; j < 4; j++) EXPECT_EQ(b.caption_hash[i] == b.caption_hash[j], b.captions[i] == b.captions[j]);
    }
  }
}

TEST_F(LoaderTest, CountsTheCaptionsItCuts) {
  DataConfig c = config({build("a", 10)}, 4);
  c.threads = 0;
  const Tokenizer t = byte_tokenizer();
  std::vector<int> lengths;
  Loader whole(c, t, 1);
  for (int step = 0; step < 8; ++step)
    for (const auto& ids : whole.make(step).text) lengths.push_back(int(ids.size()));
  EXPECT_EQ(whole.stats().cut, 0);
  const int longest = *std::max_element(lengths.begin(), lengths.end());
  const auto of_that = std::count(lengths.begin(), lengths.end(), longest);
  ASSERT_LT(of_that, int64_t(lengths.size())) << "captions of several lengths";
  c.max_tokens = longest - 1;
  Loader loader(c, t, 1);
  for (int step = 0; step < 8; ++step) loader.make(step);
  EXPECT_EQ(loader.stats().captions, int64_t(lengths.size()));
  EXPECT_EQ(loader.stats().cut, of_that);
  EXPECT_EQ(loader.stats().longest, longest);
}

TEST_F(LoaderTest, EveryEpochSeesEverySampleOnce) {
  const int n = 35;
  std::vector<ShardSample> faults = {{"nopicture", {{"txt", text_bytes("x")}}},
                                     {"nocaption", {{"png", encode_png(picture(1))}}}};
  DataConfig c = config({build("a", n, faults)}, 7);
  Loader loader(c, byte_tokenizer(), 3);
  EXPECT_EQ(loader.samples(), n);
  std::vector<std::string> first;
  for (int epoch = 0; epoch < 4; epoch++) {
    std::vector<std::string> order;
    for (int step = 0; step < n / 7; step++)
      for (auto& key : loader.next().keys) order.push_back(key);
    EXPECT_EQ(std::set<std::string>(order.begin(), order.end()).size(), size_t(n)) << epoch;
    if (epoch == 0) first = order;
    else EXPECT_NE(order, first);
  }
  EXPECT_EQ(loader.stats().bad.size(), 2u);
}

TEST_F(LoaderTest, BadSamplesGiveTheirPlaceToTheNext) {
  auto png = encode_png(picture(200));
  auto cut = png;
  cut.resize(cut.size() / 2);
  Image clear(16, 16);
  std::vector<ShardSample> bad = {
      {"bad-cut", {{"png", cut}, {"txt", text_bytes("cut short")}}},
      {"bad-dot", {{"png", encode_png(Image(1, 1))}, {"txt", text_bytes("one pixel")}}},
      {"bad-clear", {{"png", encode_png(clear)}, {"txt", text_bytes("nothing")}}},
      {"bad-words", {{"png", png}, {"txt", text_bytes(" \n")}}},
      {"bad-json", {{"png", png}, {"json", text_bytes("{\"caption\":")}}},
  };
  const int n = 30, all = 35;
  DataConfig c = config({build("a", n, bad)}, 5);
  Loader loader(c, byte_tokenizer(), 3), again(c, byte_tokenizer(), 3);
  std::map<std::string, int> seen;
  for (int step = 0; step < all / 5; step++) {
    Batch b = loader.next();
    for (auto& key : b.keys) seen[key_of(key)]++;
  }
  EXPECT_EQ(seen.size(), size_t(n));
  for (auto& [key, times] : seen) EXPECT_FALSE(key.starts_with("bad")) << key << " " << times;
  Loader::Stats s = loader.stats();
  EXPECT_EQ(s.bad["unreadable"], 2);
  EXPECT_EQ(s.bad["picture too small"], 1);
  EXPECT_EQ(s.bad["nothing visible"], 1);
  EXPECT_EQ(s.bad["empty caption"], 1);
  for (int step = 0; step < 2 * all / 5; step++) loader.next();
  EXPECT_EQ(loader.stats().bad["unreadable"], 2) << "counted once, not every epoch";
  expect_same(again.make(5), loader.make(5));  // whatever was met before
}

TEST_F(LoaderTest, NothingReadableIsAnErrorNotALoop) {
  std::string dir = root_ + "/none";
  ShardWriter w(dir + "/train", "", 7);
  for (int i = 0; i < 3; i++) w.add({"s" + std::to_string(i), {{"png", text_bytes("x")}, {"txt", text_bytes("y")}}});
  w.finish();
  for (int threads : {0, 2}) {
    DataConfig c = config({dir});
    c.threads = threads;
    Loader loader(c, byte_tokenizer(), 1);
    EXPECT_THROW(loader.next(), Error);
  }
}

// The side of the picture that is heavier: the content of picture() lies left of the middle.
bool mirrored(const Batch& b, int i) {
  double left = 0, right = 0;
  for (int y = 0; y < b.size; y++)
    for (int x = 0; x < b.size; x++)
      (x < b.size / 2 ? left : right) += b.pixels[((size_t(i) * b.size + y) * b.size + x) * 4 + 3];
  return right > left;
}

TEST_F(LoaderTest, AMirroredPictureNeverKeepsItsSide) {
  auto scene = [](int i, Meta& m) {
    m.caption = "a thing on the left";
    m.caption_ko = "왼쪽에 있는 물건";
    if (i % 2) m.scene = "{\"things\":[]}";
  };
  DataConfig c = config({build("a", 20, {}, scene)}, 10);
  Loader loader(c, byte_tokenizer(), 5);
  int flipped = 0, total = 0;
  for (int step = 0; step < 40; step++) {
    Batch b = loader.next();
    for (int i = 0; i < b.B; i++, total++) {
      bool left = b.captions[i].find("left") != std::string::npos || b.captions[i].find("왼쪽") != std::string::npos;
      bool right = b.captions[i].find("right") != std::string::npos || b.captions[i].find("오른쪽") != std::string::npos;
      ASSERT_NE(left, right) << b.captions[i];
      EXPECT_EQ(mirrored(b, i), right) << b.captions[i];
      flipped += right;
    }
  }
  EXPECT_GT(flipped, total / 8) << "scenes are mirrored with their words";
  EXPECT_LT(flipped, total * 3 / 8);
}

TEST_F(LoaderTest, PlainPicturesAreMirroredHalfTheTime) {
  DataConfig c = config({build("a", 20)}, 10);
  auto count = [&] {
    Loader loader(c, byte_tokenizer(), 5);
    int n = 0;
    for (int step = 0; step < 40; step++) {
      Batch b = loader.next();
      for (int i = 0; i < b.B; i++) n += mirrored(b, i);
    }
    return n;
  };
  EXPECT_NEAR(count(), 200, 50);
  c.augment = false;
  EXPECT_EQ(count(), 0);
}

TEST_F(LoaderTest, ScenesAloneNeedNoFolder) {
  DataConfig c = scenes_alone(32, 6);
  Loader loader(c, byte_tokenizer(), 2);
  Batch a = loader.next(), b = loader.next();
  EXPECT_NE(a.pixels, b.pixels);
  EXPECT_EQ(a.keys[0], "scene");
  expect_same(a, loader.make(0));
}

// Noise may lie over another picture; the words and the picture to guess stay what they are.
TEST_F(LoaderTest, PerturbingAddsPicturesAndChangesNothingElse) {
  DataConfig c = config({build("a", 9)}, 40);
  c.scenes = 0.5;
  Loader plain(c, byte_tokenizer(), 5);
  c.perturb = 0.5;
  Loader some(c, byte_tokenizer(), 5);
  c.perturb = 1;
  Loader all(c, byte_tokenizer(), 5);
  int changed[2] = {0, 0}, total = 0, scenes = 0;
  for (int64_t step = 0; step < 10; ++step) {
    const Batch a = plain.make(step), b = some.make(step), d = all.make(step);
    EXPECT_TRUE(a.perturbed.empty());
    expect_same(a, b), expect_same(a, d);
    ASSERT_EQ(b.perturbed.size(), b.pixels.size());
    EXPECT_EQ(b.perturbed, some.make(step).perturbed);
    const size_t each = b.pixels.size() / size_t(b.B);
    for (size_t i = 0; i < size_t(b.B); ++i, ++total) {
      const auto differs = [&](const Batch& x) {
        return !std::equal(x.pixels.begin() + long(i * each), x.pixels.begin() + long((i + 1) * each),
                           x.perturbed.begin() + long(i * each));
      };
      changed[0] += differs(b), changed[1] += differs(d);
      scenes += b.keys[i] == "scene";
      for (size_t k = i * each; k < (i + 1) * each; ++k) ASSERT_TRUE(b.perturbed[k] >= -1 && b.perturbed[k] <= 1);
    }
  }
  EXPECT_EQ(scenes, total / 2);
  EXPECT_GE(changed[1], total - 2) << "bending by nearly nothing may leave a small picture as it is";
  EXPECT_NEAR(double(changed[0]) / total, 0.5, 4 * 0.5 / std::sqrt(double(total)));
}

// Things of other shapes or colours lie there whole: a mixture would show both, and no words were needed to tell them apart.
TEST_F(LoaderTest, PerturbedScenesAreNoMixtures) {
  DataConfig c = scenes_alone(64, 200);
  c.perturb = 1;
  const Batch b = Loader(c, byte_tokenizer(), 3).next();
  const size_t each = b.pixels.size() / size_t(b.B);
  int whole = 0;
  for (int i = 0; i < b.B; ++i) {
    const Image picture = from_pixels(b.perturbed.data() + size_t(i) * each, c.size, c.size);
    int strange = 0;  // opaque pixels of no colour that scenes have
    for (size_t p = 0; p < picture.rgba.size(); p += 4) {
      const uint8_t* at = picture.rgba.data() + p;
      bool known = at[3] < 255;
      for (int k = 0; k < kColors && !known; ++k) {
        const Rgb q = rgb(Color(k));
        known = at[0] == q.r && at[1] == q.g && at[2] == q.b;
      }
      strange += !known;
    }
    int half[2] = {0, 0};  // pixels half covered, in the picture and in what the noise lies over
    for (size_t p = 3; p < each; p += 4) {
      half[0] += std::abs(b.pixels[size_t(i) * each + p]) < 0.9f;
      half[1] += std::abs(b.perturbed[size_t(i) * each + p]) < 0.9f;
    }
    whole += strange == 0 && half[1] <= 2 * half[0] + 40;
  }
  EXPECT_GT(whole, 0.6 * b.B) << "three in four, less those on a grey ground";
}

TEST_F(LoaderTest, TidyScenesAreSetOutWithARuler) {
  DataConfig c = scenes_alone(32, 200);
  c.tidy = 1;
  const Batch ruled = Loader(c, byte_tokenizer(), 3).next();
  c.tidy = 0;
  const Batch free = Loader(c, byte_tokenizer(), 3).next();
  const auto pictures = [](const Batch& b) {  // how many different ones, colour apart
    std::set<std::vector<bool>> masks;
    const size_t each = b.pixels.size() / size_t(b.B);
    for (int i = 0; i < b.B; ++i) {
      std::vector<bool> m;
      for (size_t p = 3; p < each; p += 4) m.push_back(b.pixels[size_t(i) * each + p] > 0);
      masks.insert(m);
    }
    return masks.size();
  };
  EXPECT_GT(pictures(free), pictures(ruled) + 20);
}

TEST_F(LoaderTest, WordsOfAShareOfScenesHoldARelation) {
  DataConfig c = scenes_alone(32, 300);
  const auto share = [&](double related) {
    c.related = related;
    const Batch b = Loader(c, byte_tokenizer(), 4).next();
    int n = 0;
    for (const std::string& words : b.captions)
      n += !parse_caption(words, Lang::en).relations.empty() || !parse_caption(words, Lang::ko).relations.empty();
    return double(n) / c.batch;
  };
  const double usual = share(0), sigma = 0.5 / std::sqrt(300.0);
  EXPECT_GT(usual, 0.1);
  EXPECT_LT(usual, 0.5);
  EXPECT_NEAR(share(0.5), 0.5 + 0.5 * usual, 4 * sigma);
  EXPECT_EQ(share(1), 1);
}

TEST_F(LoaderTest, SharesOfScenesAreOfThreeThingsAndOnGrey) {
  DataConfig c = scenes_alone(16, 300);
  const auto shares = [&](double three, double grey) {
    c.three = three, c.grey = grey;
    const Batch b = Loader(c, byte_tokenizer(), 4).next();
    const size_t each = b.pixels.size() / size_t(b.B);
    int threes = 0, opaque = 0;
    for (int i = 0; i < b.B; ++i) {
      const std::string& words = b.captions[size_t(i)];
      threes += std::max(parse_caption(words, Lang::en).things.size(), parse_caption(words, Lang::ko).things.size()) == 3;
      opaque += b.pixels[size_t(i) * each + 3] > 0;  // a corner
    }
    return std::pair(double(threes) / b.B, double(opaque) / b.B);
  };
  const double sigma = 0.5 / std::sqrt(300.0);
  const auto usual = shares(0, 0), more = shares(0.5, 0.4), all = shares(1, 1);
  EXPECT_NEAR(usual.first, 0.15, 4 * sigma);
  EXPECT_NEAR(usual.second, 0.125, 4 * sigma);
  EXPECT_NEAR(more.first, 0.5 + 0.5 * 0.15, 4 * sigma);
  EXPECT_NEAR(more.second, 0.4 + 0.6 * 0.125, 4 * sigma);
  EXPECT_EQ(all, std::pair(1.0, 1.0));
}

TEST_F(LoaderTest, WeightsSetTheShares) {
  DataConfig c = config({build("a", 6), build("b", 6)}, 64);
  c.weights = {3, 1};
  Loader loader(c, byte_tokenizer(), 2);
  int a = 0;
  for (int step = 0; step < 8; step++)
    for (auto& key : loader.next().keys) a += key.find("/a/train/") != std::string::npos;
  EXPECT_NEAR(a, 384, 4);
}

TEST_F(LoaderTest, WrongConfigIsRefusedByKey) {
  std::string dir = build("a", 2);
  auto said = [&](const std::function<void(DataConfig&)>& change) {
    DataConfig c = config({dir});
    change(c);
    try {
      Loader loader(c, byte_tokenizer(), 1);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_NE(said([](auto& c) { c.size = 0; }).find("data.size"), std::string::npos);
  EXPECT_NE(said([](auto& c) { c.scenes = 1.5; }).find("data.scenes"), std::string::npos);
  EXPECT_NE(said([](auto& c) { c.weights = {1, 2}; }).find("data.weights"), std::string::npos);
  EXPECT_NE(said([](auto& c) { c.weights = {0}; }).find("data.weights"), std::string::npos);
  EXPECT_NE(said([](auto& c) { c.dirs.clear(); }).find("data.dirs"), std::string::npos);
  EXPECT_NE(said([](auto& c) { c.split = "nope"; }).find("nope is empty (the set has 2 in train); try data.split=train"),
            std::string::npos);
  EXPECT_NE(said([](auto& c) { c.scenes = 1; }).find("data.dirs are named but data.scenes = 1 leaves them no share"),
            std::string::npos);
  EXPECT_NE(said([](auto& c) { c.dirs = {"/nowhere"}; }).find("/nowhere"), std::string::npos);
}

}  // namespace
}  // namespace duet
