#include "kernels/tensor.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "kernels/arena.h"
#include "kernels/device.h"
#include "kernels/narrow.h"

namespace duet {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr size_t kSegment = 0;
#else
constexpr size_t kSegment = 32u << 20;
#endif

constexpr size_t kPage = 4096, kHugePage = 2u << 20;

void* from_system(size_t bytes) {
  void* p = nullptr;
  if (posix_memalign(&p, bytes >= kHugePage ? kHugePage : kPage, bytes) != 0) return nullptr;
  // Huge pages: a block of a product touches 32 rows of its output, which are 32 pages of 4 KiB.
  if (bytes >= kHugePage) madvise(p, bytes, MADV_HUGEPAGE);
  return p;
}

// Blocks of tensors: in an arena from a page up; smaller ones, which come and go by the thousand, are kept by size.
class Cache {
 public:
  void* take(size_t& bytes) {
    const size_t unit = bytes >= kPage ? kPage : 64;
    bytes = std::max<size_t>(unit, (bytes + unit - 1) / unit * unit);
    std::lock_guard l(mutex_);
    void* p = nullptr;
    if (bytes >= kPage) {
      p = pages_.take(bytes);
    } else if (auto it = small_.find(bytes); it != small_.end() && !it->second.empty()) {
      p = it->second.back();
      it->second.pop_back();
    } else if ((p = std::aligned_alloc(unit, bytes))) {
      taken_ += bytes, ++calls_;
    }
    if (!p) refuse("out of memory: could not get ", (bytes >> 20) + 1, " MiB more; use a smaller batch or model");
    return p;
  }
  void give(void* p, size_t bytes) {
    std::lock_guard l(mutex_);
    if (bytes >= kPage) pages_.give(p);
    else small_[bytes].push_back(p);
  }
  MemoryStats stats() {
    std::lock_guard l(mutex_);
    return {taken_ + pages_.taken(), calls_ + pages_.calls(), taken_ + pages_.in_use()};
  }

 private:
  std::mutex mutex_;
  Arena pages_{{from_system, [](void* p, size_t) { std::free(p); }}, kPage, kSegment};
  std::map<size_t, std::vector<void*>> small_;  // free ones by their bytes
  size_t taken_ = 0, calls_ = 0;                // of small ones
};

Cache& cache() {
  static Cache* c = new Cache;  // outlives every static tensor
  return *c;
}

}  // namespace

size_t size_of(DType t) {
  CHECK(!is_narrow(t), "weights of type ", name_of(t), " are multiplied with, and otherwise kept whole");
  return t == DType::bf16 ? 2 : t == DType::u8 ? 1 : 4;
}
const char* name_of(DType t) {
  constexpr const char* kNames[] = {"F32", "BF16", "I32", "U8", "int8", "int4", "fp8"};
  return kNames[size_t(t)];
}

std::ostream& operator<<(std::ostream& o, const Shape& s) {
  o << "(";
  for (size_t i = 0; i < s.size(); ++i) o << (i ? "," : "") << s[i];
  return o << ")";
}

Buffer::Buffer(Device d, size_t n)
    : device(d), bytes(n), data(d == Device::cpu ? cache().take(bytes) : kernels(d).memory.take(bytes)) {}
Buffer::~Buffer() {
  if (device == Device::cpu) cache().give(data, bytes);
  else kernels(device).memory.give(data, bytes);
}
MemoryStats memory_stats() { return cache().stats(); }

Tensor::Tensor(Shape s, DType t, Device d) : shape_(std::move(s)), dtype_(t) {
  CHECK(shape_.count() >= 0, "a shape without negative dimensions, not ", shape_);
  buffer_ = std::make_shared<Buffer>(d, bytes());
}
Tensor Tensor::zeros(Shape s, DType t, Device d) {
  Tensor x(std::move(s), t, d);
  if (d == Device::cpu) std::memset(x.data<void>(), 0, x.bytes());
  else kernels(d).memory.zero(x.data<void>(), x.bytes());
  return x;
}
Tensor Tensor::of(Shape s, std::initializer_list<float> v) { return copy_of(std::move(s), {v.begin(), v.size()}); }
Tensor Tensor::copy_of(Shape s, std::span<const float> v) {
  Tensor x(std::move(s));
  CHECK(int64_t(v.size()) == x.count(), v.size(), " values for shape ", x.shape());
  std::copy(v.begin(), v.end(), x.data());
  return x;
}
Tensor Tensor::ints(std::span<const int32_t> v) {
  Tensor x({int64_t(v.size())}, DType::i32);
  std::copy(v.begin(), v.end(), x.data<int32_t>());
  return x;
}
size_t Tensor::bytes() const {
  return is_narrow(dtype_) ? NarrowLayout(shape_, dtype_).bytes() : size_t(count()) * size_of(dtype_);
}
Tensor Tensor::reshape(Shape s) const {
  CHECK(s.count() == count(), "cannot view ", shape_, " as ", s);
  Tensor x = *this;
  x.shape_ = std::move(s);
  return x;
}
Tensor Tensor::slice(int64_t first, Shape s) const {
  CHECK(first >= 0 && first + s.count() <= count(), "slice at ", first, " of ", s, " leaves ", shape_);
  Tensor x = *this;
  x.offset_ += size_t(first) * size_of(dtype_);
  x.shape_ = std::move(s);
  return x;
}
Tensor Tensor::clone() const {
  Tensor x(shape_, dtype_, device());
  copy_values(x, *this);
  return x;
}
Tensor Tensor::to(Device d) const {
  if (d == device()) return *this;
  Tensor x(shape_, dtype_, d);
  copy_values(x, *this);
  return x;
}
void Tensor::keep_rounded() const {
  CHECK(dtype_ == DType::f32, "only F32 has a rounded twin, not ", name_of(dtype_));
  buffer_->rounded = std::make_shared<Buffer>(device(), buffer_->bytes / 2);
}
Tensor Tensor::rounded() const {
  if (!buffer_->rounded) return {};
  Tensor x = *this;
  x.dtype_ = DType::bf16, x.offset_ = offset_ / 2, x.buffer_ = buffer_->rounded;
  return x;
}
static thread_local KeepMemos* keeper = nullptr;
KeepMemos::KeepMemos() {
  CHECK(!keeper, "one at a time keeps memos");
  keeper = this;
}
KeepMemos::~KeepMemos() { keeper = nullptr; }

std::shared_ptr<void> Tensor::memo_of(const char* what, const std::function<std::shared_ptr<void>()>& make) const {
  std::lock_guard l(buffer_->memo_mutex);
  for (const auto& m : buffer_->memos)
    if (m.offset == offset_ && m.bytes == bytes() && std::strcmp(m.what, what) == 0) {
      if (keeper) keeper->kept.push_back(m.made);
      return m.made;
    }
  auto made = make();
  if (keeper) keeper->kept.push_back(made);
  buffer_->memos.push_back({what, offset_, bytes(), made});
  return made;
}

void copy_values(const Tensor& to, const Tensor& from) {
  CHECK(to.count() == from.count() && to.dtype() == from.dtype(), "a copy of ", from.shape(), " to ", to.shape());
  if (to.device() == Device::cpu && from.device() == Device::cpu) std::memcpy(to.data<void>(), from.data<void>(), to.bytes());
  else kernels(Device::cuda).memory.copy(to.data<void>(), to.device(), from.data<void>(), from.device(), to.bytes());
}
Tensor kept_on(const Tensor& t, Device d) {
  if (t.device() == d) return t;
  return *t.memo<Tensor>(d == Device::cuda ? "cuda" : "cpu", [&] { return std::make_shared<Tensor>(t.to(d)); });
}

}  // namespace duet
