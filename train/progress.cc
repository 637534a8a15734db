#include "train/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace duet {

std::string duration_text(double seconds) {
  if (!(seconds >= 0 && seconds < 1e9)) return "?";
  int64_t s = std::llround(seconds);
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}m{:02}s", s / 60, s % 60);
  if (s < 86400) return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
  return fmt::format("{}d{:02}h", s / 86400, s / 3600 % 24);
}

std::string fit_columns(const std::string& text, int columns) {
  size_t i = 0;
  while (i < text.size()) {
    unsigned char c = text[i];
    // From U+1100 on, three- and four-byte characters are taken for wide: better a column too few than a wrapped line.
    size_t length = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    int wide = (length == 3 && (c > 0xe1 || (c == 0xe1 && i + 1 < text.size() && uint8_t(text[i + 1]) >= 0x84))) || length == 4;
    if ((columns -= 1 + wide) < 0) break;
    i = std::min(i + length, text.size());
  }
  return text.substr(0, i);
}

ProgressLine::ProgressLine(std::FILE* out, double every)
    : out_(out), terminal_(::isatty(::fileno(out))), every_(terminal_ ? 0.1 : every) {}

ProgressLine::~ProgressLine() { finish(); }

void ProgressLine::draw() {
  if (terminal_) {
    winsize size{};
    int columns = ::ioctl(::fileno(out_), TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 79;
    std::fprintf(out_, "\r%s\x1b[K", fit_columns(text_, columns).c_str());
    open_ = true;
  } else {
    std::fprintf(out_, "%s\n", text_.c_str());
  }
  std::fflush(out_);
  drawn_ = std::chrono::steady_clock::now();
  pending_ = false;
}

void ProgressLine::update(const std::string& text) {
  text_ = text;
  pending_ = true;
  bool first = drawn_ == std::chrono::steady_clock::time_point{};
  if (first || std::chrono::steady_clock::now() - drawn_ >= every_) draw();
}

void ProgressLine::message(const std::string& text) {
  std::fprintf(out_, open_ ? "\r\x1b[K%s\n" : "%s\n", text.c_str());
  if (open_) draw();
  std::fflush(out_);
}

void ProgressLine::finish() {
  if (pending_) draw();
  if (open_) std::fputc('\n', out_);
  open_ = false;
  std::fflush(out_);
}

}  // namespace duet
