#include "kernels/quote.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "kernels/error.h"

namespace duet {

std::string shown(std::string_view text) {
  constexpr size_t kMost = 120;
  bool utf8 = simdjson::validate_utf8(text.data(), text.size());
  std::string out = "'";
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char c = text[i];
    bool starts = (c & 0xc0) != 0x80;  // cut only between characters
    if (i >= kMost && starts) {
      out += "...";
      break;
    }
    if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8)) out += fmt::format("\\x{:02x}", c);
    else out += char(c);
  }
  return out + "'";
}

std::string json_string(std::string_view text) {
  using Json = nlohmann::json;
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <class T>
static std::string number(T value) {
  CHECK(std::isfinite(value), "JSON has no way to write ", value);
  std::string s = fmt::format("{}", value);
  return s.find_first_of(".e") == std::string::npos ? s + ".0" : s;
}

std::string json_number(double value) { return number(value); }
std::string json_number(float value) { return number(value); }

}  // namespace duet
