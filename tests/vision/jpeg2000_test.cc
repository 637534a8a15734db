// JPEG 2000 in DICOM, packed here by OpenJPEG: frames over fragments, signs, colours, and that damage is refused.
// tests/vision/dicom_peer.py compares with pydicom.
#include <gtest/gtest.h>
#include <openjpeg.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "tests/vision/rawdicom.h"
#include "vision/dicom.h"

namespace duet {
namespace {

using rawdicom::Grey;
using rawdicom::Raw;

constexpr const char *kLossless = "1.2.840.10008.1.2.4.90", *kLossy = "1.2.840.10008.1.2.4.91";

struct How {
  bool is_signed = false;
  int coarser = 1;  // columns of the second component and the third
  int tile = 0;     // side
  bool jp2 = false;
};
// Samples of each component, one component after the other.
Raw packed(const std::vector<std::vector<int>>& components, int w, int h, int bits, How how = {}) {
  std::vector<opj_image_cmptparm_t> parts(components.size());
  for (auto& c : parts) {
    std::memset(&c, 0, sizeof c);
    c.dx = c.dy = 1, c.w = OPJ_UINT32(w), c.h = OPJ_UINT32(h), c.prec = OPJ_UINT32(bits), c.sgnd = how.is_signed;
  }
  for (size_t i = 1; i < parts.size(); ++i) parts[i].dx = OPJ_UINT32(how.coarser), parts[i].w = OPJ_UINT32(w / how.coarser);
  opj_image_t* image =
      opj_image_create(OPJ_UINT32(parts.size()), parts.data(), parts.size() == 3 ? OPJ_CLRSPC_SRGB : OPJ_CLRSPC_GRAY);
  image->x1 = OPJ_UINT32(w), image->y1 = OPJ_UINT32(h);
  for (size_t i = 0; i < parts.size(); ++i) std::copy_n(components[i].begin(), parts[i].w * parts[i].h, image->comps[i].data);
  opj_cparameters_t p;
  opj_set_default_encoder_parameters(&p);
  p.numresolution = 1, p.tcp_numlayers = 1, p.cp_disto_alloc = 1, p.tcp_mct = parts.size() == 3 && how.coarser == 1;
  if (how.tile) p.tile_size_on = OPJ_TRUE, p.cp_tdx = p.cp_tdy = how.tile;
  opj_codec_t* codec = opj_create_compress(how.jp2 ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K);
  EXPECT_TRUE(opj_setup_encoder(codec, &p, image));
  struct Out {
    Raw bytes;
    size_t at = 0;
  } out;
  opj_stream_t* stream = opj_stream_create(1 << 16, OPJ_FALSE);
  opj_stream_set_user_data(stream, &out, nullptr);
  opj_stream_set_write_function(stream, [](void* from, OPJ_SIZE_T n, void* to) -> OPJ_SIZE_T {
    auto& o = *static_cast<Out*>(to);
    o.bytes.resize(std::max(o.bytes.size(), o.at + n));
    std::memcpy(o.bytes.data() + o.at, from, n);
    o.at += n;
    return n;
  });
  opj_stream_set_seek_function(
      stream, [](OPJ_OFF_T to, void* o) -> OPJ_BOOL { return static_cast<Out*>(o)->at = size_t(to), OPJ_TRUE; });
  opj_stream_set_skip_function(stream,
                               [](OPJ_OFF_T n, void* o) -> OPJ_OFF_T { return static_cast<Out*>(o)->at += size_t(n), n; });
  EXPECT_TRUE(opj_start_compress(codec, image, stream) && opj_encode(codec, stream) && opj_end_compress(codec, stream));
  opj_stream_destroy(stream), opj_destroy_codec(codec), opj_image_destroy(image);
  if (out.bytes.size() % 2) out.bytes.push_back(0);
  return out.bytes;
}

std::vector<int> shown(const Raw& bytes, int frame = 0) {
  std::vector<int> out;
  const Image image = decode_dicom(bytes, "scan", {}, frame);
  for (size_t i = 0; i < image.rgba.size(); i += 4) out.push_back(image.rgba[i]);
  return out;
}
std::string refusal(const Raw& bytes) {
  try {
    decode_dicom(bytes, "scan", {});
  } catch (const Error& e) {
    const std::string what = e.what();
    EXPECT_EQ(what.find("SECRET"), what.npos) << what;
    return what;
  }
  return "";
}
Raw window(const char* center, const char* width) {
  Raw out;
  rawdicom::text(out, 0x00281050, "DS", center), rawdicom::text(out, 0x00281051, "DS", width);
  rawdicom::text(out, 0x00281056, "CS", "LINEAR_EXACT");
  return out;
}
std::vector<Raw> pieces(const Raw& all, size_t of) {
  std::vector<Raw> out;
  for (size_t i = 0; i < all.size(); i += of)
    out.emplace_back(all.begin() + long(i), all.begin() + long(std::min(all.size(), i + of)));
  return out;
}

TEST(Jpeg2000, IsShownAsTheSameFileUnpacked) {
  Grey g{.bits = 12, .more = window("765", "1530")};
  const std::vector<int> plain = shown(g.bytes());
  EXPECT_EQ(plain, (std::vector<int>{0, 17, 33, 50}));
  for (const char* syntax : {kLossless, kLossy}) {
    g.syntax = syntax, g.fragments = {packed({g.stored}, 4, 1, 12)};
    EXPECT_EQ(shown(g.bytes()), plain);
  }
  g.fragments = pieces(g.fragments[0], 30);
  ASSERT_GT(g.fragments.size(), 2u);
  EXPECT_EQ(shown(g.bytes()), plain) << "one frame in several fragments";
}

TEST(Jpeg2000, FramesOfOneFragmentEachOrOfSeveral) {
  Grey g{.columns = 2, .frames = 2, .more = window("128", "256"), .syntax = kLossless};
  const Raw first = packed({{0, 64}}, 2, 1, 16), second = packed({{128, 192}}, 2, 1, 16);
  g.fragments = {first, second};
  EXPECT_EQ(shown(g.bytes(), 0), (std::vector<int>{0, 64}));
  EXPECT_EQ(shown(g.bytes(), 1), (std::vector<int>{128, 191}));
  g.fragments = pieces(first, 40);
  for (const Raw& p : pieces(second, 60)) g.fragments.push_back(p);
  ASSERT_GT(g.fragments.size(), 3u);
  EXPECT_EQ(shown(g.bytes(), 0), (std::vector<int>{0, 64}));
  EXPECT_EQ(shown(g.bytes(), 1), (std::vector<int>{128, 191}));
}

TEST(Jpeg2000, WhatTheDataSetSaysOfSignsHolds) {
  Grey g{.stored = {-2048, -1, 0, 2047}, .bits = 12, .is_signed = true, .more = window("0", "4096"), .syntax = kLossless};
  const std::vector<int> want = {0, 127, 128, 255};
  g.fragments = {packed({g.stored}, 4, 1, 12, {.is_signed = true})};
  EXPECT_EQ(shown(g.bytes()), want);
  g.fragments = {packed({{2048, 4095, 0, 2047}}, 4, 1, 12)};
  EXPECT_EQ(shown(g.bytes()), want) << "the same bits, called unsigned by the codestream";
}

// Lossy packing in more bits than are stored goes beyond them: white stays white, and does not come round to black.
TEST(Jpeg2000, WhatIsBeyondTheStoredBitsIsCut) {
  Grey g{.bits = 12, .more = window("2048", "4096"), .syntax = kLossy};
  g.fragments = {packed({{0, 2048, 4095, 4101}}, 4, 1, 16)};
  EXPECT_EQ(shown(g.bytes()), (std::vector<int>{0, 128, 255, 255}));
  g.is_signed = true, g.more = window("0", "4096");
  g.fragments = {packed({{-2060, 0, 2047, 2050}}, 4, 1, 16, {.is_signed = true})};
  EXPECT_EQ(shown(g.bytes()), (std::vector<int>{0, 128, 255, 255}));
  g.is_signed = false, g.more = window("2048", "4096");
  rawdicom::words(g.more, 0x60000102, "US", {12});
  g.fragments = {packed({{0, 2048, 4095, 4096 + 2048}}, 4, 1, 16)};
  EXPECT_EQ(shown(g.bytes()), (std::vector<int>{0, 128, 255, 128})) << "an overlay in the bit above";
}

TEST(Jpeg2000, BitsAreWhereUnpackingPutsThem) {
  Grey g{.bits = 12, .high = 15, .more = window("2048", "4096"), .syntax = kLossless};  // as it lay before it was packed
  g.fragments = {packed({{0, 1024, 2048, 4095}}, 4, 1, 12)};
  EXPECT_EQ(shown(g.bytes()), (std::vector<int>{0, 64, 128, 255}));
  g.bits = 8, g.high = -1, g.more = window("128", "256");
  g.fragments = {packed({{0, 64, 128, 255}}, 4, 1, 8)};
  EXPECT_EQ(shown(g.bytes()), (std::vector<int>{0, 64, 128, 254})) << "8 bits in 16";
}

// JP2 files in the place of codestreams; a palette of one colour in them would leave one component of three.
Raw with_palette(const Raw& jp2) {
  Raw boxes;
  const auto box = [&](const char* name, const Raw& body) {
    const uint32_t n = uint32_t(body.size() + 8);
    boxes.insert(boxes.end(), {uint8_t(n >> 24), uint8_t(n >> 16), uint8_t(n >> 8), uint8_t(n)});
    boxes.insert(boxes.end(), name, name + 4), rawdicom::append(boxes, body);
  };
  box("pclr", {0, 2, 1, 7, 9, 200});  // two entries of one column of 8 bits
  box("cmap", {0, 0, 1, 0});
  Raw out = jp2;
  const std::string name = "jp2h";
  const auto at = std::search(out.begin(), out.end(), name.begin(), name.end()) - out.begin();
  const size_t start = size_t(at) - 4;
  uint32_t n = uint32_t(out[start]) << 24 | uint32_t(out[start + 1]) << 16 | uint32_t(out[start + 2]) << 8 | out[start + 3];
  out.insert(out.begin() + long(start + n), boxes.begin(), boxes.end());
  n += uint32_t(boxes.size());
  for (int i = 0; i < 4; ++i) out[start + size_t(i)] = uint8_t(n >> (24 - 8 * i));
  if (out.size() % 2) out.push_back(0);
  return out;
}

TEST(Jpeg2000, InBoxes) {
  Grey g{.bits = 8, .more = window("128", "256"), .syntax = kLossless};
  const Raw jp2 = packed({{0, 1, 1, 0}}, 4, 1, 8, {.jp2 = true});
  ASSERT_EQ(jp2[4], 'j');
  g.fragments = {jp2};
  EXPECT_EQ(shown(g.bytes()), (std::vector<int>{0, 1, 1, 0}));
  g.fragments = {with_palette(jp2)};
  EXPECT_EQ(shown(g.bytes()), (std::vector<int>{0, 1, 1, 0})) << "a palette of the file's own is not asked for";
}

TEST(Jpeg2000, Colour) {
  const auto file = [](const char* photometric, const Raw& fragment) {
    Raw d;
    rawdicom::words(d, 0x00280002, "US", {3});
    rawdicom::text(d, 0x00280004, "CS", photometric);
    rawdicom::words(d, 0x00280006, "US", {1});
    rawdicom::words(d, 0x00280010, "US", {1}), rawdicom::words(d, 0x00280011, "US", {3});
    rawdicom::words(d, 0x00280100, "US", {8}), rawdicom::words(d, 0x00280101, "US", {8});
    rawdicom::words(d, 0x00280102, "US", {7}), rawdicom::words(d, 0x00280103, "US", {0});
    rawdicom::fragmented(d, {fragment});
    return rawdicom::file(d, kLossless);
  };
  const std::vector<std::vector<int>> rgb = {{255, 1, 2}, {3, 250, 5}, {6, 7, 245}};
  EXPECT_EQ(shown(file("YBR_FULL_422", packed(rgb, 3, 1, 8))), shown(file("YBR_FULL", packed(rgb, 3, 1, 8))));
  EXPECT_NE(refusal(file("YBR_PARTIAL_422", packed(rgb, 3, 1, 8))).find("YBR_PARTIAL"), std::string::npos);
  const Raw boxed = packed(rgb, 3, 1, 8, {.jp2 = true});
  EXPECT_EQ(shown(file("RGB", with_palette(boxed))), shown(file("RGB", boxed)));
  for (const char* photometric : {"YBR_RCT", "RGB"}) {
    const Image image = decode_dicom(file(photometric, packed(rgb, 3, 1, 8)), "scan");
    for (size_t p = 0; p < 3; ++p)
      for (size_t c = 0; c < 3; ++c) EXPECT_EQ(image.rgba[p * 4 + c], rgb[c][p]) << photometric << " " << p << " " << c;
  }
  EXPECT_NE(refusal(file("RGB", packed({{1, 2, 3}}, 3, 1, 8))).find("disagree about the samples"), std::string::npos);
  EXPECT_NE(refusal(file("RGB", packed({{1, 2, 3}, {1}, {1}}, 3, 1, 8, {.coarser = 3}))).find("colours are coarser"),
            std::string::npos);
}

TEST(Jpeg2000, EmptyFragmentsAreNothing) {
  Grey g{.bits = 12, .more = window("765", "1530"), .syntax = kLossless};
  g.fragments = {packed({g.stored}, 4, 1, 12), {}};
  EXPECT_EQ(shown(g.bytes()), (std::vector<int>{0, 17, 33, 50}));
  g.fragments = {{}};
  EXPECT_NE(refusal(g.bytes()).find("its pixels are damaged"), std::string::npos);
  g.fragments = std::vector<Raw>(200'000, Raw(2, 0));  // 2 MB; each found by counting from the first "took too long"
  EXPECT_NE(refusal(g.bytes()).find("its pixels are damaged"), std::string::npos);
}

TEST(Jpeg2000, AbsentTilesAreRefused) {
  Grey g{.columns = 16, .rows = 16, .more = window("128", "256"), .syntax = kLossless};
  std::vector<int> stored(256, 100);
  stored[255] = 110;
  const Raw good = packed({stored}, 16, 16, 8, {.tile = 8});
  g.fragments = {good};
  EXPECT_EQ(shown(g.bytes()), stored);
  std::vector<size_t> parts;  // where tile-parts begin: SOT and its length
  for (size_t i = 0; i + 12 < good.size(); ++i)
    if (good[i] == 0xff && good[i + 1] == 0x90 && good[i + 2] == 0 && good[i + 3] == 10) parts.push_back(i);
  ASSERT_EQ(parts.size(), 4u);
  Raw less = good;
  less.erase(less.begin() + long(parts[1]), less.begin() + long(parts[2]));
  g.fragments = {less};
  EXPECT_NE(refusal(g.bytes()).find("its pixels are damaged"), std::string::npos);
}

TEST(Jpeg2000, DamageIsRefused) {
  Grey g{.columns = 16, .rows = 16, .stored = {}, .syntax = kLossless};
  std::mt19937 random(1);
  for (int i = 0; i < 256; ++i) g.stored.push_back(int(random() % 4096));
  const Raw good = packed({g.stored}, 16, 16, 16);
  g.fragments = {good};
  EXPECT_EQ(refusal(g.bytes()), "");
  for (size_t n : {size_t(2), size_t(40), good.size() / 2}) {
    g.fragments = {Raw(good.begin(), good.begin() + long(n))};
    EXPECT_NE(refusal(g.bytes()).find("its pixels are damaged"), std::string::npos) << n;
  }
  g.fragments = {packed({{1, 2, 3, 4}}, 4, 1, 16)};
  EXPECT_NE(refusal(g.bytes()).find("disagree about its size"), std::string::npos);
  g.fragments = {{}};
  EXPECT_NE(refusal(g.bytes()), "");
  int read = 0, n = 0;
  for (int i = 0; i < 100; ++i) {  // each costs one refusal, or other pixels
    g.fragments = {good};
    for (int k = 0; k < 2; ++k) g.fragments[0][random() % good.size()] = uint8_t(random());
    n++, read += refusal(g.bytes()).empty();
  }
  EXPECT_GT(read, 0);
  EXPECT_LT(read, n);
}

}  // namespace
}  // namespace duet
