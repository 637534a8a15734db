// SVG -> pixels by librsvg. For building data sets; never offered to people's uploads.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "vision/image.h"

namespace duet {

// Drawn to fit into a transparent square of `size` pixels (1..4096), centred, aspect kept. SVG or gzipped SVG, at most
// 8 MiB. Nothing outside the file is loaded. Throws on anything that is not SVG.
Image render_svg(std::span<const uint8_t> bytes, const std::string& name, int size);

// The same from a file read as text.
inline Image render_svg(std::string_view text, const std::string& name, int size) {
  return render_svg({reinterpret_cast<const uint8_t*>(text.data()), text.size()}, name, size);
}

}  // namespace duet
