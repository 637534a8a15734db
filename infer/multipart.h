// The body of a form with files: multipart/form-data (RFC 7578). Takes hostile bytes.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace duet {

struct FormPart {
  std::string name, filename, type;
  bool file = false;      // has a filename, be it empty
  std::string_view body;  // into the bytes that were parsed
};

inline constexpr size_t kMostParts = 64, kMostPartHeader = 4096;

// content_type: the request's header, which names the boundary. Refuses (Error) what is damaged, cut short, or has more
// than kMostParts parts, a part without a name or with more than kMostPartHeader bytes of headers.
std::vector<FormPart> parse_multipart(std::string_view content_type, std::string_view body);

}  // namespace duet
