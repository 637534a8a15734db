// Any bytes: refused with an Error, or a file whose every tensor can be read and which, written again, reads the same.
#include <cstdint>
#include <cstdlib>

#include "kernels/error.h"
#include "kernels/safetensors.h"

using namespace duet;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Checked on a copy of its own, so that a view past the end is seen.
  std::vector<uint8_t> bytes(data, data + size);
  std::string again;
  std::vector<TensorOut> tensors;
  try {
    Safetensors s = Safetensors::parse(bytes, "fuzz", Verify::no);
    for (const auto& [name, t] : s.tensors()) {
      xxh3(t.bytes);
      tensors.push_back({name, t.dtype, t.shape, t.bytes});
    }
    try {
      s.verify();
    } catch (const Error&) {
    }
    SafetensorsImage image = safetensors_image(tensors, s.metadata());
    for (Bytes part : image.parts()) again += as_text(part);
  } catch (const Error&) {
    return 0;
  }
  Safetensors s = Safetensors::parse(as_bytes(again), "again");
  if (s.tensors().size() != tensors.size()) std::abort();
  for (const TensorOut& t : tensors)
    if (as_text(s.at(t.name).bytes) != as_text(t.bytes) || s.at(t.name).shape != t.shape) std::abort();
  return 0;
}
