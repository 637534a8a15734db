// The log of a run, twice: "log.jsonl" for programs, a TensorBoard event file for people. Both only ever grow.
//   {"step": 120, "time": 1700000000.123, "loss": 2.5, "lr": 0.001}
#pragma once
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace duet {

class RunLog {
 public:
  // Appends to the log in dir (made if absent); a last line torn by a kill is dropped. When a run resumes after 'resumed'
  // steps, records of later steps are dropped too, and TensorBoard is told to forget them: they will come again.
  explicit RunLog(const std::string& dir, std::optional<int64_t> resumed = {});
  ~RunLog();
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  // One line and one event per value. JSON has no nan or inf: they are null in log.jsonl, themselves in TensorBoard.
  void scalars(int64_t step, const std::vector<std::pair<std::string, double>>& values);
  void scalar(int64_t step, const std::string& name, double value) { scalars(step, {{name, value}}); }
  // Further fields, as the text of a JSON object: {"sample": "grid-000120.png"}. Only in log.jsonl.
  void line(int64_t step, std::string_view json);
  // A picture, as a PNG file's bytes. Only in TensorBoard.
  void image(int64_t step, const std::string& name, int height, int width, std::string_view png);

  void flush();  // hands all records to the system; throws, naming the file, where one could not be written

 private:
  void write(std::FILE* file, const std::string& path, std::string_view bytes);

  std::string lines_path_, events_path_;
  std::FILE *lines_ = nullptr, *events_ = nullptr;
};

}  // namespace duet
