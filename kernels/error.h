// Failure: one exception type, two ways to throw it.
//   CHECK(cond, parts...)  a broken promise inside the program: message + file and line.
//   refuse(parts...)       bad input from outside: the message alone, written for a person
//                          (names the file, key or byte, and the mend). Callers exit with 1.
#pragma once
#include <source_location>
#include <sstream>
#include <stdexcept>
#include <string>

namespace duet {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class... A>
std::string join(A&&... parts) {
  std::ostringstream s;
  ((s << parts), ...);
  return s.str();
}

template <class... A>
[[noreturn]] void refuse(A&&... parts) {
  throw Error(join(parts...));
}

template <class... A>
[[noreturn]] void fail(std::source_location at, A&&... parts) {
  std::string file = at.file_name();
  throw Error(join(parts..., " (", file.substr(file.rfind('/') + 1), ":", at.line(), ")"));
}

#define CHECK(cond, ...)                                                                             \
  do {                                                                                               \
    if (!(cond)) ::duet::fail(std::source_location::current(), "expected " #cond ": ", __VA_ARGS__); \
  } while (0)

}  // namespace duet
