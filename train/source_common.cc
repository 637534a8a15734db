#include <algorithm>
#include <filesystem>

#include "kernels/error.h"
#include "kernels/files.h"
#include "train/sources.h"
#include "train/words.h"
#include "vision/codec.h"
#include "vision/svg.h"

namespace duet {
namespace fs = std::filesystem;
namespace {

using Find = void (*)(const SourceOptions&, const Sink&, SourceReport&);
const std::pair<const char*, Find> kBuiltin[] = {
    {"emoji", find_emoji},       {"stamps", find_stamps}, {"clipart", find_clipart},
    {"cartoons", find_cartoons}, {"icons", find_icons},   {"emojione", find_emojione},
    {"flags", find_flags},       {"themes", find_themes}, {"scenes", find_scenes},
};

}  // namespace

void leave_out(SourceReport& report, const std::string& reason, const std::string& which) {
  constexpr int64_t kNamed = 5;
  if (++report.dropped[reason] <= kNamed) report.examples.push_back(reason + ": " + which);
}

std::string builtin_sources() {
  std::string names;
  for (auto& b : kBuiltin) names += (names.empty() ? "" : ", ") + std::string(b.first);
  return names;
}

bool is_table_source(const std::string& name) { return name.starts_with("table:"); }

bool is_builtin_source(const std::string& name) {
  for (auto& b : kBuiltin) {
    if (name == b.first) return true;
  }
  return false;
}

void find_source(const std::string& name, const SourceOptions& options, const Sink& sink, SourceReport& report) {
  report.name = name;
  for (auto& b : kBuiltin) {
    if (name == b.first) return b.second(options, sink, report);
  }
  if (is_table_source(name)) return find_table(name.substr(6), options, sink, report);
  find_own(name, options.own, sink, report);
}

Image draw_file(const std::string& path, int size) {
  if (lower_ascii(fs::path(path).extension().string()) != ".svg") return load_image(path);
  // Drawn larger than asked, so that trimming and the final area average keep fine lines.
  return render_svg(as_bytes(read_file(path, 8 << 20)), path, 3 * size);
}

std::vector<std::string> files_below(const std::string& folder, const std::vector<std::string>& extensions) {
  std::error_code failed;
  if (!fs::is_directory(folder, failed)) refuse("no folder ", folder, "; the package does not hold what was expected");
  std::vector<std::string> files;
  for (auto it = fs::recursive_directory_iterator(folder, failed); !failed && it != fs::end(it); it.increment(failed)) {
    std::string extension = lower_ascii(it->path().extension().string());
    bool wanted = std::find(extensions.begin(), extensions.end(), extension) != extensions.end();
    if (wanted && !it->is_symlink() && it->is_regular_file())
      files.push_back(fs::relative(it->path(), folder).generic_string());
  }
  if (failed) refuse(folder, ": ", failed.message());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace duet
