// PNG files put together by hand, so that the tests can hold what no encoder would write.
#pragma once
#include <zlib.h>

#include <cstdint>
#include <string>
#include <vector>

namespace duet::rawpng {

using Raw = std::vector<uint8_t>;

inline void put32(Raw& out, uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(uint8_t(v >> shift));
}

inline void chunk(Raw& out, const std::string& type, const Raw& body) {
  put32(out, uint32_t(body.size()));
  Raw checked(type.begin(), type.end());
  checked.insert(checked.end(), body.begin(), body.end());
  out.insert(out.end(), checked.begin(), checked.end());
  put32(out, uint32_t(crc32(0, checked.data(), uInt(checked.size()))));
}

inline Raw text(const std::string& s) { return {s.begin(), s.end()}; }

inline Raw deflate(const Raw& plain) {
  uLongf size = compressBound(plain.size());
  Raw out(size);
  compress2(out.data(), &size, plain.data(), plain.size(), 9);
  out.resize(size);
  return out;
}

// The same for a megabyte of zeros `n` times over, without ever holding them.
inline Raw deflate_zeros(int n) {
  z_stream z{};
  deflateInit(&z, 9);
  Raw zeros(1 << 20), out(size_t(n + 1) * 1200);
  z.next_out = out.data(), z.avail_out = uInt(out.size());
  for (int i = 0; i < n; ++i) {
    z.next_in = zeros.data(), z.avail_in = uInt(zeros.size());
    deflate(&z, i + 1 == n ? Z_FINISH : Z_NO_FLUSH);
  }
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

// Signature and IHDR. color: 0 gray, 2 RGB, 3 palette, 4 gray + alpha, 6 RGBA.
inline Raw header(uint32_t width, uint32_t height, int depth, int color, bool interlaced = false) {
  Raw out = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}, ihdr;
  put32(ihdr, width);
  put32(ihdr, height);
  for (int v : {depth, color, 0, 0, int(interlaced)}) ihdr.push_back(uint8_t(v));
  chunk(out, "IHDR", ihdr);
  return out;
}

// `lines` are the scan lines, each with its filter byte in front; `before` is put between header and data.
inline Raw png(Raw head, const Raw& lines, const Raw& before = {}) {
  head.insert(head.end(), before.begin(), before.end());
  chunk(head, "IDAT", deflate(lines));
  chunk(head, "IEND", {});
  return head;
}

}  // namespace duet::rawpng
