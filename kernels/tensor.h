// Tensor: a shape, a type and a shared buffer. Always dense, row-major, outermost dimension first,
// so a comment such as "(B,T,C)" is also the memory order. No strides: a transpose is an op, not a view.
// Buffers come from a cache of freed blocks, so a loop that repeats the same shapes stops asking the system for memory.
#pragma once
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <ostream>
#include <span>
#include <vector>

#include "kernels/error.h"

namespace duet {

enum class Device : uint8_t { cpu, cuda };
enum class DType : uint8_t { f32, bf16, i32, u8, int8, int4, fp8 };  // the last three are weights: kernels/narrow.h

size_t size_of(DType);       // of one value; not of narrow weights, which share bytes and have scales
const char* name_of(DType);  // as safetensors spells it: F32, BF16, I32, U8; of weights int8, int4, fp8, as --quantize does

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

// Bytes the program has taken from the system, or a card, for tensors so far, and how many times it asked.
struct MemoryStats {
  size_t bytes, calls;  // taken from the system, in how many calls
  size_t in_use;        // of those, what tensors hold now; of small ones what they ever held
};

struct Buffer {
  Device device;
  size_t bytes;
  void* data;
  std::shared_ptr<Buffer> rounded;  // of weights on a card: their bf16 twin, element for element; see Tensor::rounded
  struct Memo {
    const char* what;
    size_t offset, bytes;
    std::shared_ptr<void> made;
  };
  std::vector<Memo> memos;
  std::mutex memo_mutex;
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
  size_t bytes() const;
  explicit operator bool() const { return buffer_ != nullptr; }
  template <class T = float>
  T* data() const {
    return reinterpret_cast<T*>(static_cast<char*>(buffer_->data) + offset_);
  }
  std::span<float> floats() const { return {data(), size_t(count())}; }
  Tensor reshape(Shape) const;               // same buffer
  Tensor slice(int64_t first, Shape) const;  // same buffer, from element `first` on
  Tensor clone() const;
  Tensor to(Device) const;  // itself when it is there already, else a copy

  // For f32 weights that products read as bf16: keep_rounded() gives the buffer a bf16 twin (not yet filled); rounded()
  // is this tensor's part of it, empty when there is none.
  void keep_rounded() const;
  Tensor rounded() const;

  // What `make` returns of this tensor's values, made once and kept with its buffer: they must not change after.
  template <class M>
  std::shared_ptr<const M> memo(const char* what, const std::function<std::shared_ptr<M>()>& make) const {
    return std::static_pointer_cast<const M>(memo_of(what, [&] { return std::static_pointer_cast<void>(make()); }));
  }

 private:
  std::shared_ptr<void> memo_of(const char* what, const std::function<std::shared_ptr<void>()>& make) const;
  Shape shape_;
  DType dtype_ = DType::f32;
  size_t offset_ = 0;  // bytes into the buffer
  std::shared_ptr<Buffer> buffer_;
};

// While one lives on this thread, it keeps all that memo() returns: for work that will be done again without asking.
class KeepMemos {
 public:
  KeepMemos();
  ~KeepMemos();
  KeepMemos(const KeepMemos&) = delete;
  std::vector<std::shared_ptr<void>> kept;
};

MemoryStats memory_stats();  // of the CPU

void copy_values(const Tensor& to, const Tensor& from);  // same count and type, any devices

}  // namespace duet
