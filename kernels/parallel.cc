#include "kernels/parallel.h"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/error.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define DUET_PAUSE() _mm_pause()
#else
#define DUET_PAUSE() std::this_thread::yield()
#endif

namespace duet {
namespace {

thread_local bool inside = false;

// One job at a time. Workers spin briefly for the next job (a step has hundreds of them, microseconds apart) and then sleep.
// A job waits for the workers that entered it, not for all: on a busy machine one may not run for many milliseconds.
class Pool {
 public:
  explicit Pool(int n) {
    for (int i = 1; i < n; ++i) workers_.emplace_back([this] { work(); });
  }
  ~Pool() {
    {
      std::lock_guard l(mutex_);
      stop_ = true;
      epoch_.fetch_add(1);
    }
    wake_.notify_all();
    for (auto& w : workers_) w.join();
  }
  int size() const { return int(workers_.size()) + 1; }

  void run(int64_t n, const std::function<void(int64_t)>& f) {
    std::lock_guard one(job_mutex_);
    {
      std::lock_guard l(mutex_);
      f_ = &f, n_ = n, error_ = nullptr;
      next_.store(0);
      open_ = true;
      epoch_.fetch_add(1);
    }
    wake_.notify_all();
    take();
    {
      std::lock_guard l(mutex_);
      open_ = false;
    }
    for (int spins = 0; busy_.load(std::memory_order_acquire) > 0; ++spins)
      spins < 4000 ? DUET_PAUSE() : std::this_thread::yield();
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void take() {
    inside = true;
    for (int64_t i; (i = next_.fetch_add(1)) < n_;) {
      try {
        (*f_)(i);
      } catch (...) {
        std::lock_guard l(mutex_);
        if (!error_) error_ = std::current_exception();
        next_.store(n_);
      }
    }
    inside = false;
  }
  void work() {
    for (uint64_t seen = 0;;) {
      for (int spins = 0; epoch_.load(std::memory_order_acquire) == seen && spins < 4000; ++spins) DUET_PAUSE();
      {
        std::unique_lock l(mutex_);
        wake_.wait(l, [&] { return epoch_.load() != seen; });
        seen = epoch_.load();
        if (stop_) return;
        if (!open_) continue;
        busy_.fetch_add(1);
      }
      take();
      busy_.fetch_sub(1, std::memory_order_release);
    }
  }

  std::vector<std::thread> workers_;
  std::mutex mutex_, job_mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> epoch_{0};
  std::atomic<int64_t> next_{0};
  std::atomic<int> busy_{0};
  int64_t n_ = 0;
  const std::function<void(int64_t)>* f_ = nullptr;
  std::exception_ptr error_;
  bool stop_ = false, open_ = false;
};

int default_threads() {
  if (const char* e = std::getenv("DUET_THREADS"))
    if (int n = std::atoi(e); n > 0) return n;
  return std::max(1u, std::thread::hardware_concurrency());
}

std::unique_ptr<Pool>& pool() {
  static std::unique_ptr<Pool> p = std::make_unique<Pool>(default_threads());
  return p;
}

}  // namespace

int threads() { return pool()->size(); }

void set_threads(int n) {
  CHECK(n >= 1, "threads must be 1 or more, not ", n);
  CHECK(!inside, "set_threads inside parallel_for");
  if (n != threads()) pool() = std::make_unique<Pool>(n);
}

void parallel_for(int64_t n, const std::function<void(int64_t)>& f) {
  if (n <= 0) return;
  if (n == 1 || inside || threads() == 1) {
    for (int64_t i = 0; i < n; ++i) f(i);
    return;
  }
  pool()->run(n, f);
}

}  // namespace duet
