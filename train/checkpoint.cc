#include "train/checkpoint.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <simdjson.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <set>

#include "kernels/error.h"
#include "kernels/quote.h"

namespace duet {
namespace {

namespace fs = std::filesystem;

constexpr const char *kMarker = "COMPLETE", *kTemporary = ".tmp-";
constexpr int64_t kMostMarker = 1 << 20;

std::string folder_name(int64_t step) { return fmt::format("step-{:08d}", step); }

bool parse_step(std::string_view name, int64_t& step) {
  if (!name.starts_with("step-")) return false;
  name.remove_prefix(5);
  auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), step);
  return error == std::errc() && end == name.data() + name.size() && step >= 0;
}

// Steps that have a folder, newest first.
std::vector<int64_t> steps_in(const std::string& root) {
  std::vector<int64_t> steps;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    int64_t step;
    if (parse_step(entry.path().filename().string(), step)) steps.push_back(step);
  }
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

struct Listed {
  std::string name;
  int64_t size;
  std::string xxh3;
};

// The marker, checked against the folder: every file there with its size. The contents are another matter.
std::vector<Listed> read_marker(const fs::path& folder) {
  std::string path = (folder / kMarker).string();
  if (!fs::exists(path)) refuse(folder.string(), ": has no ", kMarker, " file: the save was cut short");
  std::string text = read_file(path, kMostMarker);
  auto bad = [&](const std::string& why) { refuse(path, ": ", why); };
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  simdjson::dom::array files;
  int64_t step;
  if (parser.parse(text).get(root)) bad("is not JSON");
  if (root["step"].get(step) || step != checkpoint_step(folder.string())) bad("'step' is not that of the folder");
  if (root["files"].get(files)) bad("lacks the list 'files'");
  std::vector<Listed> list;
  for (auto entry : files) {
    std::string_view name, sum;
    int64_t size;
    if (entry["name"].get(name) || entry["size"].get(size) || entry["xxh3"].get(sum))
      bad("an entry of 'files' lacks name, size or xxh3");
    if (name.empty() || name.find('/') != name.npos) bad("an entry of 'files' is not a plain name");
    std::string file = (folder / std::string(name)).string();
    struct stat st;
    if (::stat(file.c_str(), &st) < 0) refuse(file, ": is missing");
    if (st.st_size != size) refuse(file, ": has ", st.st_size, " bytes instead of ", size);
    list.push_back({std::string(name), size, std::string(sum)});
  }
  return list;
}

void remove_tree(const fs::path& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

struct Removed {
  fs::path path;
  ~Removed() { remove_tree(path); }
};

// Renamed first: a folder half removed must not pass for a checkpoint.
void purge(const fs::path& root, int64_t step) {
  fs::path away = root / fmt::format("{}purge-{}-{}", kTemporary, folder_name(step), ::getpid());
  std::error_code error;
  fs::rename(root / folder_name(step), away, error);
  if (!error) remove_tree(away);
}

// Puts the finished folder in its place. What stood there before ends up under the temporary name.
void install(const fs::path& beside, const fs::path& place) {
  if (fs::exists(place)) {
    if (::renameat2(AT_FDCWD, beside.c_str(), AT_FDCWD, place.c_str(), RENAME_EXCHANGE) == 0) return;
    // Not every file system can exchange: the old one steps aside first.
    fs::path old = beside.string() + "-old";
    if (::rename(place.c_str(), old.c_str()) < 0) refuse(place.string(), ": cannot move aside: ", std::strerror(errno));
    if (::rename(beside.c_str(), place.c_str()) == 0) return remove_tree(old);
    int e = errno;
    ::rename(old.c_str(), place.c_str());
    refuse(place.string(), ": cannot put in place: ", std::strerror(e));
  }
  if (::rename(beside.c_str(), place.c_str()) < 0) refuse(place.string(), ": cannot put in place: ", std::strerror(errno));
}

bool is_complete(const fs::path& folder) {
  try {
    read_marker(folder);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

int64_t checkpoint_step(const std::string& folder) {
  int64_t step = -1;
  CHECK(parse_step(fs::path(folder).filename().string(), step), "a checkpoint folder is called step-N: ", folder);
  return step;
}

void clean_checkpoints(const std::string& root) {
  std::error_code error;
  std::vector<fs::path> stale;
  for (const auto& entry : fs::directory_iterator(root, error))
    if (entry.path().filename().string().starts_with(kTemporary)) stale.push_back(entry.path());
  for (const fs::path& path : stale) remove_tree(path);
}

void save_checkpoint(const std::string& root, int64_t step, const std::vector<CheckpointFile>& files, int keep) {
  CHECK(step >= 0 && keep >= 1, "step ", step, ", keep ", keep);
  fs::path place = fs::path(root) / folder_name(step);
  fs::path beside = fs::path(root) / fmt::format("{}{}-{}", kTemporary, folder_name(step), ::getpid());
  std::error_code error;
  if (fs::create_directories(root, error)) sync_dir(fs::absolute(fs::path(root)).parent_path().string());
  remove_tree(beside);
  Removed after{beside};  // a failed save, or what an exchange took out
  if (!fs::create_directory(beside, error)) refuse(beside.string(), ": cannot create: ", error.message());
  try {
    std::string marker = fmt::format("{{\"step\":{},\"files\":[", step);
    std::set<std::string> names;
    for (const CheckpointFile& file : files) {
      CHECK(!file.name.empty() && file.name[0] != '.' && file.name.find('/') == std::string::npos && file.name != kMarker &&
                names.insert(file.name).second,
            "a plain file name, once: ", shown(file.name));
      std::vector<Bytes> parts = file.image ? file.image->parts() : std::vector<Bytes>{file.bytes};
      Written w = write_synced((beside / file.name).string(), parts);
      marker += fmt::format("{}{{\"name\":{},\"size\":{},\"xxh3\":\"{}\"}}", names.size() > 1 ? "," : "",
                            json_string(file.name), w.size, hex64(w.xxh3));
    }
    marker += "]}\n";
    Bytes part = as_bytes(marker);
    write_synced((beside / kMarker).string(), {&part, 1});
    sync_dir(beside.string());
    install(beside, place);
  } catch (const Error& e) {
    refuse(place.string(), ": checkpoint not saved (", e.what(), "); the earlier ones are untouched");
  }
  sync_dir(root);

  int complete = 0;
  for (int64_t s : steps_in(root)) {
    if (complete >= keep && s != step) purge(root, s);
    else complete += s == step || is_complete(fs::path(root) / folder_name(s));
  }
}

void verify_checkpoint(const std::string& folder) {
  for (const Listed& file : read_marker(folder)) {
    std::string path = (fs::path(folder) / file.name).string();
    if (hex64(hash_file(path).xxh3) == file.xxh3) continue;
    if (file.name.ends_with(".safetensors")) Safetensors::open(path);  // knows which tensor
    refuse(path, ": does not match its checksum");
  }
}

std::optional<std::string> newest_checkpoint(const std::string& root, const std::function<void(const std::string&)>& warn) {
  std::vector<int64_t> steps = steps_in(root);
  for (int64_t step : steps) {
    std::string folder = (fs::path(root) / folder_name(step)).string();
    try {
      verify_checkpoint(folder);
      return folder;
    } catch (const Error& e) {
      std::string line = join("skipping a damaged checkpoint: ", e.what());
      if (warn) warn(line);
      else std::fprintf(stderr, "warning: %s\n", line.c_str());
    }
  }
  if (!steps.empty())
    refuse(root, ": none of its ", steps.size(), " checkpoints is whole; restore one, or start again in an empty folder");
  return std::nullopt;
}

}  // namespace duet
