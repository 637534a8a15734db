// The table behind text/korean.h.
#pragma once
#include <span>
#include <string_view>

namespace duet {

struct KoreanMessage {
  std::string_view english, korean;
};
std::span<const KoreanMessage> korean_messages();

}  // namespace duet
