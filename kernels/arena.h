// Memory of one kind (the host's, a card's) that is asked of the system in large segments and handed out in blocks.
// A block that is too large is split, neighbours that are free grow together again: however the sizes that are asked
// for change, little more is taken than was ever in use at once. (A cache by size, as it was before, kept blocks of
// every size that had ever come: a server whose batches change grew to three times what it used.) Best fit with
// immediate coalescing: Wilson et al., Dynamic Storage Allocation: A Survey and Critical Review, 1995. Not for many
// threads: callers lock.
#pragma once
#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <utility>

namespace duet {

class Arena {
 public:
  struct System {
    std::function<void*(size_t bytes)> get;        // aligned to the unit, a multiple of it; null: there is none left
    std::function<void(void*, size_t bytes)> put;  // of a segment as get() gave it
  };
  // unit: of every block's size and place, a power of two. segment: bytes of the first and smallest segment; a later
  // one is at least a fourth of what was taken before it. segment 0: every block is a segment of its own and never
  // split, so that a tool that watches the system's memory (ASan, compute-sanitizer) sees where it ends.
  Arena(System, size_t unit, size_t segment);
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  void* take(size_t bytes);  // bytes > 0, rounded up to the unit; null: the system has no more
  void give(void*);          // as take() gave it
  void release();            // segments that nobody uses go back to the system

  size_t taken() const { return taken_; }    // bytes of all segments
  size_t in_use() const { return in_use_; }  // of those, bytes of blocks that are out
  size_t calls() const { return calls_; }    // segments asked for so far

 private:
  struct Block {
    size_t bytes;
    bool free;
    bool first;  // of its segment: does not grow together with what lies before
  };
  using Blocks = std::map<char*, Block>;
  Blocks::iterator grow(size_t bytes);
  void list(Blocks::iterator b) { free_.insert({b->second.bytes, b->first}); }
  void unlist(Blocks::iterator b) { free_.erase({b->second.bytes, b->first}); }

  const System system_;
  const size_t unit_, segment_;
  Blocks blocks_;                            // by place; those of a segment without a gap
  std::set<std::pair<size_t, char*>> free_;  // of equal sizes the lowest first
  size_t taken_ = 0, in_use_ = 0, calls_ = 0;
};

}  // namespace duet
