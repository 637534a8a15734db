#include "cuda_shim.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define SHIM_ASAN 1
#endif

struct ShimGraph {
  std::vector<std::function<void()>> work;
};

namespace shim {

thread_local Index thread_index, block_index;
thread_local dim3 block_size, grid_size;
thread_local unsigned char* dynamic_shared;

namespace {

constexpr size_t kStack = 256 << 10, kPage = 4096;

enum class State : uint8_t { fresh, ready, at_block, at_warp, done };

struct Thread {
  void* sp = nullptr;
  void* fake_stack = nullptr;
  Index index{};
  State state = State::fresh;
  const char* where = "";
};

struct Warp {
  uint64_t slot[2][32];
  unsigned parity = 0;
  int lanes = 0;
};

struct Running {
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  size_t current = 0;
  void* scheduler = nullptr;
  const std::function<void()>* body = nullptr;
  std::exception_ptr error;
  const void* asan_bottom = nullptr;
  size_t asan_size = 0;
  void* asan_fake = nullptr;
};
Running* run = nullptr;
int order = 0;

char* stack_of(size_t thread) {  // stacks are kept from launch to launch
  static std::vector<char*> stacks;
  while (stacks.size() <= thread) {
    void* p = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    stacks.push_back(static_cast<char*>(p));
  }
  return stacks[thread];
}

// Saves the registers a call must keep and the stack pointer to *save, and goes on where `to` was saved.
extern "C" void shim_switch(void** save, void* to);
asm(R"(
.text
.type shim_switch,@function
shim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");

void to_scheduler(bool dying) {
  Thread& t = run->threads[run->current];
#ifdef SHIM_ASAN
  __sanitizer_start_switch_fiber(dying ? nullptr : &t.fake_stack, run->asan_bottom, run->asan_size);
#else
  (void)dying;
#endif
  shim_switch(&t.sp, run->scheduler);
#ifdef SHIM_ASAN
  __sanitizer_finish_switch_fiber(t.fake_stack, nullptr, nullptr);
#endif
}

void enter() {
#ifdef SHIM_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &run->asan_bottom, &run->asan_size);
#endif
  try {
    (*run->body)();
  } catch (...) {
    run->error = std::current_exception();
  }
  run->threads[run->current].state = State::done;
  to_scheduler(true);
  __builtin_unreachable();
}

void resume(size_t i) {
  Thread& t = run->threads[i];
  if (t.state == State::fresh) {
#ifdef SHIM_ASAN
    // Who had this stack before never returned from enter(), or was left where it stood when another one failed.
    __asan_unpoison_memory_region(stack_of(i), kStack);
#endif
    auto top = reinterpret_cast<void**>(reinterpret_cast<uintptr_t>(stack_of(i) + kStack) & ~uintptr_t(15));
    *--top = nullptr;  // where enter() would return to
    *--top = reinterpret_cast<void*>(&enter);
    for (int r = 0; r < 6; ++r) *--top = nullptr;  // the saved registers
    t.sp = top;
  }
  t.state = State::ready;
  run->current = i;
  thread_index = t.index;
#ifdef SHIM_ASAN
  __sanitizer_start_switch_fiber(&run->asan_fake, stack_of(i), kStack);
#endif
  shim_switch(&run->scheduler, t.sp);
#ifdef SHIM_ASAN
  __sanitizer_finish_switch_fiber(run->asan_fake, nullptr, nullptr);
#endif
}

std::vector<size_t> in_order(size_t n) {
  std::vector<size_t> v(n);
  std::iota(v.begin(), v.end(), size_t(0));
  if (order == 1) std::reverse(v.begin(), v.end());
  uint32_t r = uint32_t(order) * 2654435761u;
  if (order > 1)
    for (size_t i = n; i > 1; --i) r = r * 1664525u + 1013904223u, std::swap(v[i - 1], v[(r >> 8) % i]);
  return v;
}

// A warp's barrier opens when all its threads that live have come to it.
bool open_warp(size_t w) {
  Warp& warp = run->warps[w];
  Thread* t = &run->threads[32 * w];
  int waiting = 0, done = 0;
  for (int l = 0; l < warp.lanes; ++l) waiting += t[l].state == State::at_warp, done += t[l].state == State::done;
  if (waiting == 0 || waiting + done != warp.lanes) return false;
  for (int l = 0; l < warp.lanes; ++l)
    if (t[l].state == State::at_warp) t[l].state = State::ready;
  warp.parity ^= 1;
  return true;
}

std::string block_name() {
  return "block (" + std::to_string(block_index.x) + "," + std::to_string(block_index.y) + "," + std::to_string(block_index.z) +
         ")";
}

// Each warp runs as far as it can; then the block's barrier opens if every thread waits at the same line of the source.
void run_block() {
  const auto warps = in_order(run->warps.size()), lanes = in_order(32);
  for (;;) {
    for (size_t w : warps) do {
        for (size_t l : lanes) {
          if (int(l) >= run->warps[w].lanes || run->threads[32 * w + l].state > State::ready) continue;
          resume(32 * w + l);
          if (run->error) std::rethrow_exception(run->error);
        }
      } while (open_warp(w));
    size_t done = 0, waiting = 0;
    const char* where = nullptr;
    bool mixed = false;
    for (const Thread& t : run->threads) {
      done += t.state == State::done;
      if (t.state != State::at_block) continue;
      ++waiting;
      mixed = mixed || (where && where != t.where);
      where = t.where;
    }
    if (done == run->threads.size()) return;
    if (waiting != run->threads.size() || mixed)
      throw std::runtime_error("divergent barrier in " + block_name() + ": " + std::to_string(waiting) + " threads at " +
                               (where ? where : "none") + (mixed ? " and at another line" : "") + ", " + std::to_string(done) +
                               " done, of " + std::to_string(run->threads.size()));
    for (Thread& t : run->threads) t.state = State::ready;
  }
}

// Device memory: each allocation ends where a page starts that nobody may touch, and is itself out of reach but in a kernel.
struct Allocation {
  char* base;
  size_t pages;  // bytes, without the last one
};
std::map<uintptr_t, Allocation>& allocations() {
  static auto* a = new std::map<uintptr_t, Allocation>;
  return *a;
}
// Those that the next kernel or copy was given pointers into; nothing else may it touch.
std::vector<Allocation> given;
struct Reach {
  const std::vector<Allocation> mine = std::exchange(given, {});
  Reach() { protect(PROT_READ | PROT_WRITE); }
  ~Reach() { protect(PROT_NONE); }
  void protect(int how) const {
    for (const Allocation& a : mine) mprotect(a.base, a.pages, how);
  }
};

}  // namespace

void set_order(int o) { order = o; }
static ShimGraph* captured = nullptr;

int lane() { return int(run->current % 32); }

void sync_block(const char* where) {
  Thread& t = run->threads[run->current];
  t.state = State::at_block, t.where = where;
  to_scheduler(false);
}

uint64_t exchange(uint64_t mine, int from) {
  Warp& w = run->warps[run->current / 32];
  const unsigned p = w.parity;
  w.slot[p][lane()] = mine;
  run->threads[run->current].state = State::at_warp;
  to_scheduler(false);
  return from < 0 || from >= w.lanes ? mine : w.slot[p][from];
}

bool defer(std::function<void()> work) {
  if (captured) captured->work.push_back([work, mine = std::exchange(given, {})] { given = mine, work(); });
  return captured;
}

void check_pointer(const void* p, const char* kernel) {
  if (!p) return;
  auto it = allocations().upper_bound(reinterpret_cast<uintptr_t>(p));
  if (it != allocations().begin()) {
    const Allocation& a = std::prev(it)->second;
    if (static_cast<const char*>(p) <= a.base + a.pages) return given.push_back(a);
  }
  given.clear();
  throw std::runtime_error(std::string("a host pointer was given to ") + kernel);
}

void launch(dim3 grid, dim3 block, size_t shared, const std::function<void()>& body) {
  if (defer([=] { launch(grid, block, shared, body); })) return;
  const size_t n = size_t(block.x) * block.y * block.z;
  if (n == 0 || n > 1024 || grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535 || shared > 227 << 10)
    throw std::runtime_error("a launch that no card takes: " + std::to_string(n) + " threads, grid " + std::to_string(grid.x) +
                             "x" + std::to_string(grid.y) + "x" + std::to_string(grid.z) + ", " + std::to_string(shared) +
                             " bytes of shared memory");
  const Reach reach;
  static std::vector<std::max_align_t> memory(227 * 1024 / sizeof(std::max_align_t));
  dynamic_shared = reinterpret_cast<unsigned char*>(memory.data());
  block_size = block, grid_size = grid;
  Running r;
  r.body = &body;
  run = &r;
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        block_index = {x, y, z};
        std::memset(dynamic_shared, 0xff, shared);
        r.threads.assign(n, {});
        r.warps.assign((n + 31) / 32, {});
        for (size_t t = 0; t < n; ++t)
          r.threads[t].index = {unsigned(t % block.x), unsigned(t / block.x % block.y), unsigned(t / block.x / block.y)};
        for (size_t w = 0; w < r.warps.size(); ++w) r.warps[w].lanes = int(std::min<size_t>(32, n - 32 * w));
        run_block();
      }
}

}  // namespace shim

using namespace shim;

cudaError_t cudaMalloc(void** out, size_t bytes) {
  bytes = (bytes + 15) / 16 * 16;
  const size_t pages = (bytes + kPage - 1) / kPage * kPage;
  void* p = mmap(nullptr, pages + kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return cudaErrorMemoryAllocation;
  char* base = static_cast<char*>(p);
  *out = base + pages - bytes;
  mprotect(base, pages, PROT_READ | PROT_WRITE);
  std::memset(base, 0xff, pages);
  mprotect(base, pages, PROT_NONE);
  allocations()[reinterpret_cast<uintptr_t>(base)] = {base, pages};
  return cudaSuccess;
}
cudaError_t cudaFree(void* p) {
  auto it = std::prev(allocations().upper_bound(reinterpret_cast<uintptr_t>(p)));
  munmap(it->second.base, it->second.pages + kPage);
  allocations().erase(it);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t n, cudaMemcpyKind kind, cudaStream_t) {
  if (kind != cudaMemcpyHostToDevice) check_pointer(from, "a copy from the device");
  if (kind != cudaMemcpyDeviceToHost) check_pointer(to, "a copy to the device");
  if (defer([=] { given.clear(), cudaMemcpyAsync(to, from, n, kind, nullptr); })) return cudaSuccess;
  const Reach reach;
  std::memcpy(to, from, n);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* p, int v, size_t n, cudaStream_t) {
  check_pointer(p, "a fill");
  if (defer([=] { given.clear(), cudaMemsetAsync(p, v, n, nullptr); })) return cudaSuccess;
  const Reach reach;
  std::memset(p, v, n);
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** p, size_t n) {
  *p = std::aligned_alloc(4096, (n + 4095) / 4096 * 4096);
  return *p ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int) {
  *p = {"a card on the host", 9, 0, 4, size_t(1) << 30};
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) { return captured = new ShimGraph, cudaSuccess; }
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* g) {
  *g = captured, captured = nullptr;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* e, cudaGraph_t g, unsigned long long) {
  return *e = new ShimGraph(*g), cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t) {
  for (const auto& w : e->work) w();
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t g) { return delete g, cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t e) { return delete e, cudaSuccess; }
