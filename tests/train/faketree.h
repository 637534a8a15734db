// Small stand-ins for Debian packages and pictures, made by the tests in a folder of their own.
#pragma once
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "kernels/error.h"
#include "vision/codec.h"

namespace duet {

// A folder that is gone when the test ends.
struct TestFolder {
  std::filesystem::path path;
  TestFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "duet-data-XXXXXX").string();
    path = mkdtemp(name.data());
  }
  ~TestFolder() { std::filesystem::remove_all(path); }
  std::string operator/(const std::string& rest) const { return (path / rest).string(); }
};

inline void put(const std::string& file, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(file).parent_path());
  std::ofstream(file, std::ios::binary) << text;
}

// A 40 x 40 cut-out that differs for every number: eight blocks of colour from the number's bits, a clear border.
inline Image picture(int number) {
  Image image(40, 40);
  uint32_t bits = uint32_t(number + 1) * 2654435761u;
  for (int y = 4; y < 36; y++) {
    for (int x = 4; x < 36; x++) {
      uint32_t block = uint32_t((y - 4) / 8 * 4 + (x - 4) / 8);
      uint8_t* p = image.at(x, y);
      p[0] = bits >> block & 1 ? 230 : 20, p[1] = bits >> (block + 16) % 32 & 1 ? 200 : 40, p[2] = uint8_t(number * 37);
      p[3] = 255;
    }
  }
  return image;
}

inline void put_png(const std::string& file, const Image& image) {
  auto png = encode_png(image);
  put(file, std::string(png.begin(), png.end()));
}

// CACHE/NAME as fetch_package leaves it; returns the tree.
inline std::string fake_package(const TestFolder& cache, const std::string& name) {
  put(cache / (name + "/version"), "1.0-test\n");
  std::filesystem::create_directories(cache / (name + "/tree"));
  return cache / (name + "/tree");
}

inline std::string slurp(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// What f refuses with, "": nothing.
inline std::string refusal(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

}  // namespace duet
