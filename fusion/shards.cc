#include "fusion/shards.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <locale.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "kernels/error.h"
#include "kernels/files.h"
#include "text/unicode.h"

namespace duet {
namespace fs = std::filesystem;
namespace {

constexpr const char* kBadName = "file name is not plain UTF-8";

// dir/base.EXT -> key dir/base, extension EXT in lower case; both empty when there is no dot or no base.
std::pair<std::string, std::string> split_key(const std::string& path) {
  size_t base = path.rfind('/') == std::string::npos ? 0 : path.rfind('/') + 1;
  size_t dot = path.find('.', base);
  if (dot == std::string::npos || dot == base || dot + 1 == path.size()) return {};
  std::string ext = path.substr(dot + 1);
  for (char& c : ext)
    if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
  return {path.substr(0, dot), ext};
}

bool plain_name(const std::string& s) {
  return valid_utf8(s) && std::none_of(s.begin(), s.end(), [](unsigned char c) { return c < 32 || c == 127; });
}

std::string error_text(archive* a) {
  const char* text = archive_error_string(a);
  return text ? text : "unknown error";
}

// libarchive spells names by the thread's locale, and in "C" it cannot spell (the pax writer even crashes on) a Korean
// name. For this object's life the thread speaks UTF-8; nothing else of the program's locale changes.
class Utf8Names {
 public:
  Utf8Names() : before_(uselocale(utf8())) {}
  ~Utf8Names() { uselocale(before_); }

 private:
  static locale_t utf8() {
    static const locale_t it = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    CHECK(it, "the locale C.UTF-8, part of libc-bin");
    return it;
  }
  locale_t before_;
};

struct Reader {
  archive* a = archive_read_new();
  Reader() { CHECK(a, "memory for a tar reader"); }
  ~Reader() { archive_read_free(a); }
};

// The bytes of the current entry where they lie in `tar`; false when they are not there in one piece (a sparse file).
bool entry_bytes(archive* a, std::span<const uint8_t> tar, int64_t size, std::span<const uint8_t>* out,
                 const std::string& where) {
  const uint8_t* begin = nullptr;
  int64_t have = 0;
  while (true) {
    const void* block;
    size_t n;
    la_int64_t offset;
    int rc = archive_read_data_block(a, &block, &n, &offset);
    if (rc == ARCHIVE_EOF) break;
    if (rc != ARCHIVE_OK)
      refuse(where, ": cannot be read (", error_text(a), "); the tar is damaged or cut short, copy it again");
    if (n == 0) continue;
    auto p = static_cast<const uint8_t*>(block);
    bool inside = p >= tar.data() && p + n <= tar.data() + tar.size();
    if (!inside || offset != have || (begin && p != begin + have)) return false;
    if (!begin) begin = p;
    have += n;
  }
  if (have != size) return false;
  *out = {begin, size_t(have)};
  return true;
}

}  // namespace

std::vector<ShardView> index_shard(std::span<const uint8_t> tar, const std::string& name, const ShardLimits& limits) {
  Utf8Names names;
  Reader r;
  archive_read_support_format_tar(r.a);
  if (tar.empty()) refuse(name, ": empty file, not a tar; build or copy it again");
  if (archive_read_open_memory(r.a, tar.data(), tar.size()) != ARCHIVE_OK) refuse(name, ": not a tar (", error_text(r.a), ")");

  std::vector<ShardView> out;
  for (int64_t entries = 0;; entries++) {
    archive_entry* e;
    int rc = archive_read_next_header(r.a, &e);
    if (rc == ARCHIVE_EOF) break;
    // A warning stands for a name that is not UTF-8, which is looked at below.
    if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
      refuse(name, ": byte ", archive_read_header_position(r.a), ": ", error_text(r.a),
             "; the tar is damaged or cut short, copy it again");
    if (entries >= limits.entries) refuse(name, ": more than ", limits.entries, " files in one tar; split it");
    if (archive_entry_filetype(e) != AE_IFREG || archive_entry_hardlink(e)) continue;

    const char* path = archive_entry_pathname(e);
    if (!path) {
      out.push_back({"(unreadable name)", {}, kBadName});
      continue;
    }
    auto [key, ext] = split_key(path);
    if (key.empty()) continue;
    std::string fault;
    std::span<const uint8_t> bytes;
    int64_t size = archive_entry_size(e);
    std::string where = join(name, ": byte ", archive_read_header_position(r.a), ": ", ext, " of a sample");
    if (!plain_name(key) || !plain_name(ext)) fault = kBadName;
    else if (size > limits.entry_bytes) fault = join("file over ", limits.entry_bytes >> 20, " MiB");
    else if (!entry_bytes(r.a, tar, size, &bytes, where)) fault = "sparse file";

    if (out.empty() || out.back().key != key) out.push_back({key, {}, {}});
    ShardView& v = out.back();
    if (fault.empty() && !v.parts.emplace(ext, bytes).second) fault = "two files with extension " + ext;
    if (v.fault.empty()) v.fault = fault;
  }
  return out;
}

void read_shard(const std::string& path, const std::function<void(ShardSample&&)>& each,
                const std::function<void(const std::string&, const std::string&)>& bad) {
  Mapped tar(path);
  for (ShardView& v : index_shard(tar.bytes(), path)) {
    if (v.fault.empty()) {
      ShardSample s{v.key, {}};
      for (auto& [ext, part] : v.parts) s.parts[ext].assign(part.begin(), part.end());
      each(std::move(s));
    } else if (bad) {
      bad(v.key, v.fault);
    }
  }
}

std::vector<std::string> list_shards(const std::string& path) {
  std::vector<std::string> out;
  std::error_code ec;
  if (fs::is_directory(path, ec)) {
    for (auto& f : fs::directory_iterator(path))
      if (f.path().extension() == ".tar" && f.is_regular_file()) out.push_back(f.path().string());
    std::sort(out.begin(), out.end());
    if (out.empty()) refuse(path, ": no .tar in this folder; `duet data build ... --out` makes them");
    return out;
  }
  size_t open = path.find('{'), close = path.find('}', open == std::string::npos ? 0 : open);
  if (open == std::string::npos || close == std::string::npos) {
    if (!fs::is_regular_file(path, ec)) refuse(path, ": no such shard or folder");
    return {path};
  }
  std::string head = path.substr(0, open), body = path.substr(open + 1, close - open - 1), tail = path.substr(close + 1);
  std::vector<std::string> middles;
  size_t dots = body.find("..");
  if (dots != std::string::npos) {
    std::string a = body.substr(0, dots), b = body.substr(dots + 2);
    auto number = [](const std::string& s) {
      return !s.empty() && s.size() <= 9 && std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
    };
    if (!number(a) || !number(b) || std::stol(a) > std::stol(b) || std::stol(b) - std::stol(a) >= 100'000)
      refuse(path, ": expected {FIRST..LAST} with at most 100000 numbers, such as {000000..000042}");
    for (long i = std::stol(a); i <= std::stol(b); i++) {
      std::string n = std::to_string(i);
      middles.push_back(std::string(a.size() > n.size() ? a.size() - n.size() : 0, '0') + n);
    }
  } else {
    for (size_t at = 0; at <= body.size();) {
      size_t comma = std::min(body.find(',', at), body.size());
      middles.push_back(body.substr(at, comma - at));
      at = comma + 1;
    }
  }
  for (auto& m : middles) {
    auto part = list_shards(head + m + tail);
    out.insert(out.end(), part.begin(), part.end());
  }
  return out;
}

// ---- writing ----

ShardWriter::ShardWriter(std::string dir, std::string prefix, int64_t max_samples_per_shard)
    : dir_(std::move(dir)), prefix_(std::move(prefix)), max_(max_samples_per_shard) {
  CHECK(max_ > 0, "samples per shard: ", max_);
  std::error_code ec;
  fs::create_directories(dir_, ec);
  if (ec) refuse(dir_, ": cannot make this folder (", ec.message(), ")");
}

ShardWriter::~ShardWriter() {
  if (archive_) archive_write_free(static_cast<archive*>(archive_));
  if (!part_.empty()) unlink(part_.c_str());
}

void ShardWriter::open() {
  std::string number = std::to_string(files_.size());
  files_.push_back(dir_ + "/" + prefix_ + std::string(number.size() < 6 ? 6 - number.size() : 0, '0') + number + ".tar");
  part_ = files_.back() + ".part";
  Utf8Names names;
  archive* a = archive_write_new();
  CHECK(a, "memory for a tar writer");
  archive_ = a;
  archive_write_set_format_pax_restricted(a);
  archive_write_set_options(a, "hdrcharset=UTF-8");
  if (archive_write_open_filename(a, part_.c_str()) != ARCHIVE_OK) refuse(part_, ": cannot be written (", error_text(a), ")");
}

void ShardWriter::close() {
  if (!archive_) return;
  archive* a = static_cast<archive*>(archive_);
  bool ok = archive_write_close(a) == ARCHIVE_OK;
  std::string why = ok ? "" : error_text(a);
  archive_write_free(a);
  archive_ = nullptr;
  if (ok) {
    int fd = ::open(part_.c_str(), O_RDONLY | O_CLOEXEC);
    ok = fd >= 0 && fsync(fd) == 0;
    if (!ok) why = strerror(errno);
    if (fd >= 0) ::close(fd);
  }
  if (ok && rename(part_.c_str(), files_.back().c_str()) != 0) ok = false, why = strerror(errno);
  if (!ok) refuse(files_.back(), ": cannot be written (", why, "); free some space or choose another folder");
  part_.clear();
  in_shard_ = 0;
}

void ShardWriter::add(const ShardSample& s) {
  for (auto& [ext, bytes] : s.parts) {
    auto [key, e] = split_key(s.key + "." + ext);
    if (key != s.key || e != ext || !plain_name(key) || !plain_name(ext) || ext.find('/') != std::string::npos)
      refuse(dir_, ": sample '", s.key, ".", ext, "': a key has no dot in its last part, an extension is lower case");
  }
  if (s.parts.empty()) refuse(dir_, ": sample '", s.key, "' has no parts");
  if (in_shard_ == max_) close();
  if (!archive_) open();
  Utf8Names names;
  archive* a = static_cast<archive*>(archive_);
  for (auto& [ext, bytes] : s.parts) {
    std::unique_ptr<archive_entry, void (*)(archive_entry*)> e(archive_entry_new(), archive_entry_free);
    archive_entry_set_pathname_utf8(e.get(), (s.key + "." + ext).c_str());
    archive_entry_set_filetype(e.get(), AE_IFREG);
    archive_entry_set_perm(e.get(), 0644);
    archive_entry_set_size(e.get(), bytes.size());
    archive_entry_set_mtime(e.get(), 0, 0);
    archive_entry_set_uid(e.get(), 0);
    archive_entry_set_gid(e.get(), 0);
    if (archive_write_header(a, e.get()) < ARCHIVE_WARN ||
        archive_write_data(a, bytes.data(), bytes.size()) != la_ssize_t(bytes.size()))
      refuse(part_, ": cannot be written (", error_text(a), "); free some space or choose another folder");
  }
  in_shard_++;
  samples_++;
}

void ShardWriter::finish() { close(); }

}  // namespace duet
