// Any bytes as tokenizer.json: refused in one line, or a tokenizer that is lossless and survives its own saving.
// Seeds: tests/golden/tokenizer.json and files cut from it. A whole vocabulary is too large for a mutator to keep
// valid, so an input that starts with '*' is taken as edits of a small valid file: what, where, new bytes.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "kernels/error.h"
#include "text/bpetrain.h"

namespace {

const std::string& small_file() {
  static const std::string json = [] {
    std::string s = duet::train_bpe({"a red red red circle", "빨간 빨간 원 원", "it's 22 22!! !!"}, 300).json();
    std::string dense;
    for (char c : s)
      if (c != '\n' && !(c == ' ' && (dense.empty() || std::string_view(",{[:").find(dense.back()) != std::string::npos)))
        dense += c;
    return dense;
  }();
  return json;
}

// Records of 4 bytes + payload: two bytes of position, how many bytes to drop, how many to put in.
std::string edited(std::string_view edits) {
  std::string s = small_file();
  while (edits.size() >= 4) {
    auto b = [&](int i) { return static_cast<unsigned char>(edits[i]); };
    size_t at = (b(0) | b(1) << 8) % (s.size() + 1), drop = b(2) % 16, put = std::min<size_t>(b(3) % 32, edits.size() - 4);
    s.replace(at, drop, edits.substr(4, put));
    edits.remove_prefix(4 + put);
  }
  return s;
}

void must(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  std::string json = input.starts_with('*') ? edited(input.substr(1)) : std::string(input);
  try {
    duet::Tokenizer t = duet::Tokenizer::parse(json, "fuzz.json");
    for (std::string_view text : {input, std::string_view("a red circle's 빨간 원!! 22\xFF")}) {
      std::vector<int> ids = t.encode(text);
      for (int id : ids) must(id >= 0 && id < t.size() && !t.is_special(id));
      must(t.decode(ids) == text);
    }
    must(duet::Tokenizer::parse(t.json(), "again.json").hash() == t.hash());
  } catch (const duet::Error& e) {
    std::string_view said = e.what();
    must(said.starts_with("fuzz.json: ") && said.find('\n') == said.npos);
  }
  return 0;
}
