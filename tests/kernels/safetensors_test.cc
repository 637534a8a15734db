#include "kernels/safetensors.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "kernels/error.h"

namespace duet {
namespace {

namespace fs = std::filesystem;

struct Folder {
  fs::path path = fs::temp_directory_path() / ("duet-safetensors-" + std::to_string(::getpid()));
  Folder() { fs::remove_all(path), fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
};

// A file image: the header as given, then the data.
std::string image(const std::string& header, const std::string& data) {
  uint64_t n = header.size();
  std::string s(reinterpret_cast<const char*>(&n), 8);
  return s + header + data;
}

std::string complaint(const std::string& bytes, Verify verify = Verify::yes) {
  try {
    Safetensors::parse(as_bytes(bytes), "w.safetensors", verify);
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

const float kA[6] = {1, 2, 3, 4, 5, -6};
const int64_t kB[2] = {7, -8};

std::vector<TensorOut> sample() {
  auto raw = [](const auto& x) { return Bytes(reinterpret_cast<const uint8_t*>(&x), sizeof x); };
  return {{"flag", "BOOL", {}, raw(kA).first(1)},
          {"층.a", "F32", {2, 3}, raw(kA)},
          {"b", "I64", {2}, raw(kB)},
          {"none", "F16", {0, 4}, {}}};
}

std::string joined(const SafetensorsImage& image) {
  std::string all;
  for (Bytes part : image.parts()) all += as_text(part);
  return all;
}

std::string sample_image() { return joined(safetensors_image(sample(), {{"config", "{\"width\": 3}"}, {"note", "두 번"}})); }

TEST(Safetensors, WritesAndReadsBack) {
  Folder folder;
  std::string path = folder / "a.safetensors";
  write_safetensors(path, sample(), {{"config", "{}"}});
  Safetensors s = Safetensors::open(path);
  Safetensors copy = s;
  s = Safetensors::parse(as_bytes(image("{}", "")), "empty");  // the copy keeps the map alive
  EXPECT_EQ(copy.metadata(), (std::map<std::string, std::string>{{"config", "{}"}}));
  ASSERT_EQ(copy.tensors().size(), 4u);
  EXPECT_TRUE(copy.has_checksums());
  const TensorView& a = copy.at("층.a");
  EXPECT_EQ(a.dtype, "F32");
  EXPECT_EQ(a.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(0, std::memcmp(a.bytes.data(), kA, sizeof kA));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(copy.at("b").bytes.data()) % 8, 0u);
  EXPECT_EQ(copy.at("none").bytes.size(), 0u);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path), {}), 1) << "a temporary file was left";
}

TEST(Safetensors, SameInputSameBytes) {
  auto shuffled = sample();
  std::swap(shuffled[0], shuffled[2]);
  EXPECT_EQ(joined(safetensors_image(shuffled, {{"note", "두 번"}, {"config", "{\"width\": 3}"}})), sample_image());
}

TEST(Safetensors, MissingTensorNamesFileAndTensor) {
  std::string bytes = sample_image();
  Safetensors s = Safetensors::parse(as_bytes(bytes), "w.safetensors");
  try {
    s.at("c");
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("w.safetensors: no tensor 'c'"), std::string::npos) << e.what();
  }
}

TEST(Safetensors, EverySingleFlippedBitIsFound) {
  std::string bytes = sample_image();
  ASSERT_EQ(complaint(bytes), "accepted");
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string bad = bytes;
    bad[bit / 8] ^= 1 << (bit % 8);
    ASSERT_NE(complaint(bad), "accepted") << "bit " << bit;
  }
}

TEST(Safetensors, EveryTruncationIsFound) {
  std::string bytes = sample_image();
  for (size_t n = 0; n < bytes.size(); ++n) ASSERT_NE(complaint(bytes.substr(0, n), Verify::no), "accepted") << n;
}

TEST(Safetensors, FlippedDataNamesTheTensor) {
  std::string bytes = sample_image();
  bytes[bytes.size() - 5] ^= 4;  // "층.a" lies between the I64 and the BOOL
  EXPECT_EQ(complaint(bytes).find("w.safetensors: tensor '층.a' does not match its checksum"), 0u) << complaint(bytes);
  EXPECT_EQ(complaint(bytes, Verify::no), "accepted");
}

TEST(Safetensors, RefusesWithTheReason) {
  struct Case {
    std::string header, data, reason;
  };
  const std::string a = R"("a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]})";
  const Case cases[] = {
      {"{" + a + "," + a + "}", "xy", "tensor 'a' appears twice"},
      {"{" + a + R"(,"\u0061":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})", "wxyz", "tensor 'a' appears twice"},
      {R"({"__metadata__":{"k":"1","k":"2"}})", "", "__metadata__ key 'k' appears twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", "", "__metadata__ appears twice"},
      {R"({"__metadata__":{"k":1}})", "", "__metadata__ key 'k' is not a string"},
      {R"({"__metadata__":[]})", "", "__metadata__ is not an object"},
      {"{" + a + "}", "x", "tensor 'a': data_offsets [0, 2] lie outside the file's 1 bytes of data (a truncated copy"},
      {"{" + a + "}", "xyz", "1 bytes after the last tensor belong to none"},
      {"{" + a + R"(,"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", "xyz", "tensor 'b' overlaps"},
      {"{" + a + R"(,"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}})", "vwxyz",
       "a hole of 1 bytes lies before tensor 'b'"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}})", "xy", "tensor 'a': data_offsets [2, 0] lie outside"},
      {R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,2]}})", "xy", "tensor 'a': shape [3] of U8 needs 3 bytes"},
      {R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", "xy", "impossible number of bytes"},
      {R"({"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", "", "impossible number of bytes"},
      {R"({"a":{"dtype":"U8","shape":[-2],"data_offsets":[0,2]}})", "xy", "shape holds something other than"},
      {R"({"a":{"dtype":"U8","shape":[2.0],"data_offsets":[0,2]}})", "xy", "shape holds something other than"},
      {R"({"a":{"dtype":"U8","shape":2,"data_offsets":[0,2]}})", "xy", "shape is not a list"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0]}})", "xy", "data_offsets is not [begin, end]"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2,2]}})", "xy", "data_offsets is not [begin, end]"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,-2]}})", "xy", "data_offsets is not [begin, end]"},
      {R"({"a":{"dtype":"U9","shape":[2],"data_offsets":[0,2]}})", "xy", "unknown dtype 'U9'"},
      {R"({"a":{"dtype":8,"shape":[2],"data_offsets":[0,2]}})", "xy", "dtype is not a string"},
      {R"({"a":{"dtype":"U8","data_offsets":[0,2]}})", "xy", "lacks shape"},
      {R"({"a":{"shape":[2],"data_offsets":[0,2]}})", "xy", "lacks dtype"},
      {R"({"a":{"dtype":"U8","shape":[2]}})", "xy", "lacks data_offsets"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"x":1}})", "xy", "unknown key 'x'"},
      {R"({"a":{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}})", "xy", "key 'dtype' appears twice"},
      {R"({"a":1})", "", "its entry is not an object"},
      {" {}", "", "does not start with '{'"},
      {"", "", "does not start with '{'"},
      {"{}x", "", "not a JSON object"},
      {"{\"a\xff\":1}", "", "not a JSON object"},
      {"{" + std::string(5000, '['), "", "not a JSON object"},
      {R"({"__metadata__":{"xxh3:a":"0000000000000000"},)" + a + "}", "xy", "the header does not match its checksum"},
  };
  for (const Case& c : cases) {
    std::string got = complaint(image(c.header, c.data));
    EXPECT_EQ(got.find("w.safetensors: "), 0u) << got;
    EXPECT_NE(got.find(c.reason), std::string::npos) << c.header << "\n  said: " << got << "\n  not:  " << c.reason;
  }
  EXPECT_NE(complaint("1234567").find("too few"), std::string::npos);
  EXPECT_NE(complaint(std::string(8, '\xff')).find("100 MB"), std::string::npos);
  EXPECT_NE(complaint(std::string("\x09\0\0\0\0\0\0\0{}", 10)).find("truncated"), std::string::npos);
}

TEST(Safetensors, AcceptsWhatTheFormatAllows) {
  EXPECT_EQ(complaint(image("{}   ", "")), "accepted");
  EXPECT_EQ(complaint(image(R"({"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})", "abcd")), "accepted");
  EXPECT_EQ(complaint(image(R"({"z":{"dtype":"F32","shape":[0,9223372036854775807],"data_offsets":[0,0]}})", "")), "accepted");
  EXPECT_EQ(complaint(image(
                R"({"a":{"data_offsets":[1,2],"shape":[1],"dtype":"U8"},"z":{"dtype":"U8","shape":[0],"data_offsets":[1,1]},)"
                R"("b":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}})",
                "xy")),
            "accepted");
}

TEST(Safetensors, WriterRefusesBrokenPromises) {
  auto with = [](TensorOut t) { return std::vector<TensorOut>{std::move(t)}; };
  Bytes four(reinterpret_cast<const uint8_t*>(kA), 4);
  EXPECT_THROW(safetensors_image(with({"a", "F32", {2}, four}), {}), Error);
  EXPECT_THROW(safetensors_image(with({"a", "F33", {1}, four}), {}), Error);
  EXPECT_THROW(safetensors_image(with({"a\xff", "F32", {1}, four}), {}), Error);
  EXPECT_THROW(safetensors_image(with({"__metadata__", "F32", {1}, four}), {}), Error);
  EXPECT_THROW(safetensors_image({{"a", "F32", {1}, four}, {"a", "F32", {1}, four}}, {}), Error);
  EXPECT_THROW(safetensors_image({}, {{"xxh3:a", "0"}}), Error);
}

// Written by safetensors 0.8.0 for Python (tests/golden/safetensors.py).
TEST(Safetensors, ReadsPythonsFile) {
  Safetensors s = Safetensors::open(DUET_SOURCE_DIR "/tests/golden/python.safetensors");
  EXPECT_FALSE(s.has_checksums());
  EXPECT_EQ(s.metadata().at("format"), "pt");
  EXPECT_EQ(s.metadata().at("말"), "고양이 \"quoted\"\n");
  float x[6];
  ASSERT_EQ(s.at("f32").bytes.size(), sizeof x);
  std::memcpy(x, s.at("f32").bytes.data(), sizeof x);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(x[i], i / 4.0f);
  EXPECT_EQ(s.at("scalar").shape.size(), 0u);
  EXPECT_EQ(s.at("empty").shape, (std::vector<int64_t>{0, 3}));
  EXPECT_EQ(s.at("bf16").dtype, "BF16");
  EXPECT_EQ(s.at("bf16").bytes[3], 0x40);  // 2.0 is 0x4000
  EXPECT_EQ(s.tensors().size(), 6u);
}

// A full disk, as far as a test can make one anywhere: a limit on the size of files.
TEST(Safetensors, FullDiskKeepsTheOldFile) {
  Folder folder;
  std::string path = folder / "a.safetensors";
  write_safetensors(path, sample());
  std::string before = read_file(path, 1 << 20);
  pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    std::vector<uint8_t> big(100'000);
    try {
      write_safetensors(path, {{"big", "U8", {100'000}, big}});
      ::_exit(1);
    } catch (const Error& e) {
      ::_exit(std::string(e.what()).find(path) == 0 ? 0 : 2);
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read_file(path, 1 << 20), before);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path), {}), 1) << "a temporary file was left";
}

TEST(Files, ReadFileRefusesWhatIsTooLarge) {
  Folder folder;
  write_file(folder / "x", "12345");
  EXPECT_EQ(read_file(folder / "x", 5), "12345");
  EXPECT_THROW(read_file(folder / "x", 4), Error);
  EXPECT_THROW(read_file(folder / "y", 4), Error);
  EXPECT_THROW(read_file("/dev/zero", 1 << 16), Error);
  EXPECT_THROW(read_file(folder.path.string(), 1 << 16), Error);
  EXPECT_THROW(Mapped(folder / "y"), Error);
  EXPECT_THROW(Mapped(folder.path.string()), Error);
  write_file(folder / "none", "");
  EXPECT_EQ(Mapped(folder / "none").bytes().size(), 0u);
  EXPECT_THROW(Safetensors::open(folder / "none"), Error);
}

}  // namespace
}  // namespace duet
