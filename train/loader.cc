#include "train/loader.h"

#include <chrono>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include "kernels/error.h"

namespace duet {

struct Loader::State {
  struct Slot {
    Batch batch;
    std::exception_ptr error;
  };

  BatchMaker maker;
  int ahead, workers;

  std::mutex mutex;  // of all below
  std::condition_variable work, done;
  std::map<int64_t, Slot> ready;
  int64_t current = 0, claimed = 0, generation = 0, batches = 0;
  double wait_s = 0;
  bool stop = false;
  std::vector<std::thread> threads;

  State(DataConfig c, Tokenizer t, uint64_t seed) : maker(c, std::move(t), seed), ahead(c.ahead), workers(c.threads) {}

  void worker() {
    std::unique_lock lock(mutex);
    while (true) {
      work.wait(lock, [&] { return stop || claimed < current + ahead; });
      if (stop) return;
      int64_t step = claimed++, mine = generation;
      lock.unlock();
      Slot slot;
      try {
        slot.batch = maker.make(step);
      } catch (...) {
        slot.error = std::current_exception();
      }
      lock.lock();
      if (mine == generation) ready[step] = std::move(slot);
      done.notify_all();
    }
  }

  Batch next() {
    auto start = std::chrono::steady_clock::now();
    Slot slot;
    if (workers == 0) {
      slot.batch = maker.make(current);
    } else {
      std::unique_lock lock(mutex);
      while (int(threads.size()) < workers) threads.emplace_back([this] { worker(); });
      done.wait(lock, [&] { return ready.contains(current); });
      slot = std::move(ready.extract(current).mapped());
    }
    std::lock_guard lock(mutex);
    current++;
    batches++;
    wait_s += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    work.notify_all();
    if (slot.error) std::rethrow_exception(slot.error);
    return std::move(slot.batch);
  }

  void seek(int64_t step) {
    CHECK(step >= 0, step);
    std::lock_guard lock(mutex);
    if (step == current) return;
    generation++;
    ready.clear();
    current = claimed = step;
    work.notify_all();
  }

  ~State() {
    {
      std::lock_guard lock(mutex);
      stop = true;
    }
    work.notify_all();
    for (auto& t : threads) t.join();
  }
};

Loader::Loader(DataConfig config, Tokenizer tokenizer, uint64_t seed)
    : s_(std::make_unique<State>(std::move(config), std::move(tokenizer), seed)) {}
Loader::~Loader() = default;
Batch Loader::next() { return s_->next(); }
void Loader::seek(int64_t step) { s_->seek(step); }
Batch Loader::make(int64_t step) const { return s_->maker.make(step); }
int64_t Loader::samples() const { return s_->maker.samples(); }
std::vector<std::string> Loader::styles() const { return s_->maker.styles(); }

Loader::Stats Loader::stats() const {
  const BatchMaker::Stats made = s_->maker.stats();
  std::lock_guard lock(s_->mutex);
  return {made.bad, s_->batches, s_->wait_s, made.cached, made.captions, made.cut, made.longest};
}

}  // namespace duet
