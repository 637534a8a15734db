#include "train/logs.h"

#include <fmt/format.h>
#include <simdjson.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "kernels/error.h"
#include "kernels/files.h"
#include "kernels/quote.h"
#include "train/tensorboard.h"

namespace duet {
namespace {

namespace fs = std::filesystem;

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

std::string head(int64_t step) { return fmt::format("{{\"step\": {}, \"time\": {:.3f}", step, now()); }

// Rewrites the log without torn lines and without records past the step; leaves a good log untouched.
void trim(const std::string& path, int64_t last_step) {
  std::ifstream in(path, std::ios::binary);
  std::string line, kept;
  simdjson::dom::parser parser;
  bool changed = false;
  while (std::getline(in, line)) {
    bool torn = in.eof();  // no line feed at its end
    int64_t step = 0;
    bool keep = !torn && parser.parse(line).get_object()["step"].get(step) == simdjson::SUCCESS && step <= last_step;
    if (keep) kept += line + "\n";
    changed |= !keep;
  }
  if (changed) write_file(path, kept);
}

}  // namespace

RunLog::RunLog(const std::string& dir, std::optional<int64_t> resumed) {
  std::error_code error;
  fs::create_directories(dir, error);
  lines_path_ = (fs::path(dir) / "log.jsonl").string();
  trim(lines_path_, resumed.value_or(std::numeric_limits<int64_t>::max()));

  // A name of its own for each start; the reader takes the files of a folder in the order of their names.
  char host[256] = "host";
  ::gethostname(host, sizeof host - 1);
  int64_t serial = int64_t(now());
  do events_path_ = (fs::path(dir) / fmt::format("events.out.tfevents.{}.{}.{}", serial++, host, ::getpid())).string();
  while (fs::exists(events_path_));

  lines_ = std::fopen(lines_path_.c_str(), "ae");
  if (!lines_) refuse(lines_path_, ": cannot open: ", std::strerror(errno));
  events_ = std::fopen(events_path_.c_str(), "wbe");
  if (!events_) {
    int e = errno;
    std::fclose(lines_);
    refuse(events_path_, ": cannot create: ", std::strerror(e));
  }
  write(events_, events_path_, event_version(now()));
  if (resumed) write(events_, events_path_, event_restart(now(), *resumed + 1));
}

RunLog::~RunLog() {
  std::fclose(lines_);
  std::fclose(events_);
}

void RunLog::write(std::FILE* file, const std::string& path, std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size()) refuse(path, ": cannot write: ", std::strerror(errno));
}

void RunLog::scalars(int64_t step, const std::vector<std::pair<std::string, double>>& values) {
  std::string text = head(step);
  for (const auto& [name, value] : values) {
    text += ", " + json_string(name) + ": " + (std::isfinite(value) ? json_number(value) : "null");
    write(events_, events_path_, event_scalar(now(), step, name, float(value)));
  }
  write(lines_, lines_path_, text + "}\n");
}

void RunLog::line(int64_t step, std::string_view json) {
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  CHECK(!parser.parse(simdjson::padded_string(json)).get(object), "the text of a JSON object: ", shown(json));
  std::string text = head(step);
  // Minified: a line must not hold a line feed.
  for (auto [key, value] : object) text += ", " + json_string(key) + ": " + simdjson::minify(value);
  write(lines_, lines_path_, text + "}\n");
}

void RunLog::image(int64_t step, const std::string& name, int height, int width, std::string_view png) {
  write(events_, events_path_, event_image(now(), step, name, height, width, png));
}

void RunLog::flush() {
  for (auto [file, path] : {std::pair(lines_, &lines_path_), std::pair(events_, &events_path_)})
    if (std::fflush(file) != 0) refuse(*path, ": cannot write: ", std::strerror(errno));
}

}  // namespace duet
