#include "kernels/gemm.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "kernels/device.h"
#include "kernels/error.h"
#include "kernels/gemm_tiles.h"
#include "kernels/narrow.h"
#include "kernels/parallel.h"
#include "kernels/tensor.h"
#include "kernels/vec.h"

namespace duet {
namespace {

Precision current = Precision::f32;
std::atomic<int64_t> flops{0};

int64_t up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// Packed K of one panel, laid out k block after k block: a piece of ks takes up(ks, k_unit) * width elements.
size_t panel_bytes(const TileEngine& e, int64_t K, bool is_a) {
  const int64_t whole = K / e.k_block * e.k_block;
  return (is_a ? e.a_header : e.b_header) +
         size_t(whole + up(K - whole, e.k_unit)) * (is_a ? e.rows * e.a_element : e.cols * e.b_element);
}

struct Freezer {
  std::mutex mutex;
  int depth = 0;
  std::unordered_map<const float*, std::shared_ptr<const PackedB>> packs;
  std::unordered_set<const float*> int8;
  std::string narrow;  // what weights are, where they are narrow
};
Freezer& freezer() {
  static Freezer* f = new Freezer;
  return *f;
}

}  // namespace

struct PackedB {
  const TileEngine& e;
  int64_t N, K;
  Tensor bytes;
};

Bf16Unit bf16_unit() { return has_amx() ? Bf16Unit::amx : has_avx512_bf16() ? Bf16Unit::avx512 : Bf16Unit::none; }
bool bf16_is_fast() { return bf16_unit() == Bf16Unit::amx || (bf16_unit() == Bf16Unit::avx512 && __builtin_cpu_is("amd")); }
const char* precision_name(Precision p, bool on_card) {
  if (p == Precision::f32) return "f32";
  if (p == Precision::fp16) return "fp16";
  return on_card ? "bf16" : bf16_unit() == Bf16Unit::amx ? "bf16 (AMX)" : "bf16 (AVX-512)";
}
const TileEngine& tiles(Precision p) {
  if (p == Precision::fp16) return kFp16Tiles;
  if (p == Precision::f32 || bf16_unit() == Bf16Unit::none) return kF32Tiles;
  return bf16_unit() == Bf16Unit::amx ? kAmxTiles : kBf16Tiles;
}
Precision precision() { return current; }
void set_precision(Precision p) {
  if (p == Precision::bf16 && bf16_unit() == Bf16Unit::none && device() == Device::cpu)
    refuse("precision bf16 needs a CPU with AMX or AVX-512 BF16, and this one has neither: use f32, or --device cuda");
  if (p == Precision::fp16 && (!has_fp16() || device() != Device::cpu))
    refuse("precision fp16 needs a CPU with AVX-512 FP16",
           device() == Device::cpu ? ", which this one lacks" : "; a card has bf16", ": use auto");
  current = p;
}

void choose_precision(const std::string& name) {
  if (name == "auto")
    set_precision(bf16_is_fast() || device() == Device::cuda ? Precision::bf16 : has_fp16() ? Precision::fp16 : Precision::f32);
  else if (name == "fp16") set_precision(Precision::fp16);
  else if (name == "bf16" || name == "f32") set_precision(name == "bf16" ? Precision::bf16 : Precision::f32);
  else refuse("precision '", name, "' is none of auto, bf16, fp16, f32");
}

// Each job reads memory in its own order: a panel whose k runs along lines is read panel by panel; where lines are k, 32
// lines at a time are dealt out to all panels. Both write the same bytes.
static void pack_all(const TileEngine& e, char* out, Mat m, int64_t outer, int64_t K, bool is_a) {
  const int width = is_a ? e.rows : e.cols;
  const size_t panel = panel_bytes(e, K, is_a);
  const int64_t panels = (outer + width - 1) / width;
  const auto pack = [&](int64_t i, int64_t k, int64_t ks) {
    (is_a ? e.pack_a : e.pack_b)(out + i * panel + size_t(k) * width * (is_a ? e.a_element : e.b_element), m, i * width,
                                 std::min<int64_t>(width, outer - i * width), k, ks);
  };
  if (m.transposed == is_a) {
    constexpr int64_t kLines = 32;
    parallel_for((K + kLines - 1) / kLines, [&](int64_t j) {
      for (int64_t i = 0; i < panels; ++i) pack(i, j * kLines, std::min(kLines, K - j * kLines));
    });
  } else {
    parallel_for(panels, [&](int64_t i) {
      for (int64_t k = 0; k < K; k += e.k_block) pack(i, k, std::min(e.k_block, K - k));
    });
  }
}

static std::shared_ptr<const PackedB> pack(const TileEngine& e, Mat b, int64_t N, int64_t K) {
  const int64_t bytes = int64_t(panel_bytes(e, K, false)) * ((N + e.cols - 1) / e.cols);
  auto p = std::make_shared<PackedB>(PackedB{e, N, K, Tensor({bytes}, DType::u8)});
  pack_all(e, p->bytes.data<char>(), b, N, K, false);
  return p;
}

std::shared_ptr<const PackedB> pack_b(Mat b, int64_t N, int64_t K) { return pack(tiles(current), b, N, K); }
void refuse_without_int8() {
  if (!has_int8()) refuse("int8 needs a CPU with AVX-512 VNNI, and this one has none: use --quantize none");
}
std::shared_ptr<const PackedB> pack_int8(const float* w, int64_t N, int64_t K) {
  refuse_without_int8();
  return pack(kInt8Tiles, {w, K, true}, N, K);
}

namespace {

struct Packed {
  const TileEngine& e;
  const char *a, *b;
  size_t a_panel, b_panel;  // bytes of a panel
  int64_t M, N;
  bool room = false;  // C has room for whole blocks
};

// Block (i, j) of C, for the piece of K that starts at k
void multiply_block(const Packed& p, float* C, int64_t ldc, int64_t i, int64_t j, int64_t k, int64_t ks, bool load) {
  const TileEngine& e = p.e;
  const int64_t row = i * e.rows, col = j * e.cols;
  const int64_t rows = std::min<int64_t>(e.rows, p.M - row), cols = std::min<int64_t>(e.cols, p.N - col);
  float* c = C + row * ldc + col;
  const char* a = p.a + i * p.a_panel + size_t(k) * e.rows * e.a_element;
  const char* b = p.b + j * p.b_panel + size_t(k) * e.cols * e.b_element;
  if (p.room || (rows == e.rows && cols == e.cols)) {
    e.multiply(c, ldc, a, b, ks, load);
    return;
  }
  alignas(64) float edge[32 * 32];
  if (load)
    for (int64_t r = 0; r < rows; ++r) std::copy_n(c + r * ldc, cols, edge + r * e.cols);
  e.multiply(edge, e.cols, a, b, ks, load);
  for (int64_t r = 0; r < rows; ++r) std::copy_n(edge + r * e.cols, cols, c + r * ldc);
}

}  // namespace

void gemm(float* C, int64_t ldc, Mat A, Mat B, int64_t M, int64_t N, int64_t K, const GemmOptions& o) {
  if (M <= 0 || N <= 0) return;
  if (o.counted) flops.fetch_add(2 * M * N * K, std::memory_order_relaxed);
  const TileEngine& e = o.packed ? o.packed->e : tiles(current);
  const int64_t a_panels = (M + e.rows - 1) / e.rows, b_panels = (N + e.cols - 1) / e.cols;
  const size_t a_panel = panel_bytes(e, K, true), b_panel = panel_bytes(e, K, false);
  char* pa = scratch<char>(0, int64_t(a_panel) * a_panels);
  const char* pb;
  if (o.packed) {
    CHECK((&e == &tiles(current) || &e == &kInt8Tiles) && o.packed->N == N && o.packed->K == K,
          "weights packed for this product");
    pb = o.packed->bytes.data<char>();
  } else {
    char* w = scratch<char>(1, int64_t(b_panel) * b_panels);
    pack_all(e, w, B, N, K, false);
    pb = w;
  }
  pack_all(e, pa, A, M, K, true);

  const Packed p{e, pa, pb, a_panel, b_panel, M, N, o.room};
  const int64_t chunk = std::max<int64_t>(1, e.chunk_rows / e.rows);  // panels of A per job
  const int64_t m_jobs = (a_panels + chunk - 1) / chunk;
  const int64_t n_jobs = std::clamp<int64_t>(8 / m_jobs, 1, std::max<int64_t>(1, b_panels / 4));
  const int64_t n_chunk = (b_panels + n_jobs - 1) / n_jobs;
  parallel_for(m_jobs * n_jobs, [&](int64_t job) {
    const int64_t a0 = job / n_jobs * chunk, a1 = std::min(a_panels, a0 + chunk);
    const int64_t b0 = job % n_jobs * n_chunk, b1 = std::min(b_panels, b0 + n_chunk);
    if (o.bias)
      for (int64_t r = a0 * e.rows, end = std::min(M, a1 * e.rows); r < end; ++r)
        for (int64_t c = b0 * e.cols, last = std::min(N, b1 * e.cols); c < last; ++c) C[r * ldc + c] = o.bias[c];
    for (int64_t k = 0; k < K || k == 0; k += e.k_block)
      for (int64_t i = a0; i < a1; i += e.together)
        for (int64_t j = b0; j < b1; ++j)
          for (int64_t ii = i; ii < std::min(a1, i + e.together); ++ii)
            multiply_block(p, C, ldc, ii, j, k, std::min(e.k_block, K - k), k > 0 || o.accumulate || o.bias);
  });
}

int64_t WeightSum::round_up(int64_t tokens) { return up(tokens, tiles(current).k_unit); }

WeightSum::WeightSum(int64_t O, int64_t C, int64_t places) : O_(O), C_(C), places_(places) {
  const TileEngine& e = tiles(current);
  a_ = Tensor({int64_t(panel_bytes(e, places, true)) * ((O + e.rows - 1) / e.rows)}, DType::u8);
  b_ = Tensor({int64_t(panel_bytes(e, places, false)) * ((C + e.cols - 1) / e.cols)}, DType::u8);
}

// Asks for the lines that the next panel is written to, so that writing does not wait for each.
static void want_lines(char* p, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + i, 1);
}

void WeightSum::add(const float* dy, const float* x, int64_t n, int64_t at) {
  const TileEngine& e = tiles(current);
  const size_t a_panel = panel_bytes(e, places_, true), b_panel = panel_bytes(e, places_, false);
  // 32 tokens at a time go to all panels: their lines are read once
  for (int64_t k = 0; k < n; k += 32) {
    const int64_t ks = std::min<int64_t>(32, n - k);
    char* a = a_.data<char>() + size_t(at + k) * e.rows * e.a_element;
    for (int64_t i = 0; i * e.rows < O_; ++i, a += a_panel) {
      if ((i + 1) * e.rows < O_) want_lines(a + a_panel, size_t(ks) * e.rows * e.a_element);
      e.pack_a(a, {dy, O_, true}, i * e.rows, std::min<int64_t>(e.rows, O_ - i * e.rows), k, ks);
    }
    char* b = b_.data<char>() + size_t(at + k) * e.cols * e.b_element;
    for (int64_t j = 0; j * e.cols < C_; ++j, b += b_panel) {
      if ((j + 1) * e.cols < C_) want_lines(b + b_panel, size_t(ks) * e.cols * e.b_element);
      e.pack_b(b, {x, C_}, j * e.cols, std::min<int64_t>(e.cols, C_ - j * e.cols), k, ks);
    }
  }
}

void WeightSum::finish(const std::vector<Job>& sums) {
  const TileEngine& e = tiles(current);
  constexpr int64_t kGroup = 4;  // panels of A a job: a piece of them and of one panel of B stay in the second cache
  const int64_t k_step = std::min<int64_t>(256, e.k_block);
  struct Part {
    const Job* job;
    int64_t first;
  };
  std::vector<Part> parts;
  for (const Job& j : sums) {
    flops.fetch_add(2 * j.sum->O_ * j.sum->C_ * j.sum->places_, std::memory_order_relaxed);
    for (int64_t i = 0; i * e.rows < j.sum->O_; i += kGroup) parts.push_back({&j, i});
  }
  parallel_for(int64_t(parts.size()), [&](int64_t n) {
    const WeightSum& s = *parts[size_t(n)].job->sum;
    float* dw = parts[size_t(n)].job->dw;
    const Packed p{
        e, s.a_.data<char>(), s.b_.data<char>(), panel_bytes(e, s.places_, true), panel_bytes(e, s.places_, false), s.O_, s.C_};
    const int64_t first = parts[size_t(n)].first, last = std::min(first + kGroup, (s.O_ + e.rows - 1) / e.rows);
    for (int64_t k = 0; k < s.places_; k += k_step)
      for (int64_t j = 0; j * e.cols < s.C_; ++j)
        for (int64_t i = first; i < last; ++i) multiply_block(p, dw, s.C_, i, j, k, std::min(k_step, s.places_ - k), true);
  });
}

int64_t gemm_flops() { return flops.load(); }
void count_flops(int64_t n) { flops.fetch_add(n, std::memory_order_relaxed); }

static double measure_peak(const TileEngine& e) {
  constexpr int64_t kDepth = 128, kTimes = 4000;
  double best = 0;
  for (int round = 0; round < 5; ++round) {
    const auto start = std::chrono::steady_clock::now();
    parallel_for(threads(), [&](int64_t) {
      alignas(64) static thread_local float a[32 * kDepth], b[32 * kDepth], c[32 * 32];
      for (int64_t i = 0; i < kTimes; ++i) e.multiply(c, e.cols, a, b, kDepth, false);
    });
    const double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, 2.0 * e.rows * e.cols * kDepth * kTimes * threads() / s);
  }
  return best;
}
double measure_peak() { return measure_peak(tiles(current)); }
double measure_int8_peak() { return measure_peak(kInt8Tiles); }

Frozen::Frozen(const std::vector<const float*>& int8) {
  if (!int8.empty()) refuse_without_int8();
  std::lock_guard l(freezer().mutex);
  ++freezer().depth;
  if (!int8.empty()) freezer().narrow = "int8";
  freezer().int8.insert(int8.begin(), int8.end());
}
Frozen::Frozen(DType on_card) {
  CHECK(is_narrow(on_card), "weights on a card are int8, int4 or fp8, not ", name_of(on_card));
  std::lock_guard l(freezer().mutex);
  ++freezer().depth;
  freezer().narrow = name_of(on_card);
}
Frozen::~Frozen() {
  std::lock_guard l(freezer().mutex);
  if (--freezer().depth == 0) freezer().packs.clear(), freezer().int8.clear(), freezer().narrow.clear();
}
bool frozen() {
  std::lock_guard l(freezer().mutex);
  return freezer().depth > 0;
}
std::string arithmetic() {
  std::lock_guard l(freezer().mutex);
  return freezer().narrow + (freezer().narrow.empty() ? "" : "+") +
         (current == Precision::bf16   ? "bf16"
          : current == Precision::fp16 ? "fp16"
                                       : "f32");
}
std::shared_ptr<const PackedB> packed_weight(const float* w, int64_t N, int64_t K) {
  bool int8 = false;
  {
    std::lock_guard l(freezer().mutex);
    int8 = freezer().int8.contains(w);
    auto it = freezer().packs.find(w);
    if (it != freezer().packs.end() && it->second->N == N && it->second->K == K &&
        &it->second->e == (int8 ? &kInt8Tiles : &tiles(current)))
      return it->second;
  }
  auto p = int8 ? pack_int8(w, N, K) : pack_b({w, K, true}, N, K);
  std::lock_guard l(freezer().mutex);
  return freezer().packs[w] = p;
}

void* scratch(int slot, size_t bytes) {
  struct Block {
    void* p = nullptr;
    size_t bytes = 0;
    ~Block() { std::free(p); }
  };
  static thread_local Block blocks[16];
  Block& b = blocks[slot];
  if (b.bytes < bytes) {
    std::free(b.p);
    const int64_t unit = bytes < (1u << 20) ? 4096 : 2 << 20;
    b.bytes = up(int64_t(bytes + bytes / 4), unit);
    b.p = std::aligned_alloc(unit, b.bytes);
    if (!b.p) refuse("out of memory: could not get ", b.bytes >> 20, " MiB of scratch; use a smaller batch");
    if (unit > 4096) madvise(b.p, b.bytes, MADV_HUGEPAGE);
  }
  return b.p;
}

}  // namespace duet
