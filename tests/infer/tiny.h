// A model of a few thousand random weights, and a folder to work in: enough to run every verb in milliseconds.
#pragma once
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "fusion/weights.h"
#include "text/bpetrain.h"
#include "vision/codec.h"

namespace duet {

struct TempDir {
  std::string path;
  TempDir() {
    std::string s = (std::filesystem::temp_directory_path() / "duet-infer-XXXXXX").string();
    path = mkdtemp(s.data());
  }
  ~TempDir() { std::filesystem::remove_all(path); }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
};

inline const Tokenizer& tiny_tokenizer() {
  static const Tokenizer t = train_bpe({"a red circle", "a red star", "a blue circle", "빨간 원", "파란 별", "빨간 별"}, 290);
  return t;
}

// All weights random, those too that training starts at zero: everything in the model has a say in its results.
inline std::unique_ptr<Model> tiny_model() {
  ModelConfig c;
  c.patch = 8, c.size = 24, c.vocab = 296, c.width = 32, c.head = 16, c.hidden = 48, c.embed = 16;
  c.vision_depth = c.text_depth = 1, c.fusion_depth = 2;
  auto m = std::make_unique<Model>(c);
  uint64_t n = 0;
  m->params([&](const std::string& name, Var& v) {
    if (name.find("gain") != std::string::npos || name.starts_with("head.log_scale")) return;
    const float scale = name == "table" ? 0.6f : name.find("own") != std::string::npos ? 0.5f : 0.25f;
    for (auto& x : v.value().floats()) x = scale * normal(77, n++);
  });
  return m;
}

inline Image tiny_picture(uint64_t seed, int w = 24, int h = 24, bool transparent = false) {
  Image image(w, h);
  for (size_t i = 0; i < image.rgba.size(); ++i)
    image.rgba[i] = i % 4 == 3 && !transparent ? 255 : uint8_t(mix(seed, i / 16) >> 8);
  return image;
}

inline void save_picture(const std::string& path, const Image& image) { write_file_atomic(path, encode_png(image)); }

}  // namespace duet
