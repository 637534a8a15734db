// Damaged, cut, enormous and foreign files: each is refused with one line naming the file, in bounded memory and time.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <webp/encode.h>

#include <chrono>
#include <filesystem>
#include <random>

#include "kernels/error.h"
#include "tests/vision/rawpng.h"
#include "tests/vision/rawwebp.h"
#include "vision/codec.h"
#include "vision/svg.h"

namespace duet {
namespace {

using Raw = std::vector<uint8_t>;

// The error text, or "" if the picture was read.
std::string refusal(std::span<const uint8_t> bytes, const Limits& limits = {}) {
  try {
    decode_image(bytes, "cat.img", limits);
  } catch (const Error& e) {
    std::string what = e.what();
    EXPECT_EQ(what.rfind("cat.img: ", 0), 0u) << what;
    EXPECT_EQ(what.find('\n'), std::string::npos) << what;
    return what;
  }
  return "";
}

Image sample(int w, int h) {
  Image image(w, h);
  for (size_t i = 0; i < image.rgba.size(); ++i) image.rgba[i] = i % 4 == 3 ? 255 : uint8_t(i * i / 7 % 251);
  return image;
}

Raw webp(const Image& image, bool lossless) {
  uint8_t* out = nullptr;
  size_t size = lossless ? WebPEncodeLosslessRGBA(image.rgba.data(), image.width, image.height, image.width * 4, &out)
                         : WebPEncodeRGBA(image.rgba.data(), image.width, image.height, image.width * 4, 80, &out);
  Raw bytes(out, out + size);
  WebPFree(out);
  return bytes;
}

// FFD8, quantization and Huffman tables of a real file, without frame or scan.
Raw tables_only() {
  Raw whole = encode_jpeg(sample(16, 16), 90), out = {0xff, 0xd8};
  for (size_t at = 2; whole[at + 1] != 0xda;) {
    size_t end = at + 2 + (whole[at + 2] << 8 | whole[at + 3]);
    if (whole[at + 1] == 0xdb || whole[at + 1] == 0xc4) out.insert(out.end(), whole.begin() + at, whole.begin() + end);
    at = end;
  }
  out.insert(out.end(), {0xff, 0xd9});
  return out;
}

// A real JPEG whose frame header (and nothing else) says another size.
Raw resized_jpeg(int width, int height, bool cut) {
  Raw bytes = encode_jpeg(sample(16, 16), 90);
  size_t at = 2;
  while (bytes[at + 1] != 0xc0) at += 2 + (bytes[at + 2] << 8 | bytes[at + 3]);
  bytes[at + 5] = uint8_t(height >> 8), bytes[at + 6] = uint8_t(height);
  bytes[at + 7] = uint8_t(width >> 8), bytes[at + 8] = uint8_t(width);
  if (cut) bytes.resize(at + 19);
  return bytes;
}

// The most ever resident, which a short allocation cannot hide from.
int64_t peak_bytes() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  return int64_t(use.ru_maxrss) * 1024;
}

TEST(Hostile, NothingAndNonsense) {
  EXPECT_NE(refusal({}).find("empty"), std::string::npos);
  for (std::string s : {"G", "GIF89a....", "BM......", "<svg></svg>", "<!DOCTYPE html>", "hello, world", "RIFF....WAVE"}) {
    EXPECT_NE(refusal(rawpng::text(s)).find("JPEG, PNG or WebP"), std::string::npos) << s;
  }
  std::mt19937 rng(1);
  for (std::string magic : {"", "\xff\xd8\xff", "\x89PNG\r\n\x1a\n", "RIFF\x40\1\1\1WEBPVP8 ", "RIFF\x40\1\1\1WEBPVP8L"}) {
    for (int i = 0; i < 300; ++i) {
      Raw bytes = rawpng::text(magic);
      for (int n = int(rng() % 300); n > 0; --n) bytes.push_back(uint8_t(rng()));
      EXPECT_NE(refusal(bytes), "");
    }
  }
}

TEST(Hostile, JpegWithoutPicture) {
  EXPECT_NE(refusal(Raw{0xff, 0xd8}), "");
  EXPECT_NE(refusal(Raw{0xff, 0xd8, 0xff, 0xd9}), "");
  EXPECT_NE(refusal(tables_only()), "");
}

TEST(Hostile, CutAtEveryLength) {
  Image image = sample(37, 29);
  rawpng::Raw exact = encode_png(image, {{"k", "v"}});
  for (const Raw& whole : {encode_jpeg(image, 80), exact, webp(image, true), webp(image, false),
                           rawwebp::animation(37, 29, {webp(image, true), webp(image, false)})}) {
    ASSERT_EQ(refusal(whole), "");
    for (size_t n = 0; n < whole.size(); ++n) {
      // A WebP's last byte may be padding that no decoder needs.
      if (whole[0] == 'R' && n + 1 == whole.size()) continue;
      EXPECT_NE(refusal({whole.data(), n}), "") << "first bytes " << n << " of " << whole.size() << " magic " << int(whole[0]);
    }
  }
  EXPECT_THROW(read_png_text({exact.data(), exact.size() - 1}), Error);
}

TEST(Hostile, OnePixel) {
  for (const Raw& whole : {encode_jpeg(Image(1, 1), 80), encode_png(Image(1, 1)), webp(Image(1, 1), true)}) {
    EXPECT_EQ(refusal(whole), "");
  }
}

TEST(Hostile, EnormousHeadersCostNothing) {
  int64_t before = peak_bytes();
  auto start = std::chrono::steady_clock::now();
  for (auto [w, h] : {std::pair{65500, 65500}, {65500, 1}, {1, 65500}, {16384, 16384}}) {
    EXPECT_NE(refusal(resized_jpeg(w, h, true)), "");
    EXPECT_NE(refusal(resized_jpeg(w, h, false)).find(std::to_string(w) + " x " + std::to_string(h)), std::string::npos);
    EXPECT_NE(refusal(rawpng::png(rawpng::header(w, h, 8, 6), {})).find("more than is read"), std::string::npos);
  }
  // Inside the limits, with next to nothing behind the header.
  EXPECT_NE(refusal(resized_jpeg(7000, 7000, false)).find("bytes cannot hold"), std::string::npos);
  EXPECT_NE(refusal(rawpng::png(rawpng::header(7000, 7000, 16, 6), {0, 1, 2})).find("fewer bytes"), std::string::npos);
  for (uint32_t w : {0u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
    EXPECT_NE(refusal(rawpng::png(rawpng::header(w, 1, 8, 6), {})), "");
    EXPECT_NE(refusal(rawpng::png(rawpng::header(1, w, 8, 6), {})), "");
  }
  EXPECT_LT(peak_bytes() - before, 64 << 20);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}

TEST(Hostile, LimitsAreKept) {
  Limits limits{.max_pixels = 100, .max_side = 50, .max_bytes = 5000};
  for (auto encode : {+[](const Image& i) { return encode_png(i); }, +[](const Image& i) { return encode_jpeg(i, 80); },
                      +[](const Image& i) { return webp(i, true); }}) {
    EXPECT_EQ(refusal(encode(Image(10, 10)), limits), "");
    EXPECT_EQ(refusal(encode(Image(50, 2)), limits), "");
    EXPECT_NE(refusal(encode(Image(101, 1)), limits), "");
    EXPECT_NE(refusal(encode(Image(51, 1)), limits), "");
    EXPECT_NE(refusal(encode(Image(11, 10)), limits), "");
  }
  EXPECT_NE(refusal(Raw(5001, 0xff), limits).find("5001 bytes"), std::string::npos);
}

TEST(Hostile, BombsStayInsideTheirPicture) {
  using namespace rawpng;
  // 50,000 x 50,000 of zeros: refused by its header, however well it packs.
  EXPECT_NE(refusal(png(header(50000, 50000, 1, 0), Raw(1 << 20))), "");
  // 200 MB of zeros behind a header of 4 x 4 is not unpacked; one text may hide as much.
  Raw zeros = deflate_zeros(200);
  int64_t before = peak_bytes();
  Raw small = header(4, 4, 8, 6);
  chunk(small, "IDAT", zeros);
  chunk(small, "IEND", {});
  refusal(small);
  Raw hidden = header(1, 1, 8, 0);
  Raw body = text(std::string("k\0\0", 3));
  body.insert(body.end(), zeros.begin(), zeros.end());
  chunk(hidden, "zTXt", body);
  chunk(hidden, "iCCP", body);
  hidden = png(hidden, {0, 77});
  EXPECT_EQ(refusal(hidden), "");
  EXPECT_THROW(read_png_text(hidden), Error);
  EXPECT_LT(peak_bytes() - before, 64 << 20);
  // Many texts.
  Raw many = header(1, 1, 8, 0);
  for (int i = 0; i < 5000; ++i) chunk(many, "tEXt", text(std::string("k\0v", 3)));
  EXPECT_THROW(read_png_text(png(many, {0, 77})), Error);
  EXPECT_EQ(refusal(png(many, {0, 77})), "");
}

TEST(Hostile, FlippedBitsNeverEscape) {
  Image image = sample(24, 24);
  std::mt19937 rng(2);
  for (const Raw& whole : {encode_jpeg(image, 80), encode_png(image, {{"k", "원"}}), webp(image, true), webp(image, false)}) {
    for (int i = 0; i < 2000; ++i) {
      Raw bytes = whole;
      for (int n = 1 + int(rng() % 3); n > 0; --n) bytes[rng() % bytes.size()] ^= uint8_t(1 << rng() % 8);
      refusal(bytes, {.max_pixels = 1 << 20});
      try {
        read_png_text(bytes);
      } catch (const Error&) {
      }
    }
  }
}

TEST(Hostile, PngTextsThatLie) {
  using namespace rawpng;
  auto with = [](const std::string& type, const std::string& body) {
    Raw bytes = header(1, 1, 8, 0);
    chunk(bytes, type, text(body));
    return png(bytes, {0, 77});
  };
  EXPECT_THROW(read_png_text(with("tEXt", "no end")), Error);
  EXPECT_THROW(read_png_text(with("tEXt", std::string("\0v", 2))), Error);
  EXPECT_THROW(read_png_text(with("tEXt", std::string(80, 'k') + '\0')), Error);
  EXPECT_THROW(read_png_text(with("zTXt", std::string("k\0\0notzlib", 10))), Error);
  EXPECT_THROW(read_png_text(with("iTXt", std::string("k\0\0\0en", 6))), Error);
  EXPECT_THROW(read_png_text(with("iTXt", std::string("k\0\0\0\0\0\xff\xfe", 8))), Error);
  Raw wrong = with("tEXt", std::string("k\0v", 3));
  wrong[33 + 8 + 2] ^= 1;
  EXPECT_THROW(read_png_text(wrong), Error);
  EXPECT_THROW(read_png_text(Raw{1, 2, 3}), Error);
}

TEST(Svg, DrawsAndRefuses) {
  const std::string svg =
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 40 20'>"
      "<rect width='40' height='20' fill='#f00' fill-opacity='0.5'/></svg>";
  Image image = render_svg(svg, "a.svg", 40);
  EXPECT_EQ(image.at(20, 5)[3], 0);  // twice as wide as high: nothing above
  EXPECT_EQ(image.at(20, 20)[0], 255);
  EXPECT_NEAR(image.at(20, 20)[3], 128, 1);
  auto rejected = [](const std::string& s) {
    try {
      render_svg(s, "a.svg", 32);
    } catch (const Error& e) {
      return std::string(e.what()).rfind("a.svg: ", 0) == 0;
    }
    return false;
  };
  EXPECT_TRUE(rejected(""));
  EXPECT_TRUE(rejected("<html/>"));
  EXPECT_TRUE(rejected(svg.substr(0, 60)));
  EXPECT_TRUE(rejected(std::string(9 << 20, ' ')));
  // A picture named inside is not opened, though it exists: nothing is drawn where it would be.
  const std::string path = testing::TempDir() + "duet-outside.png";
  write_file_atomic(path, encode_png(sample(8, 8)));
  for (std::string link : {"file://" + path, path}) {
    Image outside = render_svg(
        "<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'><image width='8' height='8' href='" + link + "'/></svg>",
        "a.svg", 8);
    EXPECT_EQ(outside.rgba, Image(8, 8).rgba) << link;
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace duet
