// Files, durably: read whole under a cap, map read-only, write beside and rename. Every error names the path.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace duet {

using Bytes = std::span<const uint8_t>;

inline Bytes as_bytes(std::string_view s) { return {reinterpret_cast<const uint8_t*>(s.data()), s.size()}; }
inline std::string_view as_text(Bytes b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }

uint64_t xxh3(Bytes);             // XXH3-64, seed 0
std::string hex64(uint64_t sum);  // 16 lower-case digits

// The whole file. Refuses one larger than max_bytes before allocating for it.
std::string read_file(const std::string& path, int64_t max_bytes);

struct Written {
  int64_t size = 0;
  uint64_t xxh3 = 0;
};

// Size and hash of a file, read in pieces (an unreadable sector is an error here; under a map it would be a signal).
Written hash_file(const std::string& path);

// Writes the parts one after the other to a new or emptied file and fsyncs it. Not atomic: for files inside a directory
// that is itself renamed into place (see sync_dir). On an error the file is removed.
Written write_synced(const std::string& path, std::span<const Bytes> parts);

// Replaces path atomically and durably: a reader sees the old bytes or the new ones, also after a power cut.
// Writes ".tmp-NAME-..." in the same folder, which is removed on an error (a killed process may leave it).
Written write_file(const std::string& path, std::span<const Bytes> parts);
Written write_file(const std::string& path, std::string_view text);

// Makes a folder and those above it; one that is there is left as it is. Refuses where that cannot be.
void make_folder(const std::string& path);

// Makes the names in a folder durable (after a rename, a creation or a removal in it).
void sync_dir(const std::string& path);

// A file mapped read-only. Move-only; the bytes live as long as the object.
// Shortening the file under a live map ends the process (SIGBUS): replace files by rename, as write_file does.
class Mapped {
 public:
  explicit Mapped(const std::string& path);
  ~Mapped();
  Mapped(Mapped&&) noexcept;
  Mapped& operator=(Mapped&&) = delete;
  Bytes bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

}  // namespace duet
