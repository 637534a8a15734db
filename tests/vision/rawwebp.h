// Extended WebP files put together by hand: metadata and animation around the still picture of an encoder.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace duet::rawwebp {

using Raw = std::vector<uint8_t>;

inline void put(Raw& out, uint32_t v, int n) {
  for (int i = 0; i < n; ++i) out.push_back(uint8_t(v >> 8 * i));
}

inline void chunk(Raw& out, const std::string& name, const Raw& body) {
  out.insert(out.end(), name.begin(), name.end());
  put(out, uint32_t(body.size()), 4);
  out.insert(out.end(), body.begin(), body.end());
  if (body.size() % 2) out.push_back(0);
}

// The VP8 or VP8L chunk of a simple file.
inline Raw picture(const Raw& simple) { return {simple.begin() + 12, simple.end()}; }

// flags: 2 animation, 8 EXIF, 16 alpha. `chunks` follow the header.
inline Raw extended(int flags, int width, int height, const Raw& chunks) {
  Raw vp8x = {uint8_t(flags), 0, 0, 0}, body = {'W', 'E', 'B', 'P'}, out;
  put(vp8x, uint32_t(width - 1), 3);
  put(vp8x, uint32_t(height - 1), 3);
  chunk(body, "VP8X", vp8x);
  body.insert(body.end(), chunks.begin(), chunks.end());
  chunk(out, "RIFF", body);
  return out;
}

inline Raw animation(int width, int height, const std::vector<Raw>& frames) {
  Raw chunks;
  chunk(chunks, "ANIM", {0, 0, 0, 0, 0, 0});
  for (const Raw& simple : frames) {
    Raw frame(6), still = picture(simple);
    put(frame, uint32_t(width - 1), 3);
    put(frame, uint32_t(height - 1), 3);
    put(frame, 100, 3);
    frame.push_back(2);  // does not blend with what was there
    frame.insert(frame.end(), still.begin(), still.end());
    chunk(chunks, "ANMF", frame);
  }
  return extended(2 | 16, width, height, chunks);
}

}  // namespace duet::rawwebp
