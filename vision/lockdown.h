// For a process that is about to read foreign bytes.
#pragma once

namespace duet {

// A sanitizer's own bookkeeping needs far more memory and calls than such a process may have.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// From here on only computing, memory, and reading and writing what is open already; anything else ends the process (seccomp).
// false: this system does not know how.
bool lock_down();

}  // namespace duet
