#include "fusion/weights.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <deque>
#include <filesystem>

#include "fusion/fields.h"
#include "fusion/modelfile.h"
#include "kernels/device.h"
#include "kernels/safetensors.h"
#include "text/unicode.h"

namespace duet {
namespace fs = std::filesystem;

uint16_t to_bf16(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x);
  return uint16_t((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

void write_model(const std::string& dir, const ModelConfig& config, const Tokenizer& tokenizer,
                 const std::vector<TensorOut>& tensors, Provenance meta) {
  make_folder(dir);
  meta["format"] = "duet-1";
  meta["config"] = to_json(config);
  meta["tokenizer"] = hex64(tokenizer.hash());
  tokenizer.save((fs::path(dir) / "tokenizer.json").string());
  write_safetensors((fs::path(dir) / "model.safetensors").string(), tensors, meta);
}

void save_weights(const std::string& dir, Model& m, const Tokenizer& tokenizer, DType type, const Provenance& more) {
  CHECK(type == DType::f32 || type == DType::bf16, "weights are saved as F32 or BF16");
  std::vector<TensorOut> out;
  std::vector<std::vector<uint16_t>> narrow;
  std::deque<Tensor> on_host;
  m.params([&](const std::string& name, Var& v) {
    const Tensor& t = on_host.emplace_back(v.value().to(Device::cpu));
    Bytes bytes{t.data<uint8_t>(), t.bytes()};
    if (type == DType::bf16) {
      auto& n = narrow.emplace_back(size_t(t.count()));
      for (size_t i = 0; i < n.size(); ++i) n[i] = to_bf16(t.data()[i]);
      bytes = {reinterpret_cast<const uint8_t*>(n.data()), n.size() * 2};
    }
    out.push_back({name, name_of(type), std::vector<int64_t>(t.shape().begin(), t.shape().end()), bytes});
  });
  write_model(dir, m.config, tokenizer, out, more);
}

// "RUN holds checkpoints of a run ...; or " where a run that was stopped lies at the folder or above it, else nothing.
static std::string checkpoints_near(const fs::path& folder) {
  for (const fs::path& at : {folder, folder.parent_path()}) {
    std::error_code none;
    for (const auto& e : fs::directory_iterator(at, none))
      if (e.path().filename().string().starts_with("step-") && e.is_directory(none))
        return join(at.string(),
                    " holds checkpoints of a training run: write their weights with 'duet train CONFIG --set out=", at.string(),
                    " --export DIR'; or ");
  }
  return "";
}

std::string styles_line(const std::vector<std::string>& styles) {
  std::string line;
  for (const auto& s : styles) line += (line.empty() ? "" : ", ") + s;
  return line;
}

std::vector<std::string> styles_of_line(const std::string& line) {
  std::vector<std::string> out;
  for (size_t at = 0; at <= line.size() && out.size() < kMostStyles;) {
    const size_t end = std::min(line.find(',', at), line.size());
    if (const auto s = clean_caption(line.substr(at, end - at)); !s.empty()) out.push_back(s);
    at = end + 1;
  }
  return out;
}

Loaded load_weights(const std::string& given, Device where) {
  fs::path path = given;
  if (fs::is_directory(path)) path /= "model.safetensors";
  if (!fs::exists(path))
    refuse(path.string(), ": no such weights; ", checkpoints_near(path.parent_path()),
           "train some with 'duet train' or name a folder that holds model.safetensors");
  const Safetensors file = Safetensors::open(path.string());
  const auto& meta = file.metadata();
  if (!meta.count("format") || meta.at("format") != "duet-1" || !meta.count("config"))
    refuse(path.string(), ": not a duet model (no format 'duet-1' in its __metadata__)");
  ModelConfig c;
  from_json(meta.at("config"), path.string() + ": config", c);
  Tokenizer tokenizer = Tokenizer::load((path.parent_path() / "tokenizer.json").string());
  if (meta.count("tokenizer") && meta.at("tokenizer") != hex64(tokenizer.hash()))
    refuse((path.parent_path() / "tokenizer.json").string(), ": not the tokenizer that ", path.filename().string(),
           " was trained with; copy the right one beside it");
  if (tokenizer.size() > c.vocab)
    refuse(path.string(), ": the tokenizer has ", tokenizer.size(), " tokens but the model ", c.vocab);
  Loaded l{std::make_unique<Model>(c), std::move(tokenizer), meta, path.string(), hash_file(path.string()).xxh3};
  if (const auto s = meta.find("sampling"); s != meta.end()) {
    const std::string where = path.string() + ": sampling";
    from_json(s->second, where, l.sampling);
    const Sampling& n = l.sampling;
    if (n.steps < 1 || n.steps > 1000 || n.guidance < 0 || n.guidance > 100 || n.shift < 0.05 || n.shift > 20)
      refuse(where, ": steps ", n.steps, ", guidance ", n.guidance, ", shift ", n.shift,
             " are not within 1 to 1000, 0 to 100 and 0.05 to 20; train or download the weights again");
  }
  if (const auto s = meta.find("styles"); s != meta.end()) l.styles = styles_of_line(s->second);
  size_t used = 0;
  l.model->params([&](const std::string& name, Var& v) {
    const TensorView& t = file.at(name);
    ++used;
    if (t.shape != std::vector<int64_t>(v.shape().begin(), v.shape().end()))
      refuse(path.string(), ": tensor ", name, " has another shape than its config says, ", v.shape());
    float* to = v.data();
    if (t.dtype == "F32") {
      std::memcpy(to, t.bytes.data(), t.bytes.size());
    } else if (t.dtype == "BF16") {
      for (int64_t i = 0; i < v.value().count(); ++i) {
        uint16_t h;
        std::memcpy(&h, t.bytes.data() + 2 * i, 2);
        to[i] = std::bit_cast<float>(uint32_t(h) << 16);
      }
    } else if (t.dtype == "I8") {
      const TensorView& s = file.at(name + ".scale");
      ++used;
      const int64_t O = v.dim(0), C = v.value().count() / std::max<int64_t>(O, 1);
      if (s.dtype != "F32" || s.shape != std::vector<int64_t>{O})
        refuse(path.string(), ": tensor ", name, ".scale is not F32 with one number for each of ", O, " outputs");
      for (int64_t o = 0; o < O; ++o) {
        float scale;
        std::memcpy(&scale, s.bytes.data() + 4 * o, 4);
        if (!(scale >= 0) || !std::isfinite(scale)) refuse(path.string(), ": tensor ", name, ".scale holds ", scale, " at ", o);
        for (int64_t c = 0; c < C; ++c) to[o * C + c] = float(int8_t(t.bytes[size_t(o * C + c)])) * scale;
      }
    } else {
      refuse(path.string(), ": tensor ", name, " is ", t.dtype, "; duet reads F32, BF16 and I8");
    }
  });
  if (used != file.tensors().size()) refuse(path.string(), ": has ", file.tensors().size(), " tensors, the model ", used);
  flatten([&](const Visit& v) { l.model->params(v); }, where);
  return l;
}

}  // namespace duet
