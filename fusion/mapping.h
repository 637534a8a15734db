// A whole file as read-only bytes, mapped: nothing is read before it is touched.
#pragma once
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "kernels/error.h"

namespace duet {

class Mapping {
 public:
  explicit Mapping(const std::string& path) {  // refuses what cannot be opened
    int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat st {};
    bool ok = fd >= 0 && fstat(fd, &st) == 0;
    if (ok && st.st_size > 0) data_ = mmap(nullptr, size_t(st.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
    std::string why = strerror(errno);
    if (fd >= 0) ::close(fd);
    if (!ok || data_ == MAP_FAILED) refuse(path, ": cannot be opened (", why, ")");
    size_ = size_t(st.st_size);
  }
  ~Mapping() {
    if (size_ > 0) munmap(data_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  std::span<const uint8_t> bytes() const { return {static_cast<const uint8_t*>(data_), size_}; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace duet
