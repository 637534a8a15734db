// Tensor: a shape, a type and a shared buffer. Always dense, row-major, outermost dimension first,
// so a comment such as "(B,T,C)" is also the memory order. No strides: a transpose is an op, not a view.
// Buffers come from a cache of freed blocks, so a loop that repeats the same shapes stops asking the system for memory.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <ostream>
#include <span>
#include <vector>

#include "kernels/error.h"

namespace duet {

enum class Device : uint8_t { cpu, cuda };
enum class DType : uint8_t { f32, bf16, i32, u8 };

size_t size_of(DType);
const char* name_of(DType);  // as safetensors spells it: F32, BF16, I32, U8

struct Shape : std::vector<int64_t> {
  using std::vector<int64_t>::vector;
  int64_t count() const {
    int64_t n = 1;
    for (auto d : *this) n *= d;
    return n;
  }
  int64_t last() const { return empty() ? 1 : back(); }
  int64_t rows() const { return last() ? count() / last() : 0; }  // everything but the last dimension
};
std::ostream& operator<<(std::ostream&, const Shape&);

struct Buffer {
  Device device;
  size_t bytes;
  void* data;
  Buffer(Device, size_t bytes);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
};

class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Shape shape, DType = DType::f32, Device = Device::cpu);  // uninitialised
  static Tensor zeros(Shape, DType = DType::f32, Device = Device::cpu);
  static Tensor of(Shape, std::initializer_list<float>);
  static Tensor copy_of(Shape, std::span<const float>);
  static Tensor ints(std::span<const int32_t>);  // (n) i32

  const Shape& shape() const { return shape_; }
  int64_t dim(size_t i) const { return shape_.at(i); }
  DType dtype() const { return dtype_; }
  Device device() const { return buffer_->device; }
  int64_t count() const { return shape_.count(); }
  size_t bytes() const { return size_t(count()) * size_of(dtype_); }
  explicit operator bool() const { return buffer_ != nullptr; }
  template <class T = float>
  T* data() const {
    return reinterpret_cast<T*>(static_cast<char*>(buffer_->data) + offset_);
  }
  std::span<float> floats() const { return {data(), size_t(count())}; }
  Tensor reshape(Shape) const;                     // same buffer
  Tensor slice(int64_t first, Shape) const;        // same buffer, from element `first` on
  Tensor clone() const;

 private:
  Shape shape_;
  DType dtype_ = DType::f32;
  size_t offset_ = 0;  // bytes into the buffer
  std::shared_ptr<Buffer> buffer_;
};

// Bytes the program has taken from the system for tensors so far, and how many times it asked.
struct MemoryStats {
  size_t bytes, calls;
};
MemoryStats memory_stats();

}  // namespace duet
