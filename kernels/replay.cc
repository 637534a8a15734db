#include "kernels/replay.h"

#include <cstdlib>

namespace duet {

static bool wanted() {
  static const char* say = std::getenv("DUET_GRAPHS");
  return !say || *say != '0';
}

void Replay::operator()(const std::function<void()>& f) {
  if (++calls_ == 2 && wanted()) on_ = &kernels(device()), recording_ = on_->record(f);
  if (recording_) on_->replay(recording_.get());
  else f();
}

}  // namespace duet
