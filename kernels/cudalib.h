// NVIDIA's libraries, found when first needed, so that one program runs on machines with and without them.
#pragma once
#include <string>
#include <vector>

namespace duet {

// A shared library by its file names, the first that loads. Looked for in the folders of DUET_CUDA_LIBS (separated by
// colons), where the system's loader looks, in the CUDA toolkit's folders, and where Python packages put NVIDIA's
// libraries. Loaded once a name, and never unloaded.
class CudaLibrary {
 public:
  explicit CudaLibrary(const std::vector<std::string>& names);
  explicit operator bool() const { return handle_ != nullptr; }
  const std::string& path() const { return path_; }  // the file that was loaded
  const std::string& why() const { return why_; }    // where it was not: one line for a person
  template <class F>
  F get(const char* symbol) const {
    return reinterpret_cast<F>(find(symbol));
  }

 private:
  void* find(const char* symbol) const;  // refuses where the library lacks it
  void* handle_ = nullptr;
  std::string path_, why_;
};

}  // namespace duet
