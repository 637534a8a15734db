#include "text/corpus.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "kernels/error.h"

namespace duet {

void for_each_line(const std::string& path, const std::function<void(std::string_view)>& f) {
  constexpr size_t kMaxLine = size_t{16} << 20;
  bool standard = path == "-";
  std::unique_ptr<FILE, void (*)(FILE*)> file(standard ? stdin : std::fopen(path.c_str(), "rb"), [](FILE* p) {
    if (p && p != stdin) std::fclose(p);
  });
  if (!file) refuse(path, ": cannot open it: ", std::strerror(errno), "; is the path right?");

  std::vector<char> block(1 << 18);
  std::string line;
  size_t number = 1;
  auto add = [&](std::string_view part) {
    if (line.size() + part.size() > kMaxLine)
      refuse(path, ": line ", number, " is longer than ", kMaxLine >> 20, " MiB; is this a text file?");
    line += part;
  };
  auto finish = [&] {
    std::string_view text = line;
    if (number == 1 && text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    if (text.ends_with('\r')) text.remove_suffix(1);
    f(text);
    line.clear();
    ++number;
  };
  while (size_t n = std::fread(block.data(), 1, block.size(), file.get())) {
    std::string_view rest(block.data(), n);
    for (size_t end; (end = rest.find('\n')) != rest.npos; rest.remove_prefix(end + 1)) {
      add(rest.substr(0, end));
      finish();
    }
    add(rest);
  }
  if (std::ferror(file.get())) refuse(path, ": cannot read it: ", std::strerror(errno));
  if (!line.empty()) finish();
}

}  // namespace duet
