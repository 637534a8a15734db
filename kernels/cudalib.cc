#include "kernels/cudalib.h"

#include <dlfcn.h>
#include <glob.h>

#include <cstdlib>
#include <sstream>

#include "kernels/error.h"

namespace duet {

// Folders by pattern, after those of DUET_CUDA_LIBS.
static const char* const kFolders[] = {
    "/usr/local/cuda/lib64",
    "/usr/local/cuda-*/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/opt/*/.venv/lib/python3*/site-packages/nvidia/*/lib",
    "/usr/lib/python3/dist-packages/nvidia/*/lib",
    "/usr/local/lib/python3*/*-packages/nvidia/*/lib",
};

static std::vector<std::string> folders() {
  std::vector<std::string> out;
  for (const char* pattern : kFolders) {
    glob_t g{};
    if (glob(pattern, GLOB_ONLYDIR, nullptr, &g) == 0) out.insert(out.end(), g.gl_pathv, g.gl_pathv + g.gl_pathc);
    globfree(&g);
  }
  return out;
}

CudaLibrary::CudaLibrary(const std::vector<std::string>& names) {
  std::vector<std::string> files;
  if (const char* own = std::getenv("DUET_CUDA_LIBS")) {
    std::istringstream list(own);
    for (std::string dir; std::getline(list, dir, ':');)
      for (const auto& n : names) files.push_back(dir + "/" + n);
  }
  files.insert(files.end(), names.begin(), names.end());
  for (const auto& dir : folders())
    for (const auto& n : names) files.push_back(dir + "/" + n);
  for (const auto& f : files) {
    handle_ = dlopen(f.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (!handle_) continue;
    path_ = f;
    return;
  }
  why_ = names.at(0) + " was not found; install it, or name its folder in DUET_CUDA_LIBS";
}

void* CudaLibrary::find(const char* symbol) const {
  void* p = handle_ ? dlsym(handle_, symbol) : nullptr;
  if (!p) refuse(handle_ ? path_ + ": has no " + symbol + "; another version of it is needed" : why_);
  return p;
}

}  // namespace duet
