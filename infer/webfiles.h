// The web page: files that the program carries inside.
#pragma once
#include <string_view>

namespace duet {

struct WebFile {
  std::string_view path, mime, body, etag;
};
const WebFile* web_file(std::string_view path);  // "/" is index.html; null: none

}  // namespace duet
