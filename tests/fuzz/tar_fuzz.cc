// Shards and metadata on hostile bytes. The first byte chooses: a tar as it is, a tar whose header sums are put right
// (so that the fuzzer gets past them), or a metadata JSON. What is accepted must hold what the headers promise.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "fusion/shards.h"
#include "kernels/error.h"
#include "text/unicode.h"

using namespace duet;

namespace {

void demand(bool ok) {
  if (!ok) abort();
}

// Treats the bytes as header, contents, header ... and writes each header's sum.
void mend_sums(std::vector<uint8_t>& tar) {
  for (size_t at = 0; at + 512 <= tar.size();) {
    uint8_t* h = tar.data() + at;
    if (std::all_of(h, h + 512, [](uint8_t c) { return c == 0; })) {
      at += 512;
      continue;
    }
    std::fill(h + 148, h + 156, ' ');
    unsigned sum = 0;
    for (int i = 0; i < 512; i++) sum += h[i];
    char text[8];
    snprintf(text, sizeof text, "%06o", sum);
    std::copy(text, text + 7, h + 148);
    size_t size = strtoull(std::string(h + 124, h + 136).c_str(), nullptr, 8);
    at += 512 + (std::min(size, tar.size()) + 511) / 512 * 512;
  }
}

void read_tar(const std::vector<uint8_t>& tar) {
  ShardLimits limits;
  limits.entries = 50;
  limits.entry_bytes = 2000;
  for (const ShardView& v : index_shard(tar, "fuzz.tar", limits)) {
    demand(!v.key.empty());
    if (!v.fault.empty()) continue;
    demand(valid_utf8(v.key) && !v.parts.empty());
    demand(v.key.find('.', v.key.rfind('/') + 1) == std::string::npos);
    unsigned sum = 0;
    for (auto& [ext, bytes] : v.parts) {
      demand(!ext.empty() && bytes.size() <= 2000);
      demand(bytes.empty() || (bytes.data() >= tar.data() && bytes.data() + bytes.size() <= tar.data() + tar.size()));
      for (uint8_t b : bytes) sum += b;
    }
    volatile unsigned keep = sum;
    (void)keep;
  }
}

void read_meta(const std::vector<uint8_t>& json) {
  Meta m = parse_meta(json, "fuzz.json");
  std::string out = dump_meta(m);
  Meta again = parse_meta({reinterpret_cast<const uint8_t*>(out.data()), out.size()}, "again.json");
  demand(again.caption == m.caption && again.tags == m.tags && again.captions_ko == m.captions_ko);
  demand(again.mirror_ok == m.mirror_ok && dump_meta(again) == out);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::vector<uint8_t> bytes(data + 1, data + size);
  try {
    if (data[0] % 3 == 1) mend_sums(bytes);
    if (data[0] % 3 == 2) read_meta(bytes);
    else read_tar(bytes);
  } catch (const Error&) {
  }
  return 0;
}
