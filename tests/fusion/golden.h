// tests/golden/model.safetensors: the model as PyTorch computes it, in f64 and in f32. See tests/golden/model.py.
#pragma once
#include "fusion/fields.h"
#include "kernels/safetensors.h"
#include "tests/fusion/tiny.h"
#include "tests/kernels/gradcheck.h"

namespace duet {

struct Golden {
  Safetensors file = Safetensors::open(std::string(DUET_SOURCE_DIR) + "/tests/golden/model.safetensors");
  ModelConfig config;
  std::unique_ptr<Model> model;
  Golden() {
    from_json(file.metadata().at("config"), "model.safetensors", config);
    model = std::make_unique<Model>(config);
    model->params([&](const std::string& name, Var& v) {
      const auto w = read<float>("weight:" + name);
      CHECK(int64_t(w.size()) == v.value().count(), name);
      std::copy(w.begin(), w.end(), v.data());
    });
  }
  template <class T>
  std::vector<T> read(const std::string& name) const {
    const TensorView& t = file.at(name);
    CHECK(t.dtype == (std::is_integral_v<T> ? "I32" : sizeof(T) == 8 ? "F64" : "F32"), name, " is ", t.dtype);
    std::vector<T> v(t.bytes.size() / sizeof(T));
    std::memcpy(v.data(), t.bytes.data(), t.bytes.size());
    return v;
  }
  // Within 2 x the error of PyTorch's f32 (and 4 roundings of the largest element)
  void compare(const std::string& name, const Tensor& got) const {
    Compare value(name);
    compare(name, got.data(), got.count(), value);
  }
  void compare(const std::string& name, const float* got, int64_t n, Compare& value) const {
    const auto truth = read<double>("f64:" + name);
    const auto naive = read<float>("f32:" + name);
    ASSERT_EQ(int64_t(truth.size()), n) << name;
    for (size_t i = 0; i < truth.size(); ++i) value(truth[i], naive[i], got[i]);
    for (int run = 0; file.tensors().count("f32:" + name + ":" + std::to_string(run));
         ++run) {  // more runs of the plain computation
      const auto other = read<float>("f32:" + name + ":" + std::to_string(run));
      for (size_t i = 0; i < truth.size(); ++i) value(truth[i], other[i], truth[i]);
    }
  }

  std::vector<float> pixels = read<float>("pixels");
  JointBatch batch(uint64_t seed) const {
    JointBatch b;
    b.B = 5, b.size = config.size, b.pixels = pixels.data(), b.seed = seed;
    const auto ids = read<int32_t>("text"), lengths = read<int32_t>("text_lengths"), same = read<int32_t>("same");
    for (size_t i = 0, at = 0; i < lengths.size(); at += size_t(lengths[i++]))
      b.text.emplace_back(ids.begin() + long(at), ids.begin() + long(at) + lengths[i]);
    b.same.assign(same.begin(), same.end());
    return b;
  }
  static JointConfig loss() { return {.drop = 0.3}; }
};

}  // namespace duet
