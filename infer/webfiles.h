// The web page, carried inside the program: the files of assets/web, turned into webfiles.cc when the program is built
// (assets/webfiles.cmake).
#pragma once
#include <string_view>

namespace duet {

struct WebFile {
  std::string_view path;  // as it is asked for: "/style.css"
  std::string_view mime;  // Content-Type, with its charset
  std::string_view body;
  std::string_view etag;  // of the content, quoted as the ETag header wants it (RFC 9110, 8.8.3)
};

// "/" is index.html; null: no such file. What it points to lives as long as the program.
const WebFile* web_file(std::string_view path);

}  // namespace duet
