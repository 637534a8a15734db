// Work that is asked for again and again and differs in nothing but the values in its tensors: done plainly the first
// time, which also makes what is made once (plans of products, copies of index tensors); recorded the second time, and
// from then on replayed as one graph, without a launch each. Plain wherever the device keeps no recordings, and with
// DUET_GRAPHS=0.
#pragma once
#include <functional>
#include <memory>

#include "kernels/device.h"

namespace duet {

class Replay {
 public:
  // f must be the same each time, read tensors that outlive this object or that it makes itself from values that stay
  // the same, and leave its results in tensors that outlive this object. It must not read from the device.
  void operator()(const std::function<void()>& f);
  bool replays() const { return recording_ != nullptr; }

 private:
  int calls_ = 0;
  const Kernels* on_ = nullptr;
  std::shared_ptr<void> recording_;
};

}  // namespace duet
