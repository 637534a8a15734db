#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "fusion/narrow.h"
#include "fusion/quantize.h"
#include "kernels/files.h"
#include "kernels/safetensors.h"
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
    const Flat a = flatten([&](const Visit&v) { m.params(v); }), b = flatten([&](const Visit&v) { l.model->params(v); });
    ASSERT_EQ(a.n, b.n);
    for (int64_t i = 0; i < a.n; ++i) {
      const float w = a.values.data()[i];
      // bf16 keeps 8 bits: half of the last one may go
      ASSERT_LE(std::abs(b.values.data()[i] - w), type == DType::f32 ? 0 : std::abs(w) * 0x1p-8f) << i;
    }
  }
}

TEST(Weights, SayWhichStylesTheyKnow) {
  const Folder dir;
  Model m(tiny_config());
  const std::vector<std::string> styles{"line icon", "emoji", "그림"};
  save_weights(dir / "w", m, words(), DType::f32, {{"styles", styles_line(styles)}});
  EXPECT_EQ(load_weights(dir / "w").styles, styles);
  save_weights(dir / "none", m, words(), DType::f32);
  EXPECT_EQ(load_weights(dir / "none").styles, std::vector<std::string>{});
  EXPECT_EQ(styles_of_line(" a,,  b  c ,"), (std::vector<std::string>{"a", "b c"}));
  EXPECT_EQ(styles_of_line(std::string(1000, ',') + "x").size(), 1u);
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "s" + std::to_string(i) + ",";
  EXPECT_EQ(styles_of_line(many).size(), kMostStyles) << "a file from elsewhere does not fill the page";
}

// int8: the blocks' weights are off by half a step at most, a step being 1/127 of the output's largest; the rest is bf16.
TEST(Weights, Int8ComesBackWithinHalfAStep) {
  const Folder dir;
  Model m(tiny_config());
  shake(m);
  save_int8(dir / "w", m, words(), {{"training", "{}"}});
  Loaded l = load_weights(dir / "w");
  EXPECT_EQ(l.metadata.at("training"), "{}");
  const auto narrow = int8_weights(m);
  std::vector<Var> before;
  m.params([&](const std::string&, Var& v) { before.push_back(v); });
  size_t i = 0, seen = 0;
  l.model->params([&](const std::string& name, Var& v) {
    const Var& w = before[i++];
    const bool int8 = std::find(narrow.begin(), narrow.end(), w.data()) != narrow.end();
    seen += int8;
    const int64_t C = w.shape().last();
    for (int64_t r = 0; r < w.shape().rows(); ++r) {
      float largest = 0;
      for (int64_t c = 0; c < C; ++c) largest = std::max(largest, std::abs(w.data()[r * C + c]));
      for (int64_t c = 0; c < C; ++c) {
        const float x = w.data()[r * C + c], y = v.data()[r * C + c];
        ASSERT_LE(std::abs(x - y), int8 ? largest * (0.5f / 127 + 0x1p-20f) : std::abs(x) * 0x1p-8f)
            << name << " " << r << "," << c;
      }
    }
  });
  EXPECT_EQ(seen, 16u);
  save_int8(dir / "again", *l.model, words());
  const auto a = Safetensors::open(dir / "w/model.safetensors"), b = Safetensors::open(dir / "again/model.safetensors");
  for (const auto& [name, t] : a.tensors())
    if (t.dtype == "I8") {
      EXPECT_TRUE(std::ranges::equal(t.bytes, b.at(name).bytes)) << name << ": made of int8 weights, they are the same";
    }
}

TEST(Weights, RefusesInt8WithoutItsScales) {
  const Folder dir;
  Model m(tiny_config());
  save_int8(dir / "w", m, words());
  const std::string path = dir / "w/model.safetensors", name = "text.0.up.weight.scale";
  const auto file = Safetensors::open(path);
  const auto with = [&](const char* dtype, std::vector<float> scales) {
    std::vector<TensorOut> out;
    for (const auto& [n, t] : file.tensors())
      if (n != name) out.push_back({n, t.dtype, t.shape, t.bytes});
    const std::vector<int64_t> shape{int64_t(scales.size())};
    if (!scales.empty())
      out.push_back({name, dtype, shape, {reinterpret_cast<const uint8_t*>(scales.data()), scales.size() * 4}});
    fs::create_directories(dir / "bad");
    fs::copy_file(dir / "w/tokenizer.json", dir / "bad/tokenizer.json", fs::copy_options::overwrite_existing);
    write_safetensors(dir / "bad/model.safetensors", out, file.metadata());
    return complaint(dir / "bad");
  };
  const size_t n = size_t(file.at(name).shape[0]);
  EXPECT_EQ(with("F32", std::vector<float>(n, 0.1f)), "accepted");
  EXPECT_NE(with("F32", {}).find(name), std::string::npos);
  EXPECT_NE(with("F32", std::vector<float>(n - 1, 0.1f)).find(name), std::string::npos);
  EXPECT_NE(with("I32", std::vector<float>(n, 0.1f)).find(name), std::string::npos);
  for (const float bad : {-1.0f, NAN, INFINITY}) {
    std::vector<float> s(n, 0.1f);
    s[2] = bad;
    EXPECT_NE(with("F32", s).find(name), std::string::npos) << bad;
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
