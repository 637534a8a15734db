// The smallest colour emoji font: two bitmaps (CBDT/CBLC) and one ligature (GSUB), written table by table.
// https://learn.microsoft.com/typography/opentype/spec/cbdt
#pragma once
#include <map>
#include <string>
#include <vector>

#include "vision/codec.h"

namespace duet {

struct FontBytes {
  std::string s;
  FontBytes& u8(unsigned v) { return s.push_back(char(v)), *this; }
  FontBytes& u16(unsigned v) { return u8(v >> 8 & 255).u8(v & 255); }
  FontBytes& u32(unsigned v) { return u16(v >> 16).u16(v & 0xffff); }
  FontBytes& add(const std::string& t) { return s += t, *this; }
};

// Glyph 1 (character `first`) shows `one`, glyph 2 (character `second`) shows `two`, and the pair first+second becomes
// glyph 3, which shows `both`. All pictures have one size, at most 127 pixels a side.
inline std::string tiny_emoji_font(uint32_t first, uint32_t second, const Image& one, const Image& two, const Image& both) {
  std::map<std::string, std::string> tables;
  int side = one.width;
  tables["head"] = FontBytes()
                       .u32(0x10000)
                       .u32(0)
                       .u32(0)
                       .u32(0x5f0f3cf5)
                       .u16(0)
                       .u16(1000)
                       .add(std::string(16, '\0'))
                       .u16(0)
                       .u16(0)
                       .u16(1000)
                       .u16(1000)
                       .u16(0)
                       .u16(8)
                       .u16(2)
                       .u16(0)
                       .u16(0)
                       .s;
  tables["maxp"] = FontBytes().u32(0x5000).u16(4).s;
  tables["hhea"] = FontBytes().u32(0x10000).u16(900).u16(0).u16(0).u16(1000).add(std::string(22, '\0')).u16(4).s;
  FontBytes hmtx;
  for (int i = 0; i < 4; i++) hmtx.u16(1000).u16(0);
  tables["hmtx"] = hmtx.s;
  std::map<uint32_t, unsigned> glyphs = {{first, 1}, {second, 2}};  // groups go by rising character
  FontBytes groups;
  for (auto [character, glyph] : glyphs) groups.u32(character).u32(character).u32(glyph);
  tables["cmap"] = FontBytes()
                       .u16(0)
                       .u16(1)
                       .u16(3)
                       .u16(10)
                       .u32(12)  // one table, format 12
                       .u16(12)
                       .u16(0)
                       .u32(16 + 24)
                       .u32(0)
                       .u32(2)
                       .add(groups.s)
                       .s;

  FontBytes cbdt, offsets;
  cbdt.u16(3).u16(0);
  for (auto* image : {&one, &two, &both}) {
    auto png = encode_png(*image);
    offsets.u32(unsigned(cbdt.s.size()) - 4);
    cbdt.u8(side).u8(side).u8(0).u8(side).u8(side).u32(unsigned(png.size())).add(std::string(png.begin(), png.end()));
  }
  offsets.u32(unsigned(cbdt.s.size()) - 4);
  tables["CBDT"] = cbdt.s;
  FontBytes line;  // ascender, descender, widest; the rest unused
  line.u8(side).u8(0).u8(side).add(std::string(9, '\0'));
  FontBytes strike;  // one range of glyphs 1..3, index format 1, image format 17 (small metrics and PNG)
  strike.u16(1).u16(3).u32(8).u16(1).u16(17).u32(4).add(offsets.s);
  tables["CBLC"] = FontBytes()
                       .u16(3)
                       .u16(0)
                       .u32(1)
                       .u32(56)
                       .u32(unsigned(strike.s.size()))
                       .u32(1)
                       .u32(0)
                       .add(line.s)
                       .add(line.s)
                       .u16(1)
                       .u16(3)
                       .u8(side)
                       .u8(side)
                       .u8(32)
                       .u8(1)
                       .add(strike.s)
                       .s;
  // GSUB: script DFLT, feature ccmp, one ligature lookup: glyph 1, glyph 2 -> glyph 3.
  std::string scripts = FontBytes().u16(1).add("DFLT").u16(8).u16(4).u16(0).u16(0).u16(0xffff).u16(1).u16(0).s;
  std::string features = FontBytes().u16(1).add("ccmp").u16(8).u16(0).u16(1).u16(0).s;
  std::string ligature = FontBytes()
                             .u16(1)
                             .u16(8)
                             .u16(1)
                             .u16(14)
                             .u16(1)
                             .u16(1)
                             .u16(1)  // coverage at 8: glyph 1; set at 14
                             .u16(1)
                             .u16(4)
                             .u16(3)
                             .u16(2)
                             .u16(2)
                             .s;
  std::string lookups = FontBytes().u16(1).u16(4).u16(4).u16(0).u16(1).u16(8).add(ligature).s;
  tables["GSUB"] = FontBytes()
                       .u32(0x10000)
                       .u16(10)
                       .u16(unsigned(10 + scripts.size()))
                       .u16(unsigned(10 + scripts.size() + features.size()))
                       .add(scripts)
                       .add(features)
                       .add(lookups)
                       .s;

  FontBytes file, body;
  unsigned count = unsigned(tables.size());
  file.u32(0x10000).u16(count).u16(0).u16(0).u16(0);
  for (auto& [tag, data] : tables) {
    file.add(tag).u32(0).u32(12 + 16 * count + unsigned(body.s.size())).u32(unsigned(data.size()));
    body.add(data).add(std::string((4 - data.size() % 4) % 4, '\0'));
  }
  return file.s + body.s;
}

}  // namespace duet
