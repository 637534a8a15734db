#include "kernels/arena.h"

#include <algorithm>
#include <iterator>

#include "kernels/error.h"

namespace duet {

Arena::Arena(System system, size_t unit, size_t segment) : system_(std::move(system)), unit_(unit), segment_(segment) {
  CHECK(unit > 0 && (unit & (unit - 1)) == 0, "a power of two, not ", unit);
}

// A new segment as one free block, or end().
Arena::Blocks::iterator Arena::grow(size_t bytes) {
  const auto round = [&](size_t n) { return (n + unit_ - 1) / unit_ * unit_; };
  // Few and large segments, since no block lies across two; but where those are not to be had, what is needed will do.
  for (size_t n : {segment_ ? round(std::max({bytes, segment_, taken_ / 4})) : bytes, bytes}) {
    char* p = static_cast<char*>(system_.get(n));
    if (!p) continue;
    taken_ += n, ++calls_;
    const auto b = blocks_.insert({p, {n, true, true}}).first;
    list(b);
    return b;
  }
  return blocks_.end();
}

void* Arena::take(size_t bytes) {
  CHECK(bytes > 0, "something to take");
  bytes = (bytes + unit_ - 1) / unit_ * unit_;
  const auto fit = free_.lower_bound({bytes, nullptr});
  const bool fits = fit != free_.end() && (segment_ || fit->first == bytes);
  const auto b = fits ? blocks_.find(fit->second) : grow(bytes);
  if (b == blocks_.end()) return nullptr;
  unlist(b);
  if (b->second.bytes > bytes) {
    list(blocks_.insert(std::next(b), {b->first + bytes, {b->second.bytes - bytes, true, false}}));
    b->second.bytes = bytes;
  }
  b->second.free = false;
  in_use_ += bytes;
  return b->first;
}

void Arena::give(void* p) {
  auto b = blocks_.find(static_cast<char*>(p));
  CHECK(b != blocks_.end() && !b->second.free, "a block of this arena that is out");
  in_use_ -= b->second.bytes;
  const auto join = [&](Blocks::iterator into, Blocks::iterator next) {
    into->second.bytes += next->second.bytes;
    blocks_.erase(next);
  };
  if (const auto next = std::next(b); next != blocks_.end() && next->second.free && !next->second.first)
    unlist(next), join(b, next);
  if (!b->second.first && std::prev(b)->second.free) {
    const auto before = std::prev(b);
    unlist(before), join(before, b);
    b = before;
  }
  b->second.free = true;
  list(b);
}

void Arena::release() {
  for (auto b = blocks_.begin(); b != blocks_.end();) {
    const auto next = std::next(b);
    if (b->second.free && b->second.first && (next == blocks_.end() || next->second.first)) {
      unlist(b);
      taken_ -= b->second.bytes;
      system_.put(b->first, b->second.bytes);
      blocks_.erase(b);
    }
    b = next;
  }
}

}  // namespace duet
