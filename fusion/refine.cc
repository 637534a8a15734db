#include "fusion/refine.h"

#include <list>
#include <mutex>

#include "kernels/ops.h"

namespace duet {
namespace {

constexpr int64_t kCell = 2, kCellValues = kCell * kCell * 4, kNear = 9;

// Which rows gather() takes. A line is the kCell pixels of one row of a cell.
struct Index {
  Tensor to_cells;    // (N patch^2 / kCell) lines of patches, in the order of cells
  Tensor to_patches;  // the way back
  Around around;      // cells that lie around each
  Tensor time[2];     // (cells) row of the first and of the second half of its picture's time, seen as (2 R, channels)
};

// Cells lie patch by patch; or, where all pictures are of one size and that is wanted, row by row of each.
Index make_index(const int32_t* place, const int32_t* row, int64_t N, int64_t patch, bool by_row) {
  struct Picture {
    int64_t first, rows, cols;  // patches
  };
  std::vector<Picture> pictures;
  for (int64_t first = 0, end; first < N; first = end) {
    int32_t rows = 0, cols = 0;
    for (end = first; end < N && (end == first || place[2 * end] != 0 || place[2 * end + 1] != 0); ++end)
      rows = std::max(rows, place[2 * end] + 1), cols = std::max(cols, place[2 * end + 1] + 1);
    CHECK(int64_t(rows) * cols == end - first, "the patches of whole pictures, row by row");
    pictures.push_back({first, rows, cols});
    by_row = by_row && rows == pictures[0].rows && cols == pictures[0].cols;
  }
  const int64_t side = patch / kCell, lines = patch * side, cells = side * side;  // of a patch
  std::vector<int32_t> to_cells(size_t(N * lines)), to_patches(size_t(N * lines)), near(size_t(N * cells * kNear));
  std::vector<int32_t> time[2]{std::vector<int32_t>(size_t(N * cells)), std::vector<int32_t>(size_t(N * cells))};
  for (const auto& [first, rows, cols] : pictures) {
    const int64_t H = rows * side, W = cols * side;
    const auto patch_of = [&, first = first, cols = cols](int64_t y, int64_t x) { return first + y / side * cols + x / side; };
    const auto cell = [&, first = first](int64_t y, int64_t x) {
      return int32_t(by_row ? first * cells + y * W + x : (patch_of(y, x) * side + y % side) * side + x % side);
    };
    for (int64_t y = 0; y < H; ++y)
      for (int64_t x = 0; x < W; ++x) {
        const int64_t n = patch_of(y, x), c = cell(y, x);
        for (int64_t k = 0; k < kCell; ++k) {
          const int64_t half = c * kCell + k, line = (n * patch + y % side * kCell + k) * side + x % side;
          to_cells[size_t(half)] = int32_t(line), to_patches[size_t(line)] = int32_t(half);
        }
        for (int k = 0; k < 2; ++k) time[k][size_t(c)] = 2 * (row[n] - 1) + k;
        int32_t* to = near.data() + c * kNear;
        for (int64_t dy = -1; dy <= 1; ++dy)
          for (int64_t dx = -1; dx <= 1; ++dx)
            *to++ = y + dy < 0 || y + dy >= H || x + dx < 0 || x + dx >= W ? -1 : cell(y + dy, x + dx);
      }
  }
  Index i{Tensor::ints(to_cells),
          Tensor::ints(to_patches),
          {Tensor::ints(near), {}},
          {Tensor::ints(time[0]), Tensor::ints(time[1])}};
  if (by_row && N) i.around.order = {int64_t(pictures.size()), pictures[0].rows * side, pictures[0].cols * side};
  return i;
}

// The last few: every step of a training run or a drawing asks for the same, and what a card keeps of them is then
// there.
Index index_of(const Tensor& place, const Tensor& row, int64_t patch, bool by_row) {
  struct Known {
    std::vector<int32_t> of;
    int64_t patch;
    bool by_row;
    Index index;
  };
  static std::mutex mutex;
  static std::list<Known> known;
  const int64_t N = row.count();
  std::vector<int32_t> key(place.data<int32_t>(), place.data<int32_t>() + 2 * N);
  key.insert(key.end(), row.data<int32_t>(), row.data<int32_t>() + N);
  const std::lock_guard lock(mutex);
  for (auto k = known.begin(); k != known.end(); ++k)
    if (k->patch == patch && k->by_row == by_row && k->of == key) {
      known.splice(known.begin(), known, k);
      return known.front().index;
    }
  known.push_front({key, patch, by_row, make_index(key.data(), key.data() + 2 * N, N, patch, by_row)});
  if (known.size() > 4) known.pop_back();
  return known.front().index;
}

}  // namespace

Refiner::Refiner(int64_t width, int64_t channels, int64_t patch, Init& i) : channels_(channels), patch_(patch) {
  CHECK(channels > 0 && patch % kCell == 0, "model.refine needs an even model.patch, not ", patch);
  time_ = Linear(width, 2 * channels, i, 0);
  guess_ = Linear(kNear * kCellValues, channels, i, 1, true), noisy_ = Linear(kNear * kCellValues, channels, i);
  between_ = Linear(kNear * channels, channels, i, 1, true);
  out_ = Linear(channels, kCellValues, i, 0, true);
}

Var Refiner::operator()(const Var& guess, const Tensor& noisy, const Tensor& place, const Tensor& row, const Var& time) const {
  const int64_t N = guess.shape().rows(), each = patch_ * patch_ / (kCell * kCell), cells = N * each;
  CHECK(place.count() == 2 * N && row.count() == N, "a place and a row for each of ", N, " patches");
  // A card can convolve pictures that lie row by row.
  const Index at = index_of(place, row, patch_, guess.value().device() == Device::cuda);
  const Var times = reshape(time, {time.dim(0) * 2, channels_});
  const auto to_cells = [&](const Var& x) {
    return reshape(gather(reshape(x, {cells * kCell, kCell * 4}), {}, at.to_cells), {cells, kCellValues});
  };
  const auto convolve = [&](const Linear& l, const Var& x) { return conv3x3(x, l.w, l.b, at.around); };
  const auto add_time = [&](const Var& x, int k) { return add(x, activation(gather(times, {}, at.time[k]))); };
  const Var u = add(convolve(guess_, to_cells(guess)), convolve(noisy_, to_cells(activation(Var(noisy)))));
  const Var v = convolve(between_, silu(add_time(u, 0)));
  const Var change = out_(silu(add_time(v, 1)));
  const Var lines = gather(reshape(change, {cells * kCell, kCell * 4}), {}, at.to_patches);
  return add(guess, reshape(lines, guess.shape()));
}

void Refiner::params(const Visit& v) {
  if (!*this) return;
  time_.params("time.refine", v), guess_.params("refine.guess", v), noisy_.params("refine.noisy", v);
  between_.params("refine.between", v), out_.params("refine.out", v);
}

}  // namespace duet
