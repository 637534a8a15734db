#include "train/tensorboard.h"

#include <array>
#include <bit>
#include <cstring>

namespace duet {
namespace {

constexpr std::array<uint32_t, 256> kCrcTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
    table[i] = c;
  }
  return table;
}();

template <class T>
std::string raw(T value) {  // little-endian, as this machine and the format are
  static_assert(std::endian::native == std::endian::little);
  std::string s(sizeof value, '\0');
  std::memcpy(s.data(), &value, sizeof value);
  return s;
}

// Protobuf's wire format: a key is field number and kind, 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes.
std::string varint(uint64_t n) {
  std::string s;
  for (; n >= 128; n >>= 7) s += char(n | 128);
  return s += char(n);
}
std::string field(int number, int kind, const std::string& payload) { return varint(number << 3 | kind) + payload; }
std::string field_bytes(int number, std::string_view bytes) {
  return field(number, 2, varint(bytes.size()) + std::string(bytes));
}

std::string masked(std::string_view bytes) { return raw(std::rotr(crc32c(bytes), 15) + 0xa282ead8u); }

// Event: wall_time = 1, step = 2, file_version = 3, summary = 5, session_log = 7.
std::string record(double time, int64_t step, const std::string& what) {
  std::string event = field(1, 1, raw(time)) + (step ? field(2, 0, varint(step)) : "") + what;  // 0 is the default
  std::string length = raw(uint64_t(event.size()));
  return length + masked(length) + event + masked(event);
}

// Summary: value = 1; Summary.Value: tag = 1, simple_value = 2, image = 4.
std::string summary(std::string_view tag, const std::string& value) {
  return field_bytes(5, field_bytes(1, field_bytes(1, tag) + value));
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t c = ~0u;
  for (unsigned char b : bytes) c = kCrcTable[(c ^ b) & 255] ^ c >> 8;
  return ~c;
}

std::string event_version(double time) { return record(time, 0, field_bytes(3, "brain.Event:2")); }

// SessionLog: status = 1, START = 1.
std::string event_restart(double time, int64_t step) { return record(time, step, field_bytes(7, field(1, 0, varint(1)))); }

std::string event_scalar(double time, int64_t step, std::string_view tag, float value) {
  return record(time, step, summary(tag, field(2, 5, raw(value))));
}

// Image: height = 1, width = 2, colorspace = 3 (4: RGBA), encoded_image_string = 4.
std::string event_image(double time, int64_t step, std::string_view tag, int height, int width, std::string_view png) {
  std::string image = field(1, 0, varint(height)) + field(2, 0, varint(width)) + field(3, 0, varint(4));
  return record(time, step, summary(tag, field_bytes(4, image + field_bytes(4, png))));
}

}  // namespace duet
