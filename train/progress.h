// One line about a long job: rewritten in place on a terminal, printed now and then elsewhere.
#pragma once
#include <chrono>
#include <cstdio>
#include <string>

namespace duet {

class ProgressLine {
 public:
  // every: seconds between two lines where the stream is not a terminal (there, at most ten updates a second are drawn).
  explicit ProgressLine(std::FILE* out = stderr, double every = 10);
  ~ProgressLine();  // finish()

  void update(const std::string& text);   // cheap to call at every step; the first and, at the end, the last are shown
  void message(const std::string& text);  // a line that stays, above the moving one
  void finish();                          // shows the last update and ends the line

 private:
  void draw();

  std::FILE* out_;
  bool terminal_;
  std::chrono::duration<double> every_;
  std::chrono::steady_clock::time_point drawn_{};
  std::string text_;
  bool pending_ = false, open_ = false;  // text_ not yet shown; a line on the terminal lacks its end
};

std::string duration_text(double seconds);  // "45s", "3m05s", "2h07m", "3d04h"

// The start of UTF-8 text that fits so many terminal columns (East Asian and emoji take two).
std::string fit_columns(const std::string& text, int columns);

}  // namespace duet
