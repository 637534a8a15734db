// Text from outside made fit to print: in an error line, or inside JSON.
#pragma once
#include <string>
#include <string_view>

namespace duet {

// 'text' in single quotes, control bytes and broken UTF-8 as \xNN, at most 120 bytes of it. For error lines.
std::string shown(std::string_view text);

// A JSON string literal with its double quotes. Bytes that are not UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

// The shortest JSON (and TOML) number that reads back as the same double (float); always with a point or an exponent.
// value must be finite.
std::string json_number(double value);
std::string json_number(float value);

}  // namespace duet
