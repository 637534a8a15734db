// Any bytes as a picture: a whole Image or a duet::Error, nothing else.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "kernels/error.h"
#include "vision/codec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace duet;
  const Limits limits{.max_pixels = 1 << 16, .max_side = 4096, .max_bytes = 1 << 20};
  try {
    Image image = decode_image({data, size}, "fuzz", limits);
    if (image.width <= 0 || image.height <= 0 || int64_t(image.width) * image.height > limits.max_pixels ||
        image.rgba.size() != size_t(image.width) * image.height * 4) {
      std::abort();
    }
  } catch (const Error&) {
  }
  try {
    auto texts = read_png_text({data, size}, "fuzz");
    // Whatever was read can be written again, as long as its key is one that we write.
    for (const PngText& text : texts) {
      try {
        check_png_text({"k", text.value});
      } catch (const Error&) {
        if (text.value.find('\0') == std::string::npos) std::abort();
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
