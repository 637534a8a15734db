// Threads: one pool for the whole program, as wide as the machine (or DUET_THREADS, or set_threads()).
#pragma once
#include <cstdint>
#include <functional>

namespace duet {

int threads();          // how many run a parallel_for, the caller included
void set_threads(int);  // 1 and up; not from inside parallel_for

// Calls f(i) for every i in [0, n), in any order, on all threads; returns when all are done. Rethrows the first exception.
// A nested call runs serially. Results must not depend on which thread runs what: split sums by index, never by thread.
void parallel_for(int64_t n, const std::function<void(int64_t)>& f);

}  // namespace duet
