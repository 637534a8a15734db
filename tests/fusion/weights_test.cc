#include "fusion/weights.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "kernels/files.h"
#include "tests/fusion/tiny.h"
#include "text/bpetrain.h"

namespace duet {
namespace {
namespace fs = std::filesystem;

struct Folder {
  fs::path path = fs::temp_directory_path() / ("duet-weights-" + std::to_string(::getpid()));
  Folder() { fs::remove_all(path), fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
};

const Tokenizer& words() {
  static const Tokenizer t = train_bpe({"a red circle"}, 280, 1);
  return t;
}

std::string complaint(const std::string& path) {
  try {
    load_weights(path);
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

TEST(Weights, ComeBackAsTheyWere) {
  const Folder dir;
  Model m(tiny_config());
  shake(m);
  for (const DType type : {DType::f32, DType::bf16}) {
    save_weights(dir / "w", m, words(), type, {{"training", "{}"}});
    Loaded l = load_weights(dir / "w");
    EXPECT_EQ(load_weights(dir / "w/model.safetensors").hash, l.hash);
    EXPECT_EQ(l.tokenizer.hash(), words().hash());
    EXPECT_EQ(l.metadata.at("training"), "{}");
    const Flat a = flatten([&](const Visit& v) { m.params(v); }), b = flatten([&](const Visit& v) { l.model->params(v); });
    ASSERT_EQ(a.n, b.n);
    for (int64_t i = 0; i < a.n; ++i) {
      const float w = a.values.data()[i];
      // bf16 keeps 8 bits: half of the last one may go
      ASSERT_LE(std::abs(b.values.data()[i] - w), type == DType::f32 ? 0 : std::abs(w) * 0x1p-8f) << i;
    }
  }
}

TEST(Weights, SameModelSameBytes) {
  const Folder dir;
  Model m(tiny_config());
  save_weights(dir / "a", m, words(), DType::bf16);
  save_weights(dir / "b", m, words(), DType::bf16);
  EXPECT_EQ(read_file(dir / "a/model.safetensors", 1 << 24), read_file(dir / "b/model.safetensors", 1 << 24));
}

TEST(Weights, RefusesWhatDoesNotBelongTogether) {
  const Folder dir;
  Model m(tiny_config());
  save_weights(dir / "w", m, words(), DType::bf16);
  EXPECT_NE(complaint(dir / "none").find("no such weights"), std::string::npos) << complaint(dir / "none");
  train_bpe({"blue"}, 275, 1).save(dir / "w/tokenizer.json");
  EXPECT_NE(complaint(dir / "w").find("not the tokenizer"), std::string::npos) << complaint(dir / "w");
  words().save(dir / "w/tokenizer.json");
  std::string bytes = read_file(dir / "w/model.safetensors", 1 << 24);
  bytes[bytes.size() - 5] = char(bytes[bytes.size() - 5] ^ 4);
  std::ofstream(dir / "w/model.safetensors", std::ios::binary) << bytes;
  EXPECT_NE(complaint(dir / "w").find("model.safetensors"), std::string::npos);
  bytes.resize(bytes.size() / 2);
  std::ofstream(dir / "w/model.safetensors", std::ios::binary) << bytes;
  EXPECT_NE(complaint(dir / "w").find("model.safetensors"), std::string::npos);
  ModelConfig small = tiny_config();
  small.vocab = 100;
  Model narrow(small);
  save_weights(dir / "n", narrow, words(), DType::f32);
  EXPECT_NE(complaint(dir / "n").find("tokens"), std::string::npos) << complaint(dir / "n");
}

}  // namespace
}  // namespace duet
