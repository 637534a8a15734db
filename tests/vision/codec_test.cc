// What decodes, decodes right: every kind of PNG, JPEG with orientations and inks, WebP, APNG. Hostile files:
// hostile_test.cc.
#include "vision/codec.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <turbojpeg.h>
#include <webp/encode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <map>

#include "kernels/error.h"
#include "tests/vision/rawpng.h"
#include "tests/vision/rawwebp.h"
#include "vision/exif.h"
#include "vision/webpwrite.h"

namespace duet {
namespace {

using Pixel = std::array<int, 4>;
Pixel pixel(const Image& i, int x, int y) { return {i.at(x, y)[0], i.at(x, y)[1], i.at(x, y)[2], i.at(x, y)[3]}; }

// Smooth enough for lossy coding, different in every corner and direction.
Image sample(int w, int h, bool alpha) {
  Image image(w, h);
  for (int y = 0; y < h; ++y) {
    for (int x = 0; x < w; ++x) {
      uint8_t* p = image.at(x, y);
      p[0] = uint8_t(x * 255 / w), p[1] = uint8_t(y * 255 / h), p[2] = uint8_t(128 + 100 * std::sin(x * .1 + y * .05));
      p[3] = alpha ? uint8_t((x * 7 + y * 13) % 256) : 255;
    }
  }
  return image;
}

double mean_difference(const Image& a, const Image& b) {
  EXPECT_EQ(a.width, b.width);
  EXPECT_EQ(a.height, b.height);
  if (a.rgba.size() != b.rgba.size()) return 1e9;
  double sum = 0;
  for (size_t i = 0; i < a.rgba.size(); ++i) sum += std::abs(int(a.rgba[i]) - int(b.rgba[i]));
  return sum / double(a.rgba.size());
}

TEST(Png, RoundTripIsBitExactWithTexts) {
  const std::vector<PngText> texts = {{"parameters", "a red circle\nSteps: 16, Seed: 7"},
                                      {"prompt", "빨간 원 위의 노란 별 ⭐"},
                                      {"Author", "Zoë é ÿ"},
                                      {"empty", ""},
                                      {"duet", R"({"seed":7,"프롬프트":"원"})"}};
  for (auto [w, h] : {std::pair{1, 1}, {7, 13}, {64, 64}, {101, 3}}) {
    for (bool alpha : {false, true}) {
      Image image = sample(w, h, alpha);
      auto bytes = encode_png(image, texts);
      Image back = decode_image(bytes, "back.png");
      EXPECT_EQ(back.width, w);
      EXPECT_EQ(back.height, h);
      EXPECT_EQ(back.rgba, image.rgba);
      EXPECT_EQ(read_png_text(bytes), texts);
      EXPECT_EQ(encode_png(image, texts), bytes);
    }
  }
}

TEST(Png, ColourUnderTransparencyIsKept) {
  Image image(2, 1);
  image.rgba = {10, 20, 30, 0, 40, 50, 60, 1};
  EXPECT_EQ(decode_image(encode_png(image), "x").rgba, image.rgba);
}

TEST(Png, TextIsWrittenAsTheStandardSays) {
  auto has = [](const std::vector<uint8_t>& bytes, const std::string& part) {
    auto s = rawpng::text(part);
    return std::search(bytes.begin(), bytes.end(), s.begin(), s.end()) != bytes.end();
  };
  auto latin = encode_png(Image(1, 1), {{"k", "é"}});
  EXPECT_TRUE(has(latin, std::string("tEXtk\0\xe9", 7)));
  auto korean = encode_png(Image(1, 1), {{"k", "원"}});
  EXPECT_TRUE(has(korean, std::string("iTXtk\0\0\0\0\0원", 13)));
}

TEST(Png, TextThatCannotBeStoredIsRefused) {
  Image dot(1, 1);
  EXPECT_THROW(encode_png(dot, {{"", "v"}}), Error);
  EXPECT_THROW(encode_png(dot, {{std::string(80, 'k'), "v"}}), Error);
  EXPECT_THROW(encode_png(dot, {{" k", "v"}}), Error);
  EXPECT_THROW(encode_png(dot, {{"키", "v"}}), Error);
  EXPECT_THROW(encode_png(dot, {{"k", "\xff\xfe"}}), Error);
  EXPECT_THROW(encode_png(dot, {{"k", std::string("a\0b", 3)}}), Error);
}

TEST(Png, PackedTextsAreRead) {
  using namespace rawpng;
  auto bytes = header(1, 1, 8, 0);
  auto packed = [](const std::string& front, const std::string& s) {
    Raw body = text(front), zipped = rawpng::deflate(text(s));
    body.insert(body.end(), zipped.begin(), zipped.end());
    return body;
  };
  chunk(bytes, "zTXt", packed(std::string("a\0\0", 3), "caf\xe9"));
  chunk(bytes, "iTXt", packed(std::string("b\0\1\0ko\0x\0", 9), "빨간 원"));
  bytes = png(bytes, {0, 77});
  EXPECT_EQ(read_png_text(bytes), (std::vector<PngText>{{"a", "café"}, {"b", "빨간 원"}}));
}

TEST(Png, EveryColourKindAndDepth) {
  using namespace rawpng;
  struct Case {
    const char* name;
    int depth, color;
    Raw line;  // of a 2x1 picture, with the filter byte
    std::string between_type;
    Raw between;
    Pixel left, right;
  };
  const Raw palette = {1, 2, 3, 200, 100, 50};
  const Case cases[] = {
      {"gray 1", 1, 0, {0, 0x40}, "", {}, {0, 0, 0, 255}, {255, 255, 255, 255}},
      {"gray 4", 4, 0, {0, 0x5a}, "", {}, {85, 85, 85, 255}, {170, 170, 170, 255}},
      {"gray 8", 8, 0, {0, 9, 250}, "", {}, {9, 9, 9, 255}, {250, 250, 250, 255}},
      {"gray 16", 16, 0, {0, 0x12, 0xfe, 0xff, 0xff}, "", {}, {19, 19, 19, 255}, {255, 255, 255, 255}},
      {"gray 8 tRNS", 8, 0, {0, 9, 250}, "tRNS", {0, 9}, {9, 9, 9, 0}, {250, 250, 250, 255}},
      {"gray alpha 8", 8, 4, {0, 9, 128, 250, 0}, "", {}, {9, 9, 9, 128}, {250, 250, 250, 0}},
      {"gray alpha 16", 16, 4, {0, 1, 0, 0x80, 0x80, 2, 0, 0, 0}, "", {}, {1, 1, 1, 128}, {2, 2, 2, 0}},
      {"rgb 8", 8, 2, {0, 1, 2, 3, 4, 5, 6}, "", {}, {1, 2, 3, 255}, {4, 5, 6, 255}},
      {"rgb 8 tRNS", 8, 2, {0, 1, 2, 3, 4, 5, 6}, "tRNS", {0, 4, 0, 5, 0, 6}, {1, 2, 3, 255}, {4, 5, 6, 0}},
      {"rgb 16", 16, 2, {0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6}, "", {}, {1, 2, 3, 255}, {4, 5, 6, 255}},
      {"rgba 8", 8, 6, {0, 1, 2, 3, 4, 5, 6, 7, 8}, "", {}, {1, 2, 3, 4}, {5, 6, 7, 8}},
      {"rgba 16", 16, 6, {0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8}, "", {}, {1, 2, 3, 4}, {5, 6, 7, 8}},
      {"palette 1", 1, 3, {0, 0x40}, "PLTE", palette, {1, 2, 3, 255}, {200, 100, 50, 255}},
      {"palette 8", 8, 3, {0, 1, 0}, "PLTE", palette, {200, 100, 50, 255}, {1, 2, 3, 255}},
  };
  for (const Case& c : cases) {
    Raw between;
    if (!c.between_type.empty()) chunk(between, c.between_type, c.between);
    Image image = decode_image(png(header(2, 1, c.depth, c.color), c.line, between), c.name);
    EXPECT_EQ(pixel(image, 0, 0), c.left) << c.name;
    EXPECT_EQ(pixel(image, 1, 0), c.right) << c.name;
  }
  Raw between;
  chunk(between, "PLTE", palette);
  chunk(between, "tRNS", {7});
  Image image = decode_image(png(header(2, 1, 8, 3), {0, 0, 1}, between), "palette with alpha");
  EXPECT_EQ(pixel(image, 0, 0), (Pixel{1, 2, 3, 7}));
  EXPECT_EQ(pixel(image, 1, 0), (Pixel{200, 100, 50, 255}));
}

TEST(Png, Interlaced) {
  // Adam7: first column, first row, column step, row step of each pass.
  constexpr int kPasses[7][4] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                                 {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
  Image image = sample(11, 9, true);
  rawpng::Raw lines;
  for (auto& p : kPasses) {
    for (int y = p[1]; y < image.height; y += p[3]) {
      if (p[0] < image.width) lines.push_back(0);
      for (int x = p[0]; x < image.width; x += p[2]) lines.insert(lines.end(), image.at(x, y), image.at(x, y) + 4);
    }
  }
  EXPECT_EQ(decode_image(rawpng::png(rawpng::header(11, 9, 8, 6, true), lines), "x").rgba, image.rgba);
}

TEST(Png, AnimatedGivesTheFirstPicture) {
  using namespace rawpng;
  Raw control;
  chunk(control, "acTL", {0, 0, 0, 2, 0, 0, 0, 0});
  Raw frame = {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 10, 0, 0};
  chunk(control, "fcTL", frame);
  Raw bytes = png(header(1, 1, 8, 0), {0, 77}, control);
  bytes.resize(bytes.size() - 12);
  frame[3] = 1;
  chunk(bytes, "fcTL", frame);
  Raw second = {0, 0, 0, 2}, data = rawpng::deflate({0, 200});
  second.insert(second.end(), data.begin(), data.end());
  chunk(bytes, "fdAT", second);
  chunk(bytes, "IEND", {});
  EXPECT_EQ(pixel(decode_image(bytes, "x"), 0, 0), (Pixel{77, 77, 77, 255}));
}

// A big- or little-endian EXIF block with one entry.
std::string exif(int orientation, bool little) {
  std::string s = little ? std::string("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", 18)
                         : std::string("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01", 18);
  s += little ? std::string{char(orientation), 0, 0, 0} : std::string{0, char(orientation), 0, 0};
  return s + std::string(4, '\0');
}

// The four corners of the upright picture, from the stored corners A B / C D, for each orientation (EXIF 2.32, 4.6.4).
constexpr const char* kUpright[9] = {"", "ABCD", "BADC", "DCBA", "CDAB", "ACBD", "CADB", "DBCA", "BDAC"};

TEST(Exif, OrientationsInEveryFormat) {
  const std::map<char, Pixel> colour = {
      {'A', {250, 20, 20, 255}}, {'B', {20, 200, 20, 255}}, {'C', {20, 20, 250, 255}}, {'D', {240, 240, 20, 255}}};
  Image stored(48, 32);
  for (int y = 0; y < 32; ++y) {
    for (int x = 0; x < 48; ++x) {
      Pixel p = colour.at("ABCD"[(y >= 16) * 2 + (x >= 24)]);
      std::copy(p.begin(), p.end(), stored.at(x, y));
    }
  }
  for (int o = 1; o <= 8; ++o) {
    std::string block = exif(o, o % 2);
    auto jpeg = encode_jpeg(stored, 95);
    std::string app1 = std::string("\xff\xe1\0", 3) + char(block.size() + 8) + std::string("Exif\0\0", 6) + block;
    jpeg.insert(jpeg.begin() + 2, app1.begin(), app1.end());
    auto png = encode_png(stored);
    rawpng::Raw chunk;
    rawpng::chunk(chunk, "eXIf", rawpng::text(block));
    png.insert(png.begin() + 33, chunk.begin(), chunk.end());
    uint8_t* out = nullptr;
    size_t size = WebPEncodeLosslessRGBA(stored.rgba.data(), 48, 32, 48 * 4, &out);
    std::vector<uint8_t> webp(out, out + size);
    WebPFree(out);
    rawwebp::Raw chunks = rawwebp::picture(webp);
    rawwebp::chunk(chunks, "EXIF", rawpng::text(block));
    webp = rawwebp::extended(8, 48, 32, chunks);
    for (const auto& bytes : {jpeg, png, webp}) {
      Image upright = decode_image(bytes, "x");
      ASSERT_EQ(upright.width, o >= 5 ? 32 : 48) << o;
      ASSERT_EQ(upright.height, o >= 5 ? 48 : 32) << o;
      for (int corner = 0; corner < 4; ++corner) {
        int x = corner % 2 ? upright.width - 5 : 4, y = corner / 2 ? upright.height - 5 : 4;
        Pixel want = colour.at(kUpright[o][corner]), got = pixel(upright, x, y);
        for (int c = 0; c < 4; ++c) EXPECT_NEAR(got[c], want[c], 6) << "orientation " << o << " corner " << corner;
      }
    }
  }
}

TEST(Exif, BrokenBlocksAreUpright) {
  std::string whole = exif(6, true);
  auto of = [](const std::string& s) { return exif_orientation({reinterpret_cast<const uint8_t*>(s.data()), s.size()}); };
  EXPECT_EQ(of(whole), 6);
  for (size_t n = 0; n < 22; ++n) EXPECT_EQ(of(whole.substr(0, n)), 1) << n;
  EXPECT_EQ(of(exif(9, true)), 1);
  EXPECT_EQ(of(exif(0, false)), 1);
  std::string far = whole;
  far.replace(4, 4, "\xff\xff\xff\xff");
  EXPECT_EQ(of(far), 1);
}

TEST(Jpeg, RoundTripIsCloseAndOnWhite) {
  Image image = sample(67, 45, false);
  EXPECT_LT(mean_difference(decode_image(encode_jpeg(image, 95), "x"), image), 1.5);
  Pixel white = pixel(decode_image(encode_jpeg(Image(16, 16), 90), "x"), 8, 8);
  EXPECT_EQ(white, (Pixel{255, 255, 255, 255}));
}

// One flat colour of four inks, as Adobe stores them (255 is no ink); the encoder turns them into YCCK.
std::vector<uint8_t> inks(Pixel cmyk) {
  std::vector<uint8_t> pixels;
  for (int i = 0; i < 16 * 16; ++i) pixels.insert(pixels.end(), cmyk.begin(), cmyk.end());
  tjhandle turbo = tjInitCompress();
  unsigned char* out = nullptr;
  unsigned long size = 0;
  EXPECT_EQ(tjCompress2(turbo, pixels.data(), 16, 0, 16, TJPF_CMYK, &out, &size, TJSAMP_444, 100, 0), 0);
  std::vector<uint8_t> bytes(out, out + size);
  tjFree(out);
  tjDestroy(turbo);
  return bytes;
}

// The segments of XMP Specification Part 3, 1.1.3 and the chunks of the WebP container, walked by hand.
TEST(Xmp, IsCarriedAndChangesNoPixel) {
  Image image = sample(40, 31, true);
  const std::string packet = "<x:xmpmeta/>!";  // odd, which a chunk must be filled up for
  const auto jpeg = encode_jpeg(image, 90, packet);
  EXPECT_EQ(decode_image(jpeg, "x").rgba, decode_image(encode_jpeg(image, 90), "x").rgba);
  std::vector<std::string> found;
  for (size_t at = 2; jpeg[at + 1] != 0xda;) {
    ASSERT_EQ(jpeg[at], 0xff);
    const size_t length = jpeg[at + 2] << 8 | jpeg[at + 3];
    if (jpeg[at + 1] == 0xe1) found.emplace_back(jpeg.begin() + at + 4, jpeg.begin() + at + 2 + length);
    at += 2 + length;
  }
  EXPECT_EQ(found, std::vector{std::string("http://ns.adobe.com/xap/1.0/") + '\0' + packet});

  const auto webp = encode_webp(image, 90, packet);
  EXPECT_EQ(decode_image(webp, "x").rgba, decode_image(encode_webp(image, 90), "x").rgba);
  const auto number = [&](size_t at, int n) {
    uint32_t v = 0;
    for (int i = 0; i < n; ++i) v |= uint32_t(webp[at + i]) << 8 * i;
    return v;
  };
  EXPECT_EQ(number(4, 4) + 8, webp.size());
  found.clear();
  for (size_t at = 12; at < webp.size(); at += 8 + number(at + 4, 4) + number(at + 4, 4) % 2) {
    const std::string name(webp.begin() + at, webp.begin() + at + 4);
    if (name == "XMP ") found.emplace_back(webp.begin() + at + 8, webp.begin() + at + 8 + number(at + 4, 4));
    if (name != "VP8X") continue;
    EXPECT_EQ(webp[at + 8], 4 | 16) << "XMP and alpha";
    EXPECT_EQ(number(at + 12, 3), 39u);
    EXPECT_EQ(number(at + 15, 3), 30u);
  }
  EXPECT_EQ(found, std::vector{packet});
}

TEST(Jpeg, InksBecomeColours) {
  auto near = [](const std::vector<uint8_t>& bytes, Pixel want) {
    Pixel got = pixel(decode_image(bytes, "x"), 8, 8);
    for (int c = 0; c < 4; ++c) EXPECT_NEAR(got[c], want[c], 4) << "channel " << c;
  };
  near(inks({255, 0, 0, 255}), {255, 0, 0, 255});
  near(inks({200, 100, 50, 128}), {100, 50, 25, 255});
  near(inks({255, 255, 255, 0}), {0, 0, 0, 255});
  // The same file without Adobe's marker is plain CMYK, where 255 is full ink. The encoder made YCC of the inverse of
  // the inks: (55,155,205) gives (131,170,74).
  auto plain = inks({200, 100, 50, 128});
  const std::vector<uint8_t> adobe = {0xff, 0xee};
  auto at = std::search(plain.begin(), plain.end(), adobe.begin(), adobe.end());
  ASSERT_NE(at, plain.end());
  plain.erase(at, at + 16);
  near(plain, {(255 - 131) * 127 / 255, (255 - 170) * 127 / 255, (255 - 74) * 127 / 255, 255});
}

TEST(Webp, LosslessLossyAndAnimated) {
  Image image = sample(40, 30, false);
  uint8_t* out = nullptr;
  size_t size = WebPEncodeLosslessRGBA(image.rgba.data(), 40, 30, 160, &out);
  EXPECT_EQ(decode_image({out, size}, "x").rgba, image.rgba);
  std::vector<uint8_t> first(out, out + size);
  WebPFree(out);
  size = WebPEncodeRGBA(image.rgba.data(), 40, 30, 160, 90, &out);
  EXPECT_LT(mean_difference(decode_image({out, size}, "x"), image), 4);
  std::vector<uint8_t> second(out, out + size);
  WebPFree(out);
  EXPECT_EQ(decode_image(rawwebp::animation(40, 30, {first, second}), "x").rgba, image.rgba);
}

TEST(Files, WriteReadAndRefuse) {
  namespace fs = std::filesystem;
  std::string folder = (fs::temp_directory_path() / "duet-codec-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  std::string path = folder + "/그림.png";
  Image image = sample(20, 10, true);
  write_file_atomic(path, encode_png(image));
  EXPECT_EQ(load_image(path).rgba, image.rgba);
  auto error = [](auto f) -> std::string {
    try {
      f();
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_NE(error([&] { load_image(folder + "/none.png"); }).find("none.png"), std::string::npos);
  EXPECT_NE(error([&] { load_image(folder); }).find(folder), std::string::npos);
  EXPECT_NE(error([&] { load_image(path, {.max_bytes = 20}); }).find("20 bytes"), std::string::npos);
  // What cannot be written leaves nothing behind.
  EXPECT_NE(error([&] { write_file_atomic(folder + "/no/such.png", encode_png(image)); }), "");
  fs::create_directory(folder + "/taken");
  EXPECT_NE(error([&] { write_file_atomic(folder + "/taken", encode_png(image)); }), "");
  // A disk that is full after 100 bytes: the old file stays whole.
  auto noisy = encode_png(sample(64, 64, true));
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit full{100, before.rlim_max};
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &full);
  std::string why = error([&] { write_file_atomic(path, noisy); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(why.find(path), std::string::npos);
  EXPECT_EQ(load_image(path).rgba, image.rgba);
  size_t left = 0;
  for ([[maybe_unused]] auto& entry : fs::directory_iterator(folder)) ++left;
  EXPECT_EQ(left, 2u);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace duet
