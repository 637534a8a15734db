#include "infer/search.h"

#include <gtest/gtest.h>

#include <fstream>

#include "fusion/shards.h"
#include "infer/reader.h"
#include "kernels/safetensors.h"
#include "tests/infer/tiny.h"

namespace duet {
namespace {
namespace fs = std::filesystem;

struct SearchTest : testing::Test {
  TempDir dir;
  std::unique_ptr<Model> model = tiny_model();
  std::string cache = dir / ".duet-index.safetensors";
  void SetUp() override {
    fs::create_directories(dir / "sub/.hidden");
    save_picture(dir / "b.png", tiny_picture(1));
    save_picture(dir / "a.PNG", tiny_picture(2, 30, 12, true));
    save_picture(dir / "sub/c.png", tiny_picture(3));
    save_picture(dir / "sub/.hidden/d.png", tiny_picture(4));
    save_picture(dir / ".e.png", tiny_picture(5));
    std::ofstream(dir / "notes.txt") << "no picture";
  }
};

TEST_F(SearchTest, ListsPicturesInOrderWithoutHiddenOnes) {
  EXPECT_EQ(list_pictures(dir.path), (std::vector<std::string>{dir / "a.PNG", dir / "b.png", dir / "sub/c.png"}));
  EXPECT_EQ(list_pictures(dir / "nothing.png"), std::vector<std::string>{dir / "nothing.png"});
  fs::create_directories(dir / "empty");
  EXPECT_THROW(list_pictures(dir / "empty"), Error);
  EXPECT_THROW(open_gallery(dir / "empty"), Error);
  EXPECT_THROW(open_gallery(dir / "nowhere"), Error);
}

TEST_F(SearchTest, APictureFindsItselfFirst) {
  const Gallery g = open_gallery(dir.path);
  const PictureIndex index = index_gallery(*model, "m", g, "");
  ASSERT_EQ(index.item.size(), 3u);
  for (int64_t i = 0; i < 3; ++i) {
    const Image image = g.load(i);
    const auto hits = nearest(index, embed_pictures(*model, {&image, 1}).data(), 2);
    ASSERT_EQ(hits.size(), 2u);
    EXPECT_EQ(hits[0].item, i);
    EXPECT_NEAR(hits[0].cosine, 1, 1e-5);
    EXPECT_GE(hits[0].cosine, hits[1].cosine);
  }
  EXPECT_EQ(nearest(index, index.rows.data(), 100).size(), 3u);
  EXPECT_FALSE(fs::exists(cache));
}

TEST_F(SearchTest, TheCacheHoldsForTheSameModelAndUnchangedPictures) {
  const auto run = [&](const std::string& maker) { return index_gallery(*model, maker, open_gallery(dir.path), cache); };
  const PictureIndex fresh = run("m");
  EXPECT_EQ(fresh.reused, 0);
  const PictureIndex again = run("m");
  EXPECT_EQ(again.reused, 3);
  for (int64_t i = 0; i < fresh.rows.count(); ++i) EXPECT_EQ(fresh.rows.data()[i], again.rows.data()[i]);
  EXPECT_EQ(run("other").reused, 0);
  EXPECT_EQ(run("other").reused, 3);
  EXPECT_EQ(Safetensors::open(cache).metadata().at("maker"), "other, whole pictures")
      << "vectors of cut pictures are not reused";
  save_picture(dir / "b.png", tiny_picture(77, 40, 40));
  EXPECT_EQ(run("other").reused, 2);
  std::ofstream(cache, std::ios::in | std::ios::out).seekp(40) << "damage";
  EXPECT_EQ(run("other").reused, 0);
  EXPECT_EQ(run("other").reused, 3);
}

TEST_F(SearchTest, ABadPictureIsNamedAndTheOthersGoOn) {
  std::ofstream(dir / "aa.png") << "not a picture";
  const PictureIndex index = index_gallery(*model, "m", open_gallery(dir.path), cache);
  EXPECT_EQ(index.item, (std::vector<int64_t>{0, 2, 3}));
  ASSERT_EQ(index.faults.size(), 1u);
  EXPECT_NE(index.faults[0].find("aa.png"), std::string::npos);
  EXPECT_EQ(index_gallery(*model, "m", open_gallery(dir.path), cache).reused, 3);
}

TEST_F(SearchTest, ReadsTheSplitsOfADataSet) {
  for (const char* split : {"train", "val"}) {
    ShardWriter w(dir / "set/" + split, "", 10);
    for (int i = 0; i < 2; ++i) {
      Meta meta;
      meta.caption = std::string(split) + std::to_string(i);
      w.add(to_sample({meta.caption, encode_png(tiny_picture(uint64_t(i) + (split[0] == 'v' ? 10 : 0))), meta}));
    }
    w.finish();
  }
  const Gallery all = open_gallery(dir / "set"), val = open_gallery(dir / "set", "val");
  ASSERT_EQ(all.items.size(), 4u);
  ASSERT_EQ(val.items.size(), 2u);
  EXPECT_EQ(all.items[3].label, "val1");
  EXPECT_EQ(all.load(3).rgba, tiny_picture(11).rgba);
  EXPECT_EQ(all.load(0).rgba, tiny_picture(0).rgba);
  EXPECT_EQ(val.load(1).rgba, tiny_picture(11).rgba);
  EXPECT_EQ(all.items[3].stamp, val.items[1].stamp);
  EXPECT_THROW(open_gallery(dir / "set", "heldout"), Error);
}

}  // namespace
}  // namespace duet
