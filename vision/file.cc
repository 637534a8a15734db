// read_file and write_file_atomic of codec.h.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "kernels/error.h"
#include "vision/codec.h"

namespace duet {
namespace {

struct Fd {
  int fd;
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
};

}  // namespace

std::vector<uint8_t> read_file(const std::string& path, int64_t max_bytes) {
  Fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat st {};
  if (file.fd < 0 || ::fstat(file.fd, &st) != 0) refuse(path, ": cannot open: ", std::strerror(errno));
  if (S_ISDIR(st.st_mode)) refuse(path, ": this is a folder; name a file");
  auto too_long = [&] { refuse(path, ": the file is longer than the ", max_bytes, " bytes that are read here"); };
  if (st.st_size > max_bytes) too_long();
  // A pipe has no size, and a file may grow while it is read: the size is a hint, the limit is counted.
  std::vector<uint8_t> bytes(S_ISREG(st.st_mode) ? size_t(st.st_size) + 1 : size_t(1) << 16);
  size_t filled = 0;
  for (;;) {
    ssize_t n = ::read(file.fd, bytes.data() + filled, bytes.size() - filled);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) refuse(path, ": cannot read: ", std::strerror(errno));
    if (n == 0) break;
    filled += size_t(n);
    if (int64_t(filled) > max_bytes) too_long();
    if (filled == bytes.size()) bytes.resize(bytes.size() * 2);
  }
  bytes.resize(filled);
  return bytes;
}

void write_file_atomic(const std::string& path, std::span<const uint8_t> bytes) {
  static std::atomic<unsigned> counter{0};
  size_t slash = path.rfind('/');
  std::string folder = slash == std::string::npos ? "" : path.substr(0, slash + 1);
  std::string beside = join(folder, ".duet-", ::getpid(), "-", counter++, ".tmp");
  auto give_up = [&](int error) {
    ::unlink(beside.c_str());
    const char* mend = error == ENOSPC || error == EDQUOT ? "; free some space or write somewhere else"
                       : error == ENOENT                  ? "; create the folder first"
                                                          : "";
    refuse(path, ": cannot write: ", std::strerror(error), mend);
  };
  {
    Fd file{::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)};
    if (file.fd < 0) give_up(errno);
    for (size_t done = 0; done < bytes.size();) {
      ssize_t n = ::write(file.fd, bytes.data() + done, bytes.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) give_up(errno);
      done += size_t(n);
    }
    if (::fsync(file.fd) != 0) give_up(errno);
    // Some file systems report a failed write only here.
    if (::close(std::exchange(file.fd, -1)) != 0) give_up(errno);
  }
  if (::rename(beside.c_str(), path.c_str()) != 0) give_up(errno);
  // The rename itself survives a power cut once the folder is on disk; where folders cannot be synced, it is best effort.
  Fd dir{::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (dir.fd >= 0) ::fsync(dir.fd);
}

}  // namespace duet
