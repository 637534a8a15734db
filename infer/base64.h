// Base64 (RFC 4648, section 4).
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace duet {

std::string to_base64(std::span<const uint8_t>);

// With or without its = at the end; line breaks are passed over. None for anything else.
std::optional<std::vector<uint8_t>> from_base64(std::string_view);

}  // namespace duet
