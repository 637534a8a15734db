// The card itself: its memory, its stream, its table of kernels.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "kernels/arena.h"
#include "kernels/cublas.h"
#include "kernels/cuda.h"

namespace duet::cuda {
namespace {

#ifdef __CUDACC__
constexpr size_t kUnit = 512;
size_t segment() {  // DUET_APART=1: every block by itself, for compute-sanitizer
  const char* apart = std::getenv("DUET_APART");
  return apart && *apart == '1' ? 0 : size_t(256) << 20;
}
#else
constexpr size_t kUnit = 16;
size_t segment() { return 0; }  // so that each block ends where its tensor ends, and faults beyond
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

void* from_card(size_t bytes) {
  void* p = nullptr;
  const cudaError_t e = cudaMalloc(&p, bytes);
  if (e == cudaSuccess) return p;
  cudaGetLastError();
  if (e != cudaErrorMemoryAllocation) must(e, "memory");
  return nullptr;
}

// The card's blocks, in one arena. All work is on one stream: a block given back may be handed out at once, since what
// still reads it was asked for before what will write it.
class Cache {
 public:
  void* take(size_t& bytes) {
    bytes = std::max(kUnit, (bytes + kUnit - 1) / kUnit * kUnit);
    std::lock_guard l(mutex_);
    if (recording)
      if (auto it = recording->free.find(bytes); it != recording->free.end() && !it->second.empty()) {
        void* p = it->second.back();
        it->second.pop_back();
        return p;
      }
    void* p = arena_.take(bytes);
    if (!p && recording) refuse("no memory on the card for a recording");
    if (!p) {
      cudaStreamSynchronize(stream());
      arena_.release();
      p = arena_.take(bytes);
    }
    if (!p)
      refuse("the card is out of memory: could not get ", (bytes + (1 << 20) - 1) >> 20, " MiB more, with ",
             arena_.taken() >> 20, " MiB taken; use a smaller batch or model, or --device cpu");
    if (recording) recording->own.insert(p), owner_[p] = recording;
    return p;
  }
  void give(void* p, size_t bytes) {
    std::lock_guard l(mutex_);
    if (const auto it = owner_.find(p); it != owner_.end())
      it->second->free[bytes].push_back(p);
    else
      arena_.give(p);
  }
  void forget(Recording& r) {  // its blocks are everybody's again
    std::lock_guard l(mutex_);
    for (void* p : r.own) owner_.erase(p);
    for (auto& [bytes, blocks] : r.free)
      for (void* p : blocks) arena_.give(p);
  }
  MemoryStats stats() {
    std::lock_guard l(mutex_);
    return {arena_.taken(), arena_.calls(), arena_.in_use()};
  }

 private:
  std::mutex mutex_;
  Arena arena_{{from_card, [](void* p, size_t) { cudaFree(p); }}, kUnit, segment()};
  std::unordered_map<void*, Recording*> owner_;
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
    cuda::enter_conv(*k), cuda::enter_swiglu(*k), cuda::enter_rows(*k), cuda::enter_loss(*k), cuda::enter_outer(*k);
    cuda::enter_optimize(*k), cuda::enter_noise(*k), cuda::enter_sample(*k);
    return k;
  }();
  why = reason;
  return table;
}

}  // namespace duet
