// The card itself: its memory, its stream, its table of kernels.
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <unordered_set>

#include "kernels/cublas.h"
#include "kernels/cuda.h"

namespace duet::cuda {
namespace {

#ifdef __CUDACC__
constexpr size_t kUnit = 512, kHuge = 2u << 20;
#else
constexpr size_t kUnit = 16, kHuge = ~size_t(0);  // so that each block ends where its tensor ends, and faults beyond
#endif

// Of a recording: blocks that it took, which nobody else may have while it can be replayed, and what it copies from the host.
struct Recording {
  cudaGraphExec_t graph = nullptr;
  std::unordered_set<void*> own;
  std::map<size_t, std::vector<void*>> free;
  std::vector<void*> pinned;
  std::vector<std::shared_ptr<void>> reads;  // copies of index tensors, which others may let go
};
Recording* recording = nullptr;  // being made

// Freed blocks by size. As on the CPU (tensor.cc), and all work is on one stream: a block given back may be handed out at
// once, since what still reads it was asked for before what will write it.
class Cache {
 public:
  void* take(size_t& bytes) {
    const size_t unit = bytes >= kHuge ? kHuge : kUnit;
    bytes = std::max(unit, (bytes + unit - 1) / unit * unit);
    std::lock_guard l(mutex_);
    const size_t most = bytes >= kUnit * 64 ? bytes + bytes / 2 : bytes;
    auto& free = recording ? recording->free : free_;
    if (auto it = free.lower_bound(bytes); it != free.end() && it->first <= (kHuge == ~size_t(0) ? bytes : most)) {
      void* p = it->second.back();
      bytes = it->first;
      it->second.pop_back();
      if (it->second.empty()) free.erase(it);
      return p;
    }
    void* p = nullptr;
    if (cudaMalloc(&p, bytes) != cudaSuccess) {
      cudaGetLastError();
      if (recording) refuse("no memory on the card for a recording");
      release();
      const cudaError_t e = cudaMalloc(&p, bytes);
      if (e == cudaErrorMemoryAllocation)
        refuse("the card is out of memory: could not get ", (bytes + (1 << 20) - 1) >> 20, " MiB more, with ", taken_ >> 20,
               " MiB taken; use a smaller batch or model, or --device cpu");
      must(e, "memory");
    }
    taken_ += bytes, ++calls_;
    if (recording) recording->own.insert(p), owner_[p] = recording;
    return p;
  }
  void give(void* p, size_t bytes) {
    std::lock_guard l(mutex_);
    const auto it = owner_.find(p);
    (it == owner_.end() ? free_ : it->second->free)[bytes].push_back(p);
  }
  void forget(Recording& r) {  // its blocks are everybody's again
    std::lock_guard l(mutex_);
    for (void* p : r.own) owner_.erase(p);
    for (auto& [bytes, blocks] : r.free) free_[bytes].insert(free_[bytes].end(), blocks.begin(), blocks.end());
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
  std::map<void*, Recording*> owner_;
  size_t taken_ = 0, calls_ = 0;
};

// Host memory goes to the card by way of two halves of pinned memory, so that a copy neither waits for the card nor needs
// its source any longer; a half is written again once the card has read it.
class Staging {
 public:
  void send(void* to, const void* from, size_t bytes) {
    std::lock_guard l(mutex_);
    if (recording) {  // which keeps what it will copy each time
      void* own = nullptr;
      must(cudaMallocHost(&own, bytes), "pinned memory");
      recording->pinned.push_back(own);
      std::memcpy(own, from, bytes);
      return must(cudaMemcpyAsync(to, own, bytes, cudaMemcpyHostToDevice, stream()), "a copy to the card");
    }
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
void wait() {
  if (recording) refuse("a recording that waits for the card");
  must(cudaStreamSynchronize(stream()), "the card");
}

void copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes) {
  static Staging* staging = new Staging;
  if (bytes == 0) return;
  if (to_device == Device::cuda && from_device == Device::cuda)
    return must(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()), "a copy on the card");
  if (to_device == Device::cuda) return staging->send(to, from, bytes);
  if (recording) refuse("a recording that reads from the card");
  must(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream()), "a copy from the card");
  wait();
}

void zero(void* p, size_t bytes) {
  if (bytes) must(cudaMemsetAsync(p, 0, bytes, stream()), "zeros");
}

void end(Recording* r) {
  cudaStreamSynchronize(stream());
  if (r->graph) cudaGraphExecDestroy(r->graph);
  r->reads.clear();
  cache().forget(*r);
  for (void* p : r->pinned) cudaFreeHost(p);
  delete r;
}

std::shared_ptr<void> record(const std::function<void()>& f) {
  std::shared_ptr<Recording> r(new Recording, end);
  std::string why;
  cudaGraph_t graph = nullptr;
  // Relaxed: taking memory is no part of what is recorded.
  must(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeRelaxed), "a recording");
  recording = r.get();
  try {
    KeepMemos keep;
    f();
    r->reads = std::move(keep.kept);
  } catch (const std::exception& e) {
    why = e.what();
  }
  recording = nullptr;
  cudaError_t e = cudaStreamEndCapture(stream(), &graph);
  if (e == cudaSuccess && why.empty()) e = cudaGraphInstantiate(&r->graph, graph, 0);
  if (graph) cudaGraphDestroy(graph);
  if (e == cudaSuccess && why.empty()) return r;
  cudaGetLastError();
  std::fprintf(stderr, "duet: could not record (%s); launching one by one\n", why.empty() ? cudaGetErrorString(e) : why.c_str());
  return nullptr;
}

void replay(void* r) { must(cudaGraphLaunch(static_cast<Recording*>(r)->graph, stream()), "a recording"); }

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
      reason = join("no CUDA card answers here (",
                    e == cudaSuccess ? "none found"
                    : e == cudaErrorInsufficientDriver
                        ? "no NVIDIA driver, or one older than this program's CUDA"
                        : cudaGetErrorString(e),
                    ")");
      return nullptr;
    }
    if (reason = cuda::products_missing(); !reason.empty()) return nullptr;
    auto* k = new Kernels{};
    k->memory = {cuda::take, cuda::give, cuda::copy, cuda::zero, cuda::stats};
    k->record = cuda::record, k->replay = cuda::replay, k->wait = cuda::wait, k->name = cuda::name;
    cuda::enter_gemm(*k), cuda::enter_norm(*k), cuda::enter_gate(*k), cuda::enter_rope(*k), cuda::enter_attention(*k);
    cuda::enter_swiglu(*k), cuda::enter_rows(*k), cuda::enter_loss(*k), cuda::enter_outer(*k), cuda::enter_optimize(*k), cuda::enter_noise(*k);
    return k;
  }();
  why = reason;
  return table;
}

}  // namespace duet
