#include "kernels/gemm.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <unordered_map>

#include "kernels/error.h"
#include "kernels/gemm_tiles.h"
#include "kernels/parallel.h"
#include "kernels/tensor.h"
#include "kernels/vec.h"

namespace duet {
namespace {

Precision current = Precision::f32;
std::atomic<int64_t> flops{0};

int64_t up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// Packed K of one panel, laid out k block after k block: a piece of ks takes up(ks, k_unit) * width elements.
size_t panel_bytes(const TileEngine& e, int64_t K, int width) {
  const int64_t whole = K / e.k_block * e.k_block;
  return size_t(whole + up(K - whole, e.k_unit)) * width * e.element;
}

struct Freezer {
  std::mutex mutex;
  int depth = 0;
  std::unordered_map<const float*, std::shared_ptr<const PackedB>> packs;
};
Freezer& freezer() {
  static Freezer* f = new Freezer;
  return *f;
}

}  // namespace

struct PackedB {
  Precision precision;
  int64_t N, K;
  Tensor bytes;
};

const TileEngine& tiles(Precision p) { return p == Precision::bf16 ? kAmxTiles : kF32Tiles; }
Precision precision() { return current; }
void set_precision(Precision p) {
  if (p == Precision::bf16 && !has_amx()) refuse("precision bf16 needs a CPU with AMX, which this one lacks: use f32");
  current = p;
}

void choose_precision(const std::string& name) {
  if (name == "auto")
    set_precision(has_amx() ? Precision::bf16 : Precision::f32);
  else if (name == "bf16" || name == "f32")
    set_precision(name == "bf16" ? Precision::bf16 : Precision::f32);
  else
    refuse("precision '", name, "' is none of auto, bf16, f32");
}

// Each job reads memory in its own order: a panel whose k runs along lines is read panel by panel; where lines are k, 32
// lines at a time are dealt out to all panels. Both write the same bytes.
static void pack_all(const TileEngine& e, char* out, Mat m, int64_t outer, int64_t K, bool is_a) {
  const int width = is_a ? e.rows : e.cols;
  const size_t panel = panel_bytes(e, K, width);
  const int64_t panels = (outer + width - 1) / width;
  const auto pack = [&](int64_t i, int64_t k, int64_t ks) {
    (is_a ? e.pack_a : e.pack_b)(out + i * panel + size_t(k) * width * e.element, m, i * width,
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

std::shared_ptr<const PackedB> pack_b(Mat b, int64_t N, int64_t K) {
  const TileEngine& e = tiles(current);
  auto p = std::make_shared<PackedB>();
  p->precision = current, p->N = N, p->K = K;
  p->bytes = Tensor({int64_t(panel_bytes(e, K, e.cols)) * ((N + e.cols - 1) / e.cols)}, DType::u8);
  pack_all(e, p->bytes.data<char>(), b, N, K, false);
  return p;
}

void gemm(float* C, int64_t ldc, Mat A, Mat B, int64_t M, int64_t N, int64_t K, const GemmOptions& o) {
  if (M <= 0 || N <= 0) return;
  flops.fetch_add(2 * M * N * K, std::memory_order_relaxed);
  const TileEngine& e = tiles(current);
  const int64_t a_panels = (M + e.rows - 1) / e.rows, b_panels = (N + e.cols - 1) / e.cols;
  const size_t a_panel = panel_bytes(e, K, e.rows), b_panel = panel_bytes(e, K, e.cols);
  char* pa = scratch<char>(0, int64_t(a_panel) * a_panels);
  const char* pb;
  if (o.packed) {
    CHECK(o.packed->precision == current && o.packed->N == N && o.packed->K == K, "weights packed for this product");
    pb = o.packed->bytes.data<char>();
  } else {
    char* w = scratch<char>(1, int64_t(b_panel) * b_panels);
    pack_all(e, w, B, N, K, false);
    pb = w;
  }
  pack_all(e, pa, A, M, K, true);

  const int64_t chunk = std::max<int64_t>(1, e.chunk_rows / e.rows);  // panels of A per job
  const int64_t m_jobs = (a_panels + chunk - 1) / chunk;
  const int64_t n_jobs = std::clamp<int64_t>(8 / m_jobs, 1, std::max<int64_t>(1, b_panels / 4));
  const int64_t n_chunk = (b_panels + n_jobs - 1) / n_jobs;
  parallel_for(m_jobs * n_jobs, [&](int64_t job) {
    const int64_t a0 = job / n_jobs * chunk, a1 = std::min(a_panels, a0 + chunk);
    const int64_t b0 = job % n_jobs * n_chunk, b1 = std::min(b_panels, b0 + n_chunk);
    alignas(64) float edge[32 * 32];
    for (int64_t k = 0; k < K || k == 0; k += e.k_block) {
      const int64_t ks = std::min(e.k_block, K - k);
      for (int64_t i = a0; i < a1; ++i)
        for (int64_t j = b0; j < b1; ++j) {
          const int64_t row = i * e.rows, col = j * e.cols;
          const int64_t rows = std::min<int64_t>(e.rows, M - row), cols = std::min<int64_t>(e.cols, N - col);
          float* c = C + row * ldc + col;
          if (k == 0 && o.bias)
            for (int64_t r = 0; r < rows; ++r) std::copy_n(o.bias + col, cols, c + r * ldc);
          const bool load = k > 0 || o.accumulate || o.bias;
          const char* a = pa + i * a_panel + size_t(k) * e.rows * e.element;
          const char* b = pb + j * b_panel + size_t(k) * e.cols * e.element;
          if (rows == e.rows && cols == e.cols) {
            // The next block's lines of C come in while this one is computed: C is written once, far from any cache.
            if (j + 1 < b1)
              for (int64_t r = 0; r < rows; ++r)
                __builtin_prefetch(c + r * ldc + e.cols, 1), __builtin_prefetch(c + r * ldc + e.cols + 16, 1);
            e.multiply(c, ldc, a, b, ks, load);
          } else {
            if (load)
              for (int64_t r = 0; r < rows; ++r) std::copy_n(c + r * ldc, cols, edge + r * e.cols);
            e.multiply(edge, e.cols, a, b, ks, load);
            for (int64_t r = 0; r < rows; ++r) std::copy_n(edge + r * e.cols, cols, c + r * ldc);
          }
        }
    }
  });
}

int64_t gemm_flops() { return flops.load(); }

double measure_peak() {
  const TileEngine& e = tiles(current);
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

Frozen::Frozen() {
  std::lock_guard l(freezer().mutex);
  ++freezer().depth;
}
Frozen::~Frozen() {
  std::lock_guard l(freezer().mutex);
  if (--freezer().depth == 0) freezer().packs.clear();
}
bool frozen() {
  std::lock_guard l(freezer().mutex);
  return freezer().depth > 0;
}
std::shared_ptr<const PackedB> packed_weight(const float* w, int64_t N, int64_t K) {
  {
    std::lock_guard l(freezer().mutex);
    auto it = freezer().packs.find(w);
    if (it != freezer().packs.end() && it->second->N == N && it->second->K == K && it->second->precision == current)
      return it->second;
  }
  auto p = pack_b({w, K, true}, N, K);
  std::lock_guard l(freezer().mutex);
  return freezer().packs[w] = p;
}

void* scratch(int slot, size_t bytes) {
  struct Block {
    void* p = nullptr;
    size_t bytes = 0;
    ~Block() { std::free(p); }
  };
  static thread_local Block blocks[8];
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
