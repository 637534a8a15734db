// The card itself: its memory, its stream, its table of kernels.
#include <cstring>
#include <map>
#include <mutex>

#include "kernels/cuda.h"

namespace duet::cuda {
namespace {

#ifdef __CUDACC__
constexpr size_t kUnit = 512, kHuge = 2u << 20;
#else
constexpr size_t kUnit = 16, kHuge = ~size_t(0);  // so that each block ends where its tensor ends, and faults beyond
#endif

// Freed blocks by size. As on the CPU (tensor.cc), and all work is on one stream: a block given back may be handed out at
// once, since what still reads it was asked for before what will write it.
class Cache {
 public:
  void* take(size_t& bytes) {
    const size_t unit = bytes >= kHuge ? kHuge : kUnit;
    bytes = std::max(unit, (bytes + unit - 1) / unit * unit);
    std::lock_guard l(mutex_);
    const size_t most = bytes >= kUnit * 64 ? bytes + bytes / 2 : bytes;
    if (auto it = free_.lower_bound(bytes); it != free_.end() && it->first <= (kHuge == ~size_t(0) ? bytes : most)) {
      void* p = it->second.back();
      bytes = it->first;
      it->second.pop_back();
      if (it->second.empty()) free_.erase(it);
      return p;
    }
    void* p = nullptr;
    if (cudaMalloc(&p, bytes) != cudaSuccess) {
      cudaGetLastError();
      release();
      const cudaError_t e = cudaMalloc(&p, bytes);
      if (e == cudaErrorMemoryAllocation)
        refuse("the card is out of memory: could not get ", (bytes + (1 << 20) - 1) >> 20, " MiB more, with ", taken_ >> 20,
               " MiB taken; use a smaller batch or model, or --device cpu");
      must(e, "memory");
    }
    taken_ += bytes, ++calls_;
    return p;
  }
  void give(void* p, size_t bytes) {
    std::lock_guard l(mutex_);
    free_[bytes].push_back(p);
  }
  MemoryStats stats() {
    std::lock_guard l(mutex_);
    return {taken_, calls_};
  }

 private:
  void release() {
    cudaStreamSynchronize(stream());
    for (auto& [bytes, blocks] : free_)
      for (void* p : blocks) cudaFree(p), taken_ -= bytes;
    free_.clear();
  }
  std::mutex mutex_;
  std::map<size_t, std::vector<void*>> free_;
  size_t taken_ = 0, calls_ = 0;
};

// Host memory goes to the card by way of two halves of pinned memory, so that a copy neither waits for the card nor needs
// its source any longer; a half is written again once the card has read it.
class Staging {
 public:
  void send(void* to, const void* from, size_t bytes) {
    std::lock_guard l(mutex_);
    for (const char* p = static_cast<const char*>(from); bytes > 0;) {
      const size_t n = std::min(bytes, kHalf);
      if (used_ + n > kHalf) turn();
      std::memcpy(half_[now_] + used_, p, n);
      must(cudaMemcpyAsync(to, half_[now_] + used_, n, cudaMemcpyHostToDevice, stream()), "a copy to the card");
      used_ += (n + 255) / 256 * 256;
      p += n, to = static_cast<char*>(to) + n, bytes -= n;
    }
  }

 private:
  void turn() {
    if (half_[0]) must(cudaEventRecord(read_[now_], stream()), "an event");
    now_ ^= 1, used_ = 0;
    if (half_[0]) return must(cudaEventSynchronize(read_[now_]), "the card");
    for (int i = 0; i < 2; ++i) {
      void* p = nullptr;
      must(cudaMallocHost(&p, kHalf), "pinned memory");
      half_[i] = static_cast<char*>(p);
      must(cudaEventCreateWithFlags(&read_[i], cudaEventDisableTiming), "an event");
    }
  }
  static constexpr size_t kHalf = 32u << 20;
  std::mutex mutex_;
  char* half_[2] = {};
  cudaEvent_t read_[2] = {};
  int now_ = 0;
  size_t used_ = kHalf;  // so that the first send makes them
};

Cache& cache() {
  static Cache* c = new Cache;
  return *c;
}

void* take(size_t& bytes) { return cache().take(bytes); }
void give(void* p, size_t bytes) { cache().give(p, bytes); }
MemoryStats stats() { return cache().stats(); }
void wait() { must(cudaStreamSynchronize(stream()), "the card"); }

void copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes) {
  static Staging* staging = new Staging;
  if (bytes == 0) return;
  if (to_device == Device::cuda && from_device == Device::cuda)
    return must(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()), "a copy on the card");
  if (to_device == Device::cuda) return staging->send(to, from, bytes);
  must(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream()), "a copy from the card");
  wait();
}

void zero(void* p, size_t bytes) {
  if (bytes) must(cudaMemsetAsync(p, 0, bytes, stream()), "zeros");
}

std::string name() {
  cudaDeviceProp p;
  must(cudaGetDeviceProperties(&p, 0), "the card's properties");
  return p.name;
}

}  // namespace

cudaStream_t stream() {
  static const cudaStream_t s = [] {
    cudaStream_t s;
    must(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), "a stream");
    return s;
  }();
  return s;
}

void must(cudaError_t e, const char* what) {
  if (e != cudaSuccess) refuse("CUDA: ", what, ": ", cudaGetErrorString(e));
}

}  // namespace duet::cuda

namespace duet {

const bool kBuiltWithCuda = true;

const Kernels* cuda_kernels(std::string& why) {
  static std::string reason;
  static const Kernels* table = []() -> const Kernels* {
    int cards = 0;
    if (const cudaError_t e = cudaGetDeviceCount(&cards); e != cudaSuccess || cards == 0) {
      reason = join("no CUDA card answers here (", e == cudaSuccess ? "none found" : cudaGetErrorString(e), ")");
      return nullptr;
    }
    auto* k = new Kernels{};
    k->memory = {cuda::take, cuda::give, cuda::copy, cuda::zero, cuda::stats};
    k->wait = cuda::wait, k->name = cuda::name;
    cuda::enter_gemm(*k), cuda::enter_norm(*k), cuda::enter_gate(*k), cuda::enter_rope(*k), cuda::enter_attention(*k);
    cuda::enter_swiglu(*k), cuda::enter_rows(*k), cuda::enter_loss(*k), cuda::enter_outer(*k), cuda::enter_optimize(*k), cuda::enter_noise(*k);
    return k;
  }();
  why = reason;
  return table;
}

}  // namespace duet
