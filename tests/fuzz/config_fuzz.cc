// Any text as TOML, as JSON or as --set (the first byte says which): refused with an Error, or a config that, printed and read
// again, prints the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "fusion/fields.h"
#include "kernels/error.h"

using namespace duet;

namespace {

struct Inner {
  float lr = 1;
  std::string a = "x";
  template <class V>
  void fields(V&& v) {
    v("lr", lr), v("a", a);
  }
};

struct Outer {
  bool b = true;
  int i = 1;
  int64_t l = 2;
  double d = 3;
  std::vector<bool> bs;
  std::vector<int> is = {1};
  std::vector<float> fs;
  std::vector<std::string> ss;
  Inner in;
  std::vector<Inner> ins = {{}};
  template <class V>
  void fields(V&& v) {
    v("b", b), v("i", i), v("l", l), v("d", d), v("bs", bs), v("is", is), v("fs", fs), v("ss", ss), v("in", in), v("ins", ins);
  }
};

template <class Read>
void check(Read read) {
  Outer config;
  try {
    read(config);
  } catch (const Error&) {
    return;
  }
  std::string toml = to_toml(config), json = to_json(config);
  if (toml.size() > 1 << 19) return;  // escapes make a text longer than a config may be
  Outer from_t, from_j;
  parse_toml(toml, "printed", from_t);
  from_json(json, "printed", from_j);
  if (to_toml(from_t) != toml || to_json(from_j) != json) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 'j') check([&](Outer& c) { from_json(text, "fuzz", c); });
  else if (data[0] == 's') check([&](Outer& c) { set_key(c, text); });
  else check([&](Outer& c) { parse_toml(text, "fuzz", c); });
  return 0;
}
