// Pictures from strangers are decoded in a process of their own each, which can do nothing but compute: it has its
// limits of memory and time and no way to files, network or other processes (seccomp). If it dies, one picture is
// refused.
#pragma once
#include <condition_variable>
#include <functional>
#include <mutex>
#include <span>
#include <string>

#include "kernels/error.h"
#include "vision/codec.h"

namespace duet {

struct DecoderDied : Error {  // or was ended, for its time was over
  using Error::Error;
};

class Decoder {
 public:
  using Decode = std::function<Image(std::span<const uint8_t>, const std::string& name)>;
  struct Bounds {
    int64_t memory = int64_t(768) << 20;  // bytes a process may have
    int seconds = 10;                     // of a processor
    int at_a_time = 4;
  };
  // Starts the processes that make the others: before this program has threads, and small. `decode` runs there.
  explicit Decoder(Decode decode);
  Decoder(Decode decode, const Bounds&);
  ~Decoder();
  Decoder(const Decoder&) = delete;
  // From any thread; waits for its turn. Refuses as `decode` does; DecoderDied where the process died or took too long.
  Image operator()(std::span<const uint8_t> bytes, const std::string& name);

 private:
  [[noreturn]] void keep_maker(int socket);  // in the process keeper_: one that makes workers, and another when it dies
  [[noreturn]] void make_workers(int socket);
  [[noreturn]] void work(int in, int out, int done, const std::string& name);
  const Decode decode_;
  const Bounds bounds_;
  int socket_ = -1, keeper_ = -1;
  std::mutex mutex_;
  std::condition_variable turn_;
  int running_ = 0;
};

}  // namespace duet
