#include "train/fetch.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "kernels/error.h"
#include "kernels/files.h"

namespace duet {
namespace fs = std::filesystem;
namespace {

struct Outcome {
  int status;          // exit status; 127 when the program is not there
  std::string output;  // stdout and stderr together, the last 8 KiB
};

// No shell: arguments are passed as they are. Messages in English, so that the reason can be found in them.
Outcome run(const std::vector<std::string>& arguments, const std::string& folder) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) refuse("cannot start ", arguments[0], ": no pipe");
  std::vector<char*> argv;
  for (auto& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  pid_t child = fork();
  if (child < 0) refuse("cannot start ", arguments[0], ": no process");
  if (child == 0) {
    int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, 0);
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    setenv("LC_ALL", "C.UTF-8", 1);
    if (chdir(folder.c_str()) == 0) execvp(argv[0], argv.data());
    _exit(127);
  }
  close(ends[1]);
  Outcome r{127, ""};
  char buffer[4096];
  for (;;) {
    ssize_t n = read(ends[0], buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    r.output.append(buffer, size_t(n));
    if (r.output.size() > 16384) r.output.erase(0, r.output.size() - 8192);
  }
  close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) r.status = WEXITSTATUS(status);
  return r;
}

// apt ends with one or more lines "E: ..."; the first says the most.
std::string reason(const Outcome& r) {
  if (r.status == 127 && r.output.empty()) return "this machine has no apt-get or dpkg-deb (Debian or Ubuntu is needed)";
  size_t at = r.output.find("E: ");
  std::string line = at == std::string::npos ? r.output : r.output.substr(at + 3);
  line = line.substr(0, line.find('\n'));
  return line.empty() ? "exit status " + std::to_string(r.status) : line;
}

std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

// Package lists of our own, for machines whose lists are gone (containers) or too old to be served.
std::vector<std::string> own_lists(const fs::path& cache) {
  fs::create_directories(cache / ".apt/state/lists/partial");
  fs::create_directories(cache / ".apt/cache/archives/partial");
  return {"-o", "Dir::State::Lists=" + (cache / ".apt/state/lists").string(),
          "-o", "Dir::Cache=" + (cache / ".apt/cache").string(),
          "-o", "Debug::NoLocking=1"};
}

Outcome download(const std::string& name, const fs::path& into, const fs::path& cache) {
  auto apt = [&](std::vector<std::string> options, std::initializer_list<std::string> words) {
    options.insert(options.begin(), "apt-get");
    options.insert(options.end(), {"-q", "-o", "Acquire::Retries=2"});
    options.insert(options.end(), words);
    return run(options, into.string());
  };
  Outcome r = apt({}, {"download", name});
  if (r.status == 0 || r.status == 127) return r;
  auto lists = own_lists(cache);
  if (apt(lists, {"update"}).status != 0) return r;
  return apt(lists, {"download", name});
}

}  // namespace

std::string default_cache() {
  if (const char* x = std::getenv("XDG_CACHE_HOME"); x && *x) return (fs::path(x) / "duet/packages").string();
  if (const char* h = std::getenv("HOME"); h && *h) return (fs::path(h) / ".cache/duet/packages").string();
  return (fs::temp_directory_path() / "duet-packages").string();
}

Package fetch_package(const std::string& name, const std::string& cache) {
  CHECK(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789+-.") == std::string::npos && !name.empty(),
        "a package name, not '", name, "'");
  fs::path root = fs::absolute(cache.empty() ? default_cache() : cache), home = root / name;
  Package found{name, first_line(home / "version"), (home / "tree").string()};
  if (!found.version.empty() && fs::is_directory(found.tree)) return found;

  fs::path part = root / ("." + name + ".part");
  std::error_code failed;
  fs::remove_all(part, failed);
  fs::create_directories(part / "tree", failed);
  if (failed) refuse("cannot write the package cache ", root.string(), ": ", failed.message(), "; choose another with --cache");
  auto stop = [&](const std::string& why) {
    std::error_code ignored;
    fs::remove_all(part, ignored);
    refuse("cannot get the Debian package ", name, ": ", why, "; is there a network? (the unpacked package may also be put at ",
           found.tree, " with a line of its version in ", (home / "version").string(), ")");
  };
  Outcome r = download(name, part, root);
  if (r.status != 0) stop(reason(r));
  fs::path deb;
  for (auto& e : fs::directory_iterator(part)) {
    if (e.path().extension() == ".deb") deb = e.path();
  }
  if (deb.empty()) stop("apt-get download left no .deb file");
  r = run({"dpkg-deb", "-f", deb.string(), "Version"}, part.string());
  if (r.status != 0) stop(reason(r));
  std::string version = r.output.substr(0, r.output.find('\n')) + "\n";
  r = run({"dpkg-deb", "-x", deb.string(), (part / "tree").string()}, part.string());
  if (r.status != 0) stop("unpacking failed: " + reason(r));
  fs::remove(deb, failed);
  write_file((part / "version").string(), version);
  fs::remove_all(home, failed);
  fs::rename(part, home, failed);
  if (failed) stop(failed.message());
  found.version = first_line(home / "version");
  return found;
}

}  // namespace duet
