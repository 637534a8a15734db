#include "train/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "kernels/error.h"

namespace duet {
namespace {

namespace fs = std::filesystem;

struct Root {
  std::string path;
  explicit Root(const fs::path& in = fs::temp_directory_path())
      : path((in / ("duet-checkpoint-" + std::to_string(::getpid()))).string()) {
    fs::remove_all(path);
  }
  ~Root() { fs::remove_all(path); }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& e : fs::directory_iterator(path)) all.push_back(e.path().filename().string());
    std::sort(all.begin(), all.end());
    return all;
  }
  fs::path operator/(const std::string& name) const { return fs::path(path) / name; }
};

// A checkpoint whose contents tell its step.
void save(const std::string& root, int64_t step, int keep, int64_t value = -1) {
  std::vector<int64_t> data(500, value < 0 ? step : value);
  Bytes raw(reinterpret_cast<const uint8_t*>(data.data()), data.size() * 8);
  SafetensorsImage image = safetensors_image({{"w", "I64", {500}, raw}, {"v", "I64", {500}, raw}}, {});
  std::string state = "step " + std::to_string(step);
  save_checkpoint(root, step, {{"weights.safetensors", {}, &image}, {"state.json", as_bytes(state)}, {"none", {}}}, keep);
}

int64_t value_in(const std::string& folder) {
  Safetensors s = Safetensors::open(folder + "/weights.safetensors");
  int64_t value;
  std::memcpy(&value, s.at("w").bytes.data(), 8);
  EXPECT_EQ(read_file(folder + "/state.json", 100), "step " + std::to_string(checkpoint_step(folder)));
  return value;
}

struct Found {
  std::string folder;
  std::vector<std::string> warnings;
};
Found newest(const std::string& root) {
  Found found;
  found.folder = newest_checkpoint(root, [&](const std::string& w) { found.warnings.push_back(w); }).value_or("");
  return found;
}

void flip(const fs::path& path, int64_t byte, int mask) {
  std::fstream f(path, std::ios::in | std::ios::out | std::ios::binary);
  f.seekg(byte);
  char c = f.get();
  f.seekp(byte);
  f.put(c ^ mask);
}

TEST(Checkpoint, SavesFindsAndKeepsTheNewest) {
  Root root;
  EXPECT_FALSE(newest_checkpoint(root.path)) << "no folder yet";
  for (int step : {5, 10, 15, 20}) save(root.path, step, 2);
  EXPECT_EQ(root.names(), (std::vector<std::string>{"step-00000015", "step-00000020"}));
  Found found = newest(root.path);
  EXPECT_TRUE(found.warnings.empty());
  EXPECT_EQ(checkpoint_step(found.folder), 20);
  EXPECT_EQ(value_in(found.folder), 20);
}

TEST(Checkpoint, SameStepIsReplaced) {
  Root root;
  save(root.path, 5, 1, 111);
  save(root.path, 5, 1, 222);
  EXPECT_EQ(value_in(newest(root.path).folder), 222);
  EXPECT_EQ(root.names(), std::vector<std::string>{"step-00000005"});
}

TEST(Checkpoint, AnOlderStepIsKeptWhenJustSaved) {
  Root root;
  save(root.path, 100, 1);
  save(root.path, 50, 1);
  EXPECT_EQ(root.names(), (std::vector<std::string>{"step-00000050", "step-00000100"}));
}

TEST(Checkpoint, IncompleteOnesDoNotCountAsKept) {
  Root root;
  save(root.path, 1, 3);
  save(root.path, 2, 3);
  fs::remove(root / "step-00000002" / "COMPLETE");
  save(root.path, 3, 2);
  EXPECT_EQ(root.names().size(), 3u) << "step 1 is the second whole one";
}

TEST(Checkpoint, FallsBackSayingWhatIsWrong) {
  struct Case {
    const char* reason;
    std::function<void(const fs::path&)> damage;
  };
  const Case cases[] = {
      {"has no COMPLETE file", [](const fs::path& f) { fs::remove(f / "COMPLETE"); }},
      {"state.json: is missing", [](const fs::path& f) { fs::remove(f / "state.json"); }},
      {"state.json: has 3 bytes instead of 6", [](const fs::path& f) { fs::resize_file(f / "state.json", 3); }},
      {"state.json: does not match its checksum", [](const fs::path& f) { flip(f / "state.json", 5, 1); }},
      {"weights.safetensors: tensor 'w' does not match",
       [](const fs::path& f) { flip(f / "weights.safetensors", fs::file_size(f / "weights.safetensors") - 1, 64); }},
      {"COMPLETE: is not JSON", [](const fs::path& f) { fs::resize_file(f / "COMPLETE", 40); }},
      {"COMPLETE: 'step' is not that of the folder", [](const fs::path& f) { flip(f / "COMPLETE", 8, 1); }},
  };
  for (const Case& c : cases) {
    Root root;
    save(root.path, 4, 3);
    save(root.path, 8, 3);
    c.damage(root / "step-00000008");
    Found found = newest(root.path);
    EXPECT_EQ(found.folder, (root / "step-00000004").string());
    ASSERT_EQ(found.warnings.size(), 1u) << c.reason;
    EXPECT_NE(found.warnings[0].find(c.reason), std::string::npos) << found.warnings[0];
    EXPECT_NE(found.warnings[0].find("step-00000008"), std::string::npos) << found.warnings[0];
  }
}

TEST(Checkpoint, OnlyDamagedOnesIsAnError) {
  Root root;
  save(root.path, 4, 3);
  flip(root / "step-00000004" / "weights.safetensors", 3000, 1);
  EXPECT_THROW(newest(root.path), Error) << "starting from nothing without a word would lose the run";
}

TEST(Checkpoint, EveryFlippedBitIsFound) {
  Root root;
  save(root.path, 1, 1);
  std::mt19937 random(7);
  fs::path folder = root / "step-00000001";
  for (const char* name : {"weights.safetensors", "COMPLETE"}) {
    int64_t bits = fs::file_size(folder / name) * 8 - (name[0] == 'C' ? 8 : 0);  // not the marker's last line feed
    for (int i = 0; i < 1500; ++i) {
      int64_t bit = random() % bits;
      flip(folder / name, bit / 8, 1 << (bit % 8));
      EXPECT_THROW(verify_checkpoint(folder.string()), Error) << name << " bit " << bit;
      flip(folder / name, bit / 8, 1 << (bit % 8));
    }
  }
  verify_checkpoint(folder.string());
}

// 200 processes killed while saving: there is always a whole checkpoint, never older than the last one known to be saved.
// In memory where possible: a kill cannot show what fsync is for, and saves that take no time are killed in more places.
TEST(Checkpoint, SurvivesKillAtAnyMoment) {
  Root root(::access("/dev/shm", W_OK) == 0 ? fs::path("/dev/shm") : fs::temp_directory_path());
  save(root.path, 1, 2);
  int64_t* saved = static_cast<int64_t*>(::mmap(nullptr, 8, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  *saved = 1;
  std::mt19937 random(1);
  int in_the_middle = 0;
  for (int trial = 0; trial < 200; ++trial) {
    pid_t child = ::fork();
    if (child == 0) {
      clean_checkpoints(root.path);
      for (int64_t step = *saved + 1;; ++step) {
        save(root.path, step, 2);
        save(root.path, step, 2);  // replacing is a path of its own
        *saved = step;
      }
    }
    ::usleep(random() % 8000);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    for (const std::string& name : root.names()) in_the_middle += name.starts_with(".tmp-");
    Found found = newest(root.path);
    ASSERT_FALSE(found.folder.empty());
    EXPECT_TRUE(found.warnings.empty()) << found.warnings[0];
    EXPECT_GE(checkpoint_step(found.folder), *saved);
    EXPECT_EQ(value_in(found.folder), checkpoint_step(found.folder));
  }
  EXPECT_GT(in_the_middle, 20) << "the kills did not fall into saves: the test shows nothing";
  EXPECT_GT(*saved, 20);
  clean_checkpoints(root.path);
  for (const std::string& name : root.names()) EXPECT_TRUE(name.starts_with("step-")) << name;
  ::munmap(saved, 8);
}

// A full disk, as far as a test can make one anywhere: a limit on the size of files, met at every point of the save.
TEST(Checkpoint, FullDiskLeavesTheOldOneAlone) {
  Root root;
  save(root.path, 1, 1);
  for (rlim_t limit : {0, 10, 100, 4096, 8000}) {
    pid_t child = ::fork();
    if (child == 0) {
      ::signal(SIGXFSZ, SIG_IGN);
      rlimit most{limit, limit};
      ::setrlimit(RLIMIT_FSIZE, &most);
      try {
        save(root.path, 2, 1);
        ::_exit(1);
      } catch (const Error& e) {
        ::_exit(std::strstr(e.what(), "checkpoint not saved") ? 0 : 2);
      }
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0) << limit;
    EXPECT_EQ(root.names(), std::vector<std::string>{"step-00000001"});
    EXPECT_EQ(value_in(newest(root.path).folder), 1);
  }
}

TEST(Checkpoint, RefusesNamesThatAreNotPlain) {
  Root root;
  for (const char* name : {"", ".x", "a/b", "COMPLETE"})
    EXPECT_THROW(save_checkpoint(root.path, 1, {{name, {}}}, 1), Error) << name;
  EXPECT_THROW(save_checkpoint(root.path, 1, {{"a", {}}, {"a", {}}}, 1), Error);
  EXPECT_TRUE(root.names().empty());
}

}  // namespace
}  // namespace duet
