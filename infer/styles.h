// The looks that duet's own data sources name (Meta::style); a prompt asks for one in the loader's words: with_style.
#pragma once

namespace duet {

inline constexpr const char* kStyles[] = {"emoji", "photo", "drawing", "cartoon", "clipart", "icon"};

}  // namespace duet
