// Text carried inside a PNG: the tEXt, zTXt and iTXt chunks (PNG specification, third edition, section 11.3.3).
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace duet {

struct PngText {
  std::string key;    // 1..79 bytes of printable ASCII, no space at either end, for example "parameters"
  std::string value;  // UTF-8 without NUL
  bool operator==(const PngText&) const = default;
};

// All texts in file order, as UTF-8. Unpacks at most 4 MiB in all; refuses what is not a PNG or is damaged.
std::vector<PngText> read_png_text(std::span<const uint8_t> png, const std::string& name = "PNG");

// Throws if a text cannot be stored (see PngText). True if `value` can be a tEXt chunk, which holds Latin-1 only.
void check_png_text(const PngText& text);
bool fits_latin1(const std::string& utf8);
std::string utf8_to_latin1(const std::string& utf8);

}  // namespace duet
