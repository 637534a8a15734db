#include "infer/base64.h"

#include <array>

namespace duet {
namespace {

constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<int8_t, 256> kValue = [] {
  std::array<int8_t, 256> v{};
  v.fill(-1);
  for (size_t i = 0; i < 64; ++i) v[uint8_t(kDigits[i])] = int8_t(i);
  return v;
}();

}  // namespace

std::string to_base64(std::span<const uint8_t> b) {
  std::string out;
  out.reserve((b.size() + 2) / 3 * 4);
  for (size_t i = 0; i < b.size(); i += 3) {
    const size_t n = std::min<size_t>(3, b.size() - i);
    uint32_t bits = uint32_t(b[i]) << 16;
    if (n > 1) bits |= uint32_t(b[i + 1]) << 8;
    if (n > 2) bits |= b[i + 2];
    for (size_t d = 0; d < 4; ++d) out += d <= n ? kDigits[bits >> (18 - 6 * d) & 63] : '=';
  }
  return out;
}

std::optional<std::vector<uint8_t>> from_base64(std::string_view s) {
  std::vector<uint8_t> out;
  out.reserve(s.size() / 4 * 3);
  uint32_t bits = 0;
  size_t digits = 0, pads = 0;
  for (const char c : s) {
    if (c == '\r' || c == '\n') continue;
    if (c == '=') {
      ++pads;
      continue;
    }
    if (pads > 0 || kValue[uint8_t(c)] < 0) return std::nullopt;
    bits = bits << 6 | uint32_t(kValue[uint8_t(c)]);
    if (++digits % 4 == 0) out.push_back(uint8_t(bits >> 16)), out.push_back(uint8_t(bits >> 8)), out.push_back(uint8_t(bits));
  }
  const size_t rest = digits % 4;
  if (rest == 1 || (pads > 0 && (rest == 0 || pads != 4 - rest))) return std::nullopt;
  if (rest == 2) out.push_back(uint8_t(bits >> 4));
  if (rest == 3) out.push_back(uint8_t(bits >> 10)), out.push_back(uint8_t(bits >> 2));
  return out;
}

}  // namespace duet
