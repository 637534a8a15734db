#include "infer/pngmeta.h"

#include <gtest/gtest.h>

#include "kernels/error.h"
#include "tests/infer/tiny.h"

namespace duet {
namespace {

DrawnMeta example() {
  DrawnMeta m;
  m.prompt = "빨간 원, \"정말\" 🍎\\", m.negative = "fuzzy <b>&amp;", m.style = "emoji";
  m.seed = (int64_t(1) << 53) - 1, m.steps = 24, m.guidance = 3.25, m.heun = true, m.shift = 2.5, m.guide_from = 0.125,
  m.guide_to = 0.75, m.finish = "clean", m.width = 64, m.height = 32;
  m.precision = "bf16", m.model = "xs", m.model_hash = "0123456789abcdef", m.version = "0.1.0";
  return m;
}

TEST(PngMeta, ReadsBackWhatItWrote) {
  const auto png = encode_png(tiny_picture(1), drawn_texts(example()));
  const auto back = read_drawn(png, "x.png");
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, example());
  EXPECT_EQ(decode_image(png, "x.png").rgba, tiny_picture(1).rgba);
}

TEST(PngMeta, ADrawnSizeIsThereWhereItIsAnother) {
  const auto own = [](const DrawnMeta& m) { return drawn_texts(m)[1].value; };
  EXPECT_EQ(own(example()).find("drawn_"), std::string::npos);
  DrawnMeta m = example();
  m.drawn_width = 32, m.drawn_height = 16;
  EXPECT_NE(own(m).find("\"drawn_width\": 32, \"drawn_height\": 16"), std::string::npos) << own(m);
  EXPECT_EQ(read_drawn(encode_png(tiny_picture(1), drawn_texts(m)), "x.png"), m);
}

TEST(PngMeta, InfotextIsWhatOtherToolsRead) {
  EXPECT_EQ(infotext(example()),
            "빨간 원, \"정말\" 🍎\\, emoji\nNegative prompt: fuzzy <b>&amp;\n"
            "Steps: 24, Sampler: Heun, CFG scale: 3.25, Seed: 9007199254740991, Size: 64x32, Model hash: 0123456789abcdef, "
            "Model: xs, Version: duet 0.1.0");
  DrawnMeta plain;
  plain.prompt = "cat", plain.guidance = 3, plain.steps = 2, plain.width = plain.height = 8;
  EXPECT_TRUE(infotext(plain).starts_with("cat\nSteps: 2, Sampler: Euler, CFG scale: 3, Seed: 0, Size: 8x8"))
      << infotext(plain);
}

TEST(PngMeta, SaysThatAModelMadeIt) {
  const auto texts = read_png_text(encode_png(tiny_picture(1), drawn_texts(example())), "x.png");
  ASSERT_EQ(texts.size(), 3u);
  EXPECT_EQ(texts[0].key, "parameters");
  EXPECT_EQ(texts[2].key, "XML:com.adobe.xmp");
  EXPECT_NE(texts[2].value.find("digitalsourcetype/trainedAlgorithmicMedia"), std::string::npos);
  EXPECT_NE(texts[2].value.find("\xef\xbb\xbf"), std::string::npos) << "also what makes it an iTXt chunk, as XMP asks";
}

TEST(PngMeta, OtherPicturesHaveNoneAndDamageIsRefused) {
  EXPECT_FALSE(read_drawn(encode_png(tiny_picture(1)), "x.png"));
  auto png = encode_png(tiny_picture(1), drawn_texts(example()));
  const std::vector<uint8_t> cut(png.begin(), png.begin() + 300);
  EXPECT_THROW(read_drawn(cut, "x.png"), Error);
  EXPECT_THROW(read_drawn(encode_png(tiny_picture(1), {{"duet", "{\"seed\": \"x\"}"}}), "x.png"), Error);
}

}  // namespace
}  // namespace duet
