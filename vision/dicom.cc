#include "vision/dicom.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

#include "kernels/error.h"
#include "vision/dicom/wire.h"
#include "vision/formats.h"

namespace duet {
namespace fs = std::filesystem;
namespace {

constexpr auto kLongest = std::chrono::seconds(30);
constexpr uint64_t kMostWords = 1000;

struct Descriptor {
  int fd = -1;
  explicit Descriptor(int f) : fd(f) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }
  void close() {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
};

std::string helper() {
  std::error_code none;
  const fs::path beside = fs::read_symlink("/proc/self/exe", none).parent_path() / "duet-dicom";
  if (!fs::exists(beside, none))
    throw DicomUnavailable(join("DICOM needs the program duet-dicom beside this one, and ", beside.string(),
                                " is not there; './dev build' makes both"));
  return beside.string();
}

// A file without a name that holds the bytes; DCMTK checks lengths against a file's end, which it does not do in memory.
int nameless_file(std::span<const uint8_t> bytes, const std::string& name, const Limits& limits) {
  if (!is_dicom(bytes)) refuse(name, ": no DICOM file: 'DICM' is not at byte 128");
  if (int64_t(bytes.size()) > limits.max_bytes)
    refuse(name, ": ", bytes.size(), " bytes is more than is read here (", limits.max_bytes, "); make it smaller first");
  const int fd = memfd_create("dicom", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) refuse(name, ": no memory for a DICOM file: ", std::strerror(errno));
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t n = write(fd, bytes.data() + at, bytes.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      ::close(fd);
      refuse(name, ": no memory for a DICOM file of ", bytes.size(), " bytes");
    }
    at += size_t(n);
  }
  lseek(fd, 0, SEEK_SET);
  return fd;
}

class Child {
 public:
  Child(int file, int frame, const Limits& limits, const std::string& name) {
    const std::string program = helper();
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) refuse(name, ": no pipe for a DICOM file: ", std::strerror(errno));
    out_.fd = ends[0];
    Descriptor theirs(ends[1]);
    std::vector<std::string> words = {program, std::to_string(frame), std::to_string(limits.max_pixels),
                                      std::to_string(limits.max_side)};
    if (limits.window)
      for (const double v : {limits.window->center, limits.window->width}) words.push_back(fmt::format("{}", v));
    std::vector<char*> argv;
    for (auto& w : words) argv.push_back(w.data());
    argv.push_back(nullptr);
    char* env[] = {nullptr};
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, file, 0);
    posix_spawn_file_actions_adddup2(&files, theirs.fd, 1);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    const int failed = posix_spawn(&pid_, program.c_str(), &files, nullptr, argv.data(), env);
    posix_spawn_file_actions_destroy(&files);
    if (failed) throw DicomUnavailable(join(program, " cannot be started: ", std::strerror(failed)));
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { end(true); }

  // Exactly n bytes; false: it has ended before, or its time is over.
  bool read(void* to, uint64_t n) {
    for (auto* at = static_cast<uint8_t*>(to); n > 0;) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(until_ - std::chrono::steady_clock::now()).count();
      pollfd p{out_.fd, POLLIN, 0};
      const int ready = left > 0 ? poll(&p, 1, int(left)) : 0;
      if (ready < 0 && errno == EINTR) continue;
      if (ready <= 0) return late_ = true, false;
      const ssize_t got = ::read(out_.fd, at, size_t(n));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      at += got, n -= uint64_t(got);
    }
    return true;
  }
  // What ended it before it was done.
  [[noreturn]] void gone(const std::string& name) {
    const int status = end(late_);
    const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
      throw DicomUnavailable("duet-dicom does not run here; are the packages libdcmtk17 and libopenjp2-7 there?");
    throw DicomDied(join(name, ": the process that reads this DICOM file ",
                         late_ || signal == SIGXCPU ? "took too long; the file is damaged, or made to do harm"
                         : signal == SIGSYS
                             ? "did what it may not; the file is made to do harm, or a library is newer than duet"
                         : signal == SIGKILL ? "was ended; is there memory left?"
                                             : "broke down; the file is damaged, or made to do harm"));
  }

 private:
  // Its status. killed: it does not end by itself.
  int end(bool killed) {
    if (pid_ <= 0) return 0;
    if (killed) kill(pid_, SIGKILL);
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return status;
  }

  pid_t pid_ = 0;
  Descriptor out_{-1};
  std::chrono::steady_clock::time_point until_ = std::chrono::steady_clock::now() + kLongest;
  bool late_ = false;
};

// What comes first of the answer; refuses in the words of a refusal.
dicom::Head ask(Child& child, const std::string& name) {
  dicom::Head head;
  if (!child.read(&head, sizeof head) || head.magic != dicom::kMagic) child.gone(name);
  if (!head.refused) return head;
  std::string why(size_t(std::min(head.bytes, kMostWords)), ' ');
  if (!child.read(why.data(), why.size())) child.gone(name);
  for (char& c : why) c = c >= ' ' && c <= '~' ? c : '?';  // a file may have made it say anything
  if (head.refused == 2) throw DicomHoldsNone(name + ": " + why);
  refuse(name, ": ", why);
}
dicom::Head ask(Child&& child, const std::string& name) { return ask(child, name); }

}  // namespace

bool is_dicom(std::span<const uint8_t> bytes) { return bytes.size() >= 132 && std::memcmp(bytes.data() + 128, "DICM", 4) == 0; }

fs::path without_ending(const fs::path& path) {
  const bool ending = path.extension().string().find_first_not_of(".0123456789") != std::string::npos;
  return ending ? path.parent_path() / path.stem() : path;
}

bool names_dicom(const std::string& path) {
  std::string e = fs::path(path).extension().string();
  for (char& c : e) c = char(c >= 'A' && c <= 'Z' ? c + 32 : c);
  if (e == ".dcm" || e == ".dicom" || e == ".ima") return true;
  if (without_ending(path) != path || fs::path(path).filename() == "DICOMDIR") return false;
  std::ifstream file(path, std::ios::binary);
  uint8_t start[132] = {};
  file.read(reinterpret_cast<char*>(start), sizeof start);
  return file && is_dicom(start);
}

DicomHead read_dicom_head(std::span<const uint8_t> bytes, const std::string& name, const Limits& limits) {
  const Descriptor file(nameless_file(bytes, name, limits));
  const dicom::Head h = ask(Child(file.fd, -1, limits, name), name);
  if (h.frames < 1 || h.frames > bytes.size() * 8) refuse(name, ": ", h.frames, " frames in ", bytes.size(), " bytes");
  return {int(h.frames), h.patient, h.names_patient != 0, h.burned_in != 0};
}

Image decode_dicom(std::span<const uint8_t> bytes, const std::string& name, const Limits& limits, int frame) {
  if (frame < 0) refuse(name, ": frame ", frame, " is asked for; the first is 0");
  const Descriptor file(nameless_file(bytes, name, limits));
  Child child(file.fd, frame, limits, name);
  const dicom::Head head = ask(child, name);
  check_size(head.width, head.height, name, limits);
  const size_t N = size_t(head.width) * head.height, C = head.channels;
  if ((C != 1 && C != 3) || head.bytes != N * C) child.gone(name);
  std::vector<uint8_t> values(N * C);
  if (!child.read(values.data(), values.size())) child.gone(name);
  if (std::adjacent_find(values.begin(), values.end(), std::not_equal_to<>()) == values.end())
    refuse(name, ": all its pixels have one value",
           limits.window ? fmt::format(" through the window {}/{}; choose another, or leave it out", limits.window->center,
                                       limits.window->width)
                         : "; leave it out");
  Image image(int(head.width), int(head.height));
  for (size_t i = 0; i < N; ++i) {
    const uint8_t* v = &values[i * C];
    uint8_t* to = &image.rgba[i * 4];
    to[0] = v[0], to[1] = v[C / 2], to[2] = v[C - 1], to[3] = 255;
  }
  return image;
}

}  // namespace duet
