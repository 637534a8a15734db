// DICOM as a viewer shows it: every rule by hand; and that a hostile file costs one refusal, in which no word of its header
// stands. tests/vision/dicom_peer.py compares with pydicom.
#include "vision/dicom.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>

#include "tests/vision/rawdicom.h"
#include "vision/codec.h"
#include "vision/lockdown.h"

namespace duet {
namespace {

using rawdicom::Grey;
using rawdicom::Raw;

std::vector<int> values(const Image& image) {
  std::vector<int> out;
  for (size_t i = 0; i < image.rgba.size(); i += 4) {
    EXPECT_TRUE(image.rgba[i] == image.rgba[i + 1] && image.rgba[i] == image.rgba[i + 2] && image.rgba[i + 3] == 255);
    out.push_back(image.rgba[i]);
  }
  return out;
}
std::vector<int> shown(const Grey& g, int frame = 0) { return values(decode_dicom(g.bytes(), "scan", {}, frame)); }

std::string refusal(const Raw& bytes, const Limits& limits = {}, int frame = 0) {
  try {
    decode_dicom(bytes, "scan", limits, frame);
  } catch (const Error& e) {
    const std::string what = e.what();
    EXPECT_EQ(what.rfind("scan: ", 0), 0u) << what;
    EXPECT_EQ(what.find("SECRET"), what.npos) << what;
    EXPECT_EQ(what.find("4711"), what.npos) << what;
    return what;
  }
  return "";
}

Raw window(const std::string& center, const std::string& width, const std::string& function = "") {
  Raw out;
  rawdicom::text(out, 0x00281050, "DS", center);
  rawdicom::text(out, 0x00281051, "DS", width);
  if (!function.empty()) rawdicom::text(out, 0x00281056, "CS", function);
  return out;
}
Raw rescale(const std::string& intercept, const std::string& slope) {
  Raw out;
  rawdicom::text(out, 0x00281052, "DS", intercept);
  rawdicom::text(out, 0x00281053, "DS", slope);
  return out;
}
Raw both(Raw a, const Raw& b) {
  rawdicom::append(a, b);
  return a;
}

Raw lut(const std::vector<int>& descriptor, const std::vector<int>& data, const std::string& vr = "US") {
  Raw item;
  rawdicom::words(item, 0x00283002, vr, descriptor);
  rawdicom::words(item, 0x00283006, "OW", data);
  return item;
}

TEST(Dicom, WithoutAWindowTheRangeOfThePicture) {
  EXPECT_EQ(shown({}), (std::vector<int>{0, 85, 170, 255}));
  EXPECT_NE(refusal(Grey{.stored = {7, 7, 7, 7}}.bytes()).find("all its pixels have one value; leave it out"),
            std::string::npos);
  EXPECT_EQ(shown({.stored = {-100, 0, 100, 200}, .is_signed = true}), (std::vector<int>{0, 85, 170, 255}));
  EXPECT_EQ(shown({.photometric = "MONOCHROME1"}), (std::vector<int>{255, 170, 85, 0}));
  // Bits above those stored are not the value's: 0xf001 in 12 bits is 1.
  EXPECT_EQ(shown({.stored = {0xf000, 0xf001, 2, 3}, .bits = 12}), (std::vector<int>{0, 85, 170, 255}));
}

TEST(Dicom, PaddingDoesNotStretchTheRange) {
  Grey g{.stored = {-2000, 0, 100, 200}, .is_signed = true};
  EXPECT_EQ(shown(g)[1], 232);
  rawdicom::words(g.more, 0x00280120, "SS", {-2000});
  EXPECT_EQ(shown(g), (std::vector<int>{0, 0, 128, 255}));
  Grey other{.stored = {0xfff, 0, 100, 200}, .bits = 12};  // -1 stands for the bits of 4095
  rawdicom::words(other.more, 0x00280120, "SS", {-1});
  EXPECT_EQ(shown(other), (std::vector<int>{255, 0, 128, 255}));
}

// PS3.3 C.11.2.1.2 and C.11.2.1.3, values in between by their formulas.
TEST(Dicom, WindowsOfEveryFunction) {
  EXPECT_EQ(shown({.more = window("150", "101")}), (std::vector<int>{0, 1, 255, 255})) << "from 99.5 to 199.5";
  EXPECT_EQ(shown({.more = window("150", "200", "LINEAR_EXACT")}), (std::vector<int>{0, 64, 191, 255}));
  std::vector<int> sigmoid;
  for (const double v : {0.0, 100.0, 200.0, 300.0})
    sigmoid.push_back(int(std::lround(255 / (1 + std::exp(-4 * (v - 150) / 200)))));
  EXPECT_EQ(shown({.more = window("150", "200", "SIGMOID")}), sigmoid);
  EXPECT_EQ(shown({.more = window("150.5\\7", "1\\9")}), (std::vector<int>{0, 0, 255, 255})) << "the first of two; a step";
  EXPECT_EQ(shown({.more = window("150", "0")}), (std::vector<int>{0, 85, 170, 255})) << "no window has that width";
}

TEST(Dicom, RescaleComesBeforeTheWindowAndPolarityAfter) {
  // -1000, -800, -600, -400
  const Grey g{.photometric = "MONOCHROME1", .more = both(window("-700", "400", "LINEAR_EXACT"), rescale("-1000", "2"))};
  EXPECT_EQ(shown(g), (std::vector<int>{255, 191, 64, 0}));
  EXPECT_EQ(shown({.more = rescale("5", "-0.5")}), (std::vector<int>{255, 170, 85, 0})) << "turned by a slope below 0";
  // 0.25 a step: nothing is rounded on the way
  EXPECT_EQ(shown({.stored = {0, 1, 2, 3}, .more = both(window("0.375", "0.75", "LINEAR_EXACT"), rescale("0", "0.25"))}),
            (std::vector<int>{0, 85, 170, 255}));
  EXPECT_NE(refusal(Grey{.more = rescale("0", "0")}.bytes()).find("slope is 0"), std::string::npos);
}

TEST(Dicom, AWindowThatIsAskedForTakesThePlaceOfTheFiles) {
  Grey g{.photometric = "MONOCHROME1", .more = both(window("150", "101"), rescale("-1000", "2"))};
  rawdicom::sequence(g.more, 0x00283010, {lut({1, 0, 8}, {9, 9})});
  const auto with = [&](double center, double width) {
    Limits limits;
    limits.window = {center, width};
    return values(decode_dicom(g.bytes(), "scan", limits));
  };
  EXPECT_EQ(with(-700, 400), (std::vector<int>{255, 191, 64, 0})) << "-1000, -800, -600, -400";
  EXPECT_EQ(with(-700.5, 0.125), (std::vector<int>{255, 255, 0, 0}));
  Limits white;
  white.window = {-5000, 10};
  EXPECT_NE(refusal(g.bytes(), white).find("all its pixels have one value through the window -5000/10"), std::string::npos);
}

TEST(Dicom, LookUpTables) {
  Grey g{.stored = {9, 10, 11, 99}};
  rawdicom::sequence(g.more, 0x00283000, {lut({3, 10, 16}, {0, 1000, 3000})});
  EXPECT_EQ(shown(g), (std::vector<int>{0, 0, 85, 255})) << "below its first value the first entry, above the last the last";
  Grey voi{.stored = {9, 10, 11, 12}, .more = window("10", "2")};
  rawdicom::sequence(voi.more, 0x00283010, {lut({4, 9, 8}, {255, 0, 51, 102})});
  EXPECT_EQ(shown(voi), (std::vector<int>{255, 0, 51, 102})) << "before the window";
  Grey packed{.stored = {0, 1, 2, 3}};
  rawdicom::sequence(packed.more, 0x00283010, {lut({4, 0, 8}, {0x3300, 0xff66})});
  EXPECT_EQ(shown(packed), (std::vector<int>{0, 0x33, 0x66, 0xff})) << "two entries of 8 bits a word";
  Grey below{.stored = {-2, -1, 0, 1}, .is_signed = true};
  rawdicom::sequence(below.more, 0x00283010, {lut({4, -2, 16}, {0, 0x5555, 0xaaaa, 0xffff}, "SS")});
  EXPECT_EQ(shown(below), (std::vector<int>{0, 85, 170, 255}));
  // The kind that the file gives the first value counts, whatever goes in.
  Grey shifted{.stored = {-32768, 0, 1, 2}, .is_signed = true, .more = rescale("32768", "1")};  // 0, 32768, 32769, 32770
  rawdicom::sequence(shifted.more, 0x00283010, {lut({3, 32768, 8}, {0, 102, 255})});
  EXPECT_EQ(shown(shifted), (std::vector<int>{0, 0, 102, 255}));
  Grey cut;
  rawdicom::sequence(cut.more, 0x00283000, {lut({300, 0, 16}, {1, 2})});
  EXPECT_NE(refusal(cut.bytes()).find("modality LUT is damaged"), std::string::npos);
}

// Their modality stage turns values back for measuring (PS3.4 N.2.5); the window is of the stored ones.
TEST(Dicom, AngiographyIsShownWithoutIt) {
  Grey g{.more = both(window("150", "200", "LINEAR_EXACT"), rescale("-1000", "2"))};
  g.sop_class = "1.2.840.10008.5.1.4.1.1.12.1";
  EXPECT_EQ(shown(g), (std::vector<int>{0, 64, 191, 255}));
}

TEST(Dicom, FramesAndTheirOwnWindows) {
  Grey g{.columns = 2, .rows = 1, .frames = 2, .stored = {0, 100, 200, 300}};
  EXPECT_EQ(shown(g, 0), (std::vector<int>{0, 255}));
  EXPECT_EQ(read_dicom_head(g.bytes(), "scan").frames, 2);
  Raw first, second, group1, group2, shared, pixel;
  rawdicom::sequence(group1, 0x00289132, {window("50", "200", "LINEAR_EXACT")});
  rawdicom::sequence(group2, 0x00289132, {window("1250", "1000", "LINEAR_EXACT")});
  rawdicom::sequence(pixel, 0x00289145, {rescale("0", "5")});
  rawdicom::sequence(g.functional, 0x52009229, {pixel});
  rawdicom::sequence(g.functional, 0x52009230, {group1, group2});
  EXPECT_EQ(shown(g, 0), (std::vector<int>{64, 255})) << "0 and 500 between -50 and 150";
  EXPECT_EQ(shown(g, 1), (std::vector<int>{64, 191})) << "1000 and 1500 between 750 and 1750";
  EXPECT_NE(refusal(g.bytes(), {}, 2).find("frame 2 is asked for; it has 2 (0 to 1)"), std::string::npos);
}

TEST(Dicom, Colour) {
  const auto colour = [](const std::string& photometric, int planar, const Raw& pixels) {
    Raw d;
    rawdicom::words(d, 0x00280002, "US", {3});
    rawdicom::text(d, 0x00280004, "CS", photometric);
    rawdicom::words(d, 0x00280006, "US", {planar});
    rawdicom::words(d, 0x00280010, "US", {1});
    rawdicom::words(d, 0x00280011, "US", {2});
    rawdicom::words(d, 0x00280100, "US", {8});
    rawdicom::words(d, 0x00280101, "US", {8});
    rawdicom::words(d, 0x00280102, "US", {7});
    rawdicom::words(d, 0x00280103, "US", {0});
    rawdicom::element(d, 0x7fe00010, "OB", pixels);
    return decode_dicom(rawdicom::file(d), "scan").rgba;
  };
  const std::vector<uint8_t> want = {10, 20, 30, 255, 40, 50, 60, 255};
  EXPECT_EQ(colour("RGB", 0, {10, 20, 30, 40, 50, 60}), want);
  EXPECT_EQ(colour("RGB", 1, {10, 40, 20, 50, 30, 60}), want);
  const auto red = colour("YBR_FULL", 0, {76, 85, 255, 255, 128, 128});
  for (const auto& [i, v] : {std::pair(0, 254), std::pair(1, 0), std::pair(2, 0)}) EXPECT_NEAR(red[size_t(i)], v, 2) << i;
  for (size_t i = 4; i < 8; ++i) EXPECT_NEAR(red[i], 255, 2) << i;
}

TEST(Dicom, WhoseItIs) {
  const auto head = [](const std::string& id, const std::string& issuer) {
    return read_dicom_head(Grey{.patient = id, .issuer = issuer}.bytes(), "scan");
  };
  EXPECT_EQ(head("4711", "").patient, head("4711", "").patient);
  EXPECT_NE(head("4711", "").patient, head("4712", "").patient);
  EXPECT_NE(head("4711", "A").patient, head("4711", "B").patient);
  EXPECT_EQ(head("", "").patient, 0u);
  const auto study = [](const std::string& patient, const std::string& uid) {
    return read_dicom_head(Grey{.patient = patient, .study = uid}.bytes(), "scan").patient;
  };
  EXPECT_NE(study("", "1.2"), 0u);
  EXPECT_EQ(study("", "1.2"), study("", "1.2"));
  EXPECT_NE(study("", "1.2"), study("", "1.3"));
  EXPECT_EQ(study("4711", "1.2"), study("4711", "1.3"));
  EXPECT_FALSE(head("1", "").burned_in);
  EXPECT_TRUE(read_dicom_head(Grey{.burned_in = true}.bytes(), "scan").burned_in);
}

TEST(Dicom, AmongThePictures) {
  EXPECT_EQ(values(decode_image(Grey{}.bytes(), "scan")), (std::vector<int>{0, 85, 170, 255}));
  namespace fs = std::filesystem;
  const fs::path dir = fs::path(testing::TempDir()) / "dicom_names";
  fs::create_directories(dir);
  const auto put = [&](const std::string& name, const Raw& bytes) {
    std::ofstream(dir / name, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), long(bytes.size()));
    return (dir / name).string();
  };
  EXPECT_TRUE(names_dicom(put("IM0001", Grey{}.bytes())));
  EXPECT_TRUE(names_dicom(put("1.2.840.17", Grey{}.bytes())));
  EXPECT_TRUE(names_dicom(put("a.DCM", {})));
  EXPECT_FALSE(names_dicom(put("README", {})));
  EXPECT_FALSE(names_dicom(put("DICOMDIR", Grey{}.bytes())));
  EXPECT_FALSE(names_dicom(put("a.txt", Grey{}.bytes())));
  fs::remove_all(dir);
}

TEST(Dicom, RefusesWhatItCannotShow) {
  EXPECT_NE(refusal({}).find("no DICOM file"), std::string::npos);
  EXPECT_NE(refusal(Grey{.syntax = "1.2.840.10008.1.2.4.92"}.bytes()).find("JPEG 2000 Part 2"), std::string::npos);
  EXPECT_NE(refusal(Grey{.syntax = "1.2.840.10008.1.2.4.102"}.bytes()).find("video"), std::string::npos);
  EXPECT_NE(refusal(Grey{.rows = 0}.bytes()).find("4 x 0 pixels"), std::string::npos);
  EXPECT_NE(refusal(Grey{.columns = 65535, .rows = 65535}.bytes()).find("65535 x 65535 pixels is more"), std::string::npos);
  EXPECT_NE(refusal(Grey{}.bytes(), {.max_bytes = 100}).find("bytes is more"), std::string::npos);
  Raw report;
  rawdicom::text(report, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.88.11");
  rawdicom::text(report, 0x00100010, "PN", "SECRET^NAME");
  EXPECT_NE(refusal(rawdicom::file(report)).find("holds no picture (it is a BasicTextSRStorage)"), std::string::npos);
  EXPECT_THROW(decode_dicom(rawdicom::file(report), "scan"), DicomHoldsNone);
  EXPECT_NE(
      refusal(Grey{.syntax = "1.2.840.10008.1.2.4.201"}.bytes()).find("packed as transfer syntax 1.2.840.10008.1.2.4.201"),
      std::string::npos)
      << "which this DCMTK has not heard of";
  EXPECT_NE(refusal(Grey{.frames = -1}.bytes()).find("number of frames"), std::string::npos);
  for (const int frames : {2, 2147483647}) {
    const std::string lie = "its header says " + std::to_string(frames) + " frames, and it has the pixels of 1";
    EXPECT_NE(refusal(Grey{.frames = frames}.bytes()).find(lie), std::string::npos);
    EXPECT_NE(refusal(Grey{.frames = frames, .syntax = "1.2.840.10008.1.2.4.50"}.bytes()).find(lie), std::string::npos);
  }
  EXPECT_NE(refusal(Grey{.syntax = "1.2.840.10008.1.2.4.50"}.bytes()).find("cannot be shown"), std::string::npos) << "no JPEG";
}

// A deflated picture of 2 GB of zeros, in 2 MB.
Raw deflate_bomb() {
  Raw head = Grey{.columns = 16384, .rows = 3000, .stored = {}}.dataset();
  head.resize(head.size() - 12);  // the pixels' element, which gets another length
  rawdicom::element(head, 0x7fe00010, "OB", {}, int64_t(2) << 30);
  z_stream z{};
  deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY);
  Raw out(4 << 20), zeros(1 << 20);
  z.next_out = out.data(), z.avail_out = uInt(out.size()), z.next_in = head.data(), z.avail_in = uInt(head.size());
  deflate(&z, Z_NO_FLUSH);
  for (int i = 0; i < 2048; ++i) z.next_in = zeros.data(), z.avail_in = uInt(zeros.size()), deflate(&z, Z_NO_FLUSH);
  EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
  out.resize(out.size() - z.avail_out);
  deflateEnd(&z);
  return rawdicom::file(out, "1.2.840.10008.1.2.1.99");
}

TEST(Dicom, HostileFilesCostOneRefusal) {
  const auto begin = std::chrono::steady_clock::now();
  const Raw good = Grey{}.bytes();
  for (size_t n = 132; n < good.size() - 8; n += 17) EXPECT_NE(refusal(Raw(good.begin(), good.begin() + long(n))), "") << n;
  Raw nested;  // sequences in sequences, of no end
  for (int i = 0; i < 10000; ++i) {
    rawdicom::element(nested, 0x00081115, "SQ", {}, 0xffffffff);
    rawdicom::put16(nested, 0xfffe), rawdicom::put16(nested, 0xe000), rawdicom::put32(nested, 0xffffffff);
  }
  EXPECT_NE(refusal(rawdicom::file(nested)), "");
  Raw greedy = Grey{}.dataset();  // a private element of 2.9 GB, as it says
  Raw more;
  rawdicom::element(more, 0x00090010, "UN", {}, 2952896514);
  rawdicom::append(more, greedy);
  EXPECT_NE(refusal(rawdicom::file(more)), "");
  if (!kSanitized) {
    EXPECT_NE(refusal(deflate_bomb()).find("more memory than is given"), std::string::npos);
  }
  EXPECT_EQ(shown({}), (std::vector<int>{0, 85, 170, 255})) << "and the next is read";
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(120)) << "none of them had to be timed out";
}

TEST(Dicom, ChangedBytesAreReadOrRefused) {
  std::mt19937 random(1);
  Grey g{.columns = 16, .rows = 16, .stored = {}, .more = both(window("150", "101"), rescale("1", "2"))};
  rawdicom::sequence(g.more, 0x00283010, {lut({3, 0, 8}, {0, 9, 90})});
  for (int i = 0; i < 256; ++i) g.stored.push_back(i % 3);
  const Raw good = g.bytes();
  int read = 0, n = 0;
  for (int i = 0; i < 150; ++i) {
    Raw bad = good;
    for (int k = 0; k < 3; ++k) bad[132 + random() % (bad.size() - 132 - 512)] = uint8_t(random());
    n++, read += refusal(bad).empty();
  }
  EXPECT_GT(read, n / 10);
  EXPECT_LT(read, n);
}

}  // namespace
}  // namespace duet
