#include "kernels/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/error.h"

namespace duet {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse_errno(const std::string& path, const char* what) {
  int e = errno;
  refuse(path, ": cannot ", what, ": ", std::strerror(e), e == ENOSPC || e == EDQUOT ? "; free some space and try again" : "");
}

// A descriptor that closes itself.
struct Fd {
  int fd;
  Fd(const std::string& path, int flags) {
    do fd = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
    while (fd < 0 && errno == EINTR);
  }
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
};

class Hash {
 public:
  Hash() { XXH3_64bits_reset(state_.get()); }
  void add(Bytes b) { XXH3_64bits_update(state_.get(), b.data(), b.size()); }
  uint64_t sum() const { return XXH3_64bits_digest(state_.get()); }

 private:
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_{XXH3_createState(), XXH3_freeState};
};

size_t read_some(int fd, std::span<uint8_t> to, const std::string& path) {
  ssize_t n;
  do n = ::read(fd, to.data(), to.size());
  while (n < 0 && errno == EINTR);
  if (n < 0) refuse_errno(path, "read");
  return n;
}

void write_all(int fd, Bytes bytes, const std::string& path) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), std::min<size_t>(bytes.size(), 1 << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) refuse_errno(path, "write");
    bytes = bytes.subspan(n);
  }
}

}  // namespace

uint64_t xxh3(Bytes b) { return XXH3_64bits(b.data(), b.size()); }

std::string hex64(uint64_t sum) { return fmt::format("{:016x}", sum); }

std::string read_file(const std::string& path, int64_t max_bytes) {
  Fd file(path, O_RDONLY);
  struct stat st;
  if (file.fd < 0 || ::fstat(file.fd, &st) < 0) refuse_errno(path, "open");
  auto too_large = [&] { refuse(path, ": larger than the ", max_bytes, " bytes allowed here"); };
  if (st.st_size > max_bytes) too_large();
  // Pipes and /proc files say size 0: read until the end whatever was promised.
  std::string text(st.st_size + 1, '\0');
  size_t have = 0;
  for (;;) {
    size_t n = read_some(file.fd, {reinterpret_cast<uint8_t*>(text.data()) + have, text.size() - have}, path);
    if (n == 0) break;
    have += n;
    if (int64_t(have) > max_bytes) too_large();
    if (have == text.size()) text.resize(std::min<size_t>(have * 2 + 4096, max_bytes + 1));
  }
  text.resize(have);
  return text;
}

Written hash_file(const std::string& path) {
  Fd file(path, O_RDONLY);
  if (file.fd < 0) refuse_errno(path, "open");
  std::vector<uint8_t> piece(1 << 20);
  Hash hash;
  Written read;
  while (size_t n = read_some(file.fd, piece, path)) {
    hash.add({piece.data(), n});
    read.size += n;
  }
  read.xxh3 = hash.sum();
  return read;
}

Written write_synced(const std::string& path, std::span<const Bytes> parts) {
  Hash hash;
  Written written;
  Fd file(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (file.fd < 0) refuse_errno(path, "create");
  try {
    for (Bytes part : parts) {
      write_all(file.fd, part, path);
      hash.add(part);
      written.size += part.size();
    }
    if (::fsync(file.fd) < 0) refuse_errno(path, "fsync");
    // Some file systems report a failed write only here.
    if (::close(std::exchange(file.fd, -1)) < 0) refuse_errno(path, "close");
  } catch (...) {
    ::unlink(path.c_str());
    throw;
  }
  written.xxh3 = hash.sum();
  return written;
}

Written write_file(const std::string& path, std::span<const Bytes> parts) {
  static std::atomic<int> serial{0};
  fs::path target(path);
  fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  std::string beside = (folder / fmt::format(".tmp-{}-{}-{}", target.filename().string(), ::getpid(), serial++)).string();
  Written written;
  try {
    written = write_synced(beside, parts);
  } catch (const Error& e) {
    refuse(path, ": not written (", e.what(), ")");
  }
  if (::rename(beside.c_str(), path.c_str()) < 0) {
    int e = errno;
    ::unlink(beside.c_str());
    errno = e;
    refuse_errno(path, "replace");
  }
  sync_dir(folder.string());
  return written;
}

Written write_file(const std::string& path, std::string_view text) {
  Bytes part = as_bytes(text);
  return write_file(path, std::span<const Bytes>(&part, 1));
}

void make_folder(const std::string& path) {
  std::error_code why;
  fs::create_directories(path, why);
  if (!why && fs::is_directory(path, why)) return;
  refuse(path, ": cannot make this folder: ", why ? why.message() : "a file of this name is there",
         "; name another, or make it where you may write");
}

void sync_dir(const std::string& path) {
  Fd dir(path, O_RDONLY | O_DIRECTORY);
  if (dir.fd < 0) refuse_errno(path, "open the folder");
  // Some network file systems cannot sync a folder and say EINVAL: nothing more can be done there.
  if (::fsync(dir.fd) < 0 && errno != EINVAL) refuse_errno(path, "fsync the folder");
}

Mapped::Mapped(const std::string& path) {
  Fd file(path, O_RDONLY);
  struct stat st;
  if (file.fd < 0 || ::fstat(file.fd, &st) < 0) refuse_errno(path, "open");
  if (!S_ISREG(st.st_mode)) refuse(path, ": is not a plain file");
  if (st.st_size == 0) return;
  void* at = ::mmap(nullptr, st.st_size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (at == MAP_FAILED) refuse_errno(path, "map");
  bytes_ = {static_cast<const uint8_t*>(at), size_t(st.st_size)};
}

Mapped::Mapped(Mapped&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

Mapped::~Mapped() {
  if (!bytes_.empty()) ::munmap(const_cast<uint8_t*>(bytes_.data()), bytes_.size());
}

}  // namespace duet
