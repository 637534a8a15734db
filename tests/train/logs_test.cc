#include "train/logs.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>

#include "kernels/error.h"
#include "kernels/files.h"
#include "train/progress.h"
#include "train/tensorboard.h"

namespace duet {
namespace {

namespace fs = std::filesystem;

struct Folder {
  std::string path = (fs::temp_directory_path() / ("duet-logs-" + std::to_string(::getpid()))).string();
  Folder() { fs::remove_all(path); }
  ~Folder() { fs::remove_all(path); }
  // The lines of the log without their times.
  std::vector<std::string> lines() const {
    std::ifstream in(path + "/log.jsonl");
    std::vector<std::string> all;
    for (std::string line; std::getline(in, line);) {
      size_t time = line.find(", \"time\": "), end = line.find_first_of(",}", time + 2);
      all.push_back(line.substr(0, time) + line.substr(end));
    }
    return all;
  }
  std::vector<std::string> events() const {
    std::vector<std::string> all;
    for (const auto& e : fs::directory_iterator(path))
      if (e.path().filename().string().starts_with("events.out.tfevents.")) all.push_back(e.path().string());
    std::sort(all.begin(), all.end());
    return all;
  }
};

TEST(RunLog, WritesOneLineAStep) {
  Folder folder;
  {
    RunLog log(folder.path);
    log.scalars(1, {{"loss", 2.5}, {"lr", 1e-3}});
    log.scalar(2, "bad", std::nan(""));
    log.line(3, "{\"sample\": \"그림\\n.png\",\n \"n\": [1, 2]}");
    EXPECT_THROW(log.line(4, "[1]"), Error);
    EXPECT_THROW(log.line(4, "{\"a\": }"), Error);
    log.flush();
  }
  EXPECT_EQ(folder.lines(), (std::vector<std::string>{R"({"step": 1, "loss": 2.5, "lr": 0.001})", R"({"step": 2, "bad": null})",
                                                      R"({"step": 3, "sample": "그림\n.png", "n": [1,2]})"}));
}

TEST(RunLog, ResumeDropsLaterRecordsAndTornLines) {
  Folder folder;
  {
    RunLog log(folder.path);
    for (int step = 1; step <= 5; ++step) log.scalar(step, "x", step);
  }
  std::ofstream(folder.path + "/log.jsonl", std::ios::app) << "{\"step\": 6, \"ti";
  { RunLog log(folder.path); }
  EXPECT_EQ(folder.lines().size(), 5u) << "no step given: only the torn line goes";
  {
    RunLog log(folder.path, 3);
    log.scalar(4, "x", 40);
  }
  EXPECT_EQ(folder.lines(), (std::vector<std::string>{R"({"step": 1, "x": 1.0})", R"({"step": 2, "x": 2.0})",
                                                      R"({"step": 3, "x": 3.0})", R"({"step": 4, "x": 40.0})"}));
  EXPECT_EQ(folder.events().size(), 3u) << "every start has an event file of its own";
}

TEST(RunLog, SaysWhereItCannotWrite) {
  try {
    RunLog log("/proc/nothing");
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("/proc/nothing/log.jsonl: cannot open"), std::string::npos) << e.what();
  }
}

TEST(TensorBoard, Crc32c) {  // RFC 3720, B.4, and the usual check word
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  std::string up;
  for (int i = 0; i < 32; ++i) up += char(i);
  EXPECT_EQ(crc32c(up), 0x46dd794eu);
  EXPECT_EQ(crc32c(""), 0u);
}

std::string hex(std::string_view s) {
  std::string out;
  for (unsigned char c : s) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", c);
    out += two;
  }
  return out;
}

// The same record from TensorBoard's own writer (2.21: EventFileWriter, wall_time 1.5, step 300, tag "loss", 2.5).
TEST(TensorBoard, SameBytesAsItsOwnWriter) {
  EXPECT_EQ(hex(event_scalar(1.5, 300, "loss", 2.5f)),
            "1b000000000000001a0d9e1309000000000000f83f10ac022a0d0a0b0a046c6f7373150000204068997c51");
  EXPECT_EQ(hex(event_version(1.5)), "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c");
  EXPECT_EQ(hex(event_restart(1.5, 4)), "0f000000000000006d532b0909000000000000f83f10043a020801d0b789e7");
}

TEST(Progress, DurationsAndColumns) {
  EXPECT_EQ(duration_text(0.4), "0s");
  EXPECT_EQ(duration_text(59.6), "1m00s");
  EXPECT_EQ(duration_text(3599.9), "1h00m");
  EXPECT_EQ(duration_text(2 * 3600 + 7 * 60), "2h07m");
  EXPECT_EQ(duration_text(3 * 86400 + 4 * 3600), "3d04h");
  EXPECT_EQ(duration_text(std::numeric_limits<double>::infinity()), "?");
  EXPECT_EQ(duration_text(-1), "?");
  EXPECT_EQ(fit_columns("abc", 2), "ab");
  EXPECT_EQ(fit_columns("a고양이", 4), "a고");
  EXPECT_EQ(fit_columns("é🐈x", 3), "é🐈");
  EXPECT_EQ(fit_columns("", 0), "");
}

TEST(Progress, PlainLinesWhereThereIsNoTerminal) {
  std::FILE* file = std::tmpfile();
  {
    ProgressLine line(file, 1000);
    for (int i = 0; i < 5; ++i) line.update("step " + std::to_string(i));
    line.message("saved");
    line.update("step 5");
  }
  std::rewind(file);
  char text[200] = {};
  text[std::fread(text, 1, sizeof text - 1, file)] = 0;
  std::fclose(file);
  EXPECT_STREQ(text, "step 0\nsaved\nstep 5\n");
}

TEST(Progress, OneLineOnATerminal) {
  int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0) GTEST_SKIP() << "this machine gives no pseudo-terminals (/dev/pts is not mounted)";
  ASSERT_EQ(::grantpt(master) | ::unlockpt(master), 0);
  std::FILE* terminal = std::fopen(::ptsname(master), "w");
  ASSERT_TRUE(terminal);
  {
    ProgressLine line(terminal);
    for (int i = 0; i < 5; ++i) line.update("step " + std::to_string(i));
    line.message("saved");
  }
  const std::string want = "\rstep 0\x1b[K\r\x1b[Ksaved\r\n\rstep 4\x1b[K\r\n";
  std::string text;
  while (text.size() < want.size()) {  // a terminal may give it in pieces
    char piece[200];
    pollfd ready{master, POLLIN, 0};
    const ssize_t n = ::poll(&ready, 1, 60000) > 0 ? ::read(master, piece, sizeof piece) : 0;
    if (n <= 0) break;
    text.append(piece, size_t(n));
  }
  std::fclose(terminal);
  ::close(master);
  EXPECT_EQ(text, want);
}

}  // namespace
}  // namespace duet
