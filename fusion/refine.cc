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
  Tensor near;        // (9 cells) of each cell its 3x3 neighbours; -1, which is the row of zeros, beyond the picture
  Tensor time[2];     // (cells) row of the first and of the second half of its picture's time, seen as (2 R, channels)
};

Index make_index(const int32_t* place, const int32_t* row, int64_t N, int64_t patch) {
  const int64_t side = patch / kCell, lines = patch * side, cells = side * side;  // of a patch
  std::vector<int32_t> to_cells(size_t(N * lines)), to_patches(size_t(N * lines)), near(size_t(N * cells * kNear));
  for (int64_t n = 0; n < N; ++n)
    for (int64_t y = 0; y < patch; ++y)
      for (int64_t x = 0; x < side; ++x) {
        const int64_t line = (n * patch + y) * side + x, cell = (n * side + y / kCell) * side + x,
                      half = cell * kCell + y % kCell;
        to_cells[size_t(half)] = int32_t(line), to_patches[size_t(line)] = int32_t(half);
      }
  for (int64_t first = 0, end; first < N; first = end) {
    int32_t rows = 0, cols = 0;
    for (end = first; end < N && (end == first || place[2 * end] != 0 || place[2 * end + 1] != 0); ++end)
      rows = std::max(rows, place[2 * end] + 1), cols = std::max(cols, place[2 * end + 1] + 1);
    CHECK(int64_t(rows) * cols == end - first, "the patches of whole pictures, row by row");
    const int64_t H = rows * side, W = cols * side;
    const auto cell = [&](int64_t y, int64_t x) {
      const int64_t n = first + y / side * cols + x / side;
      return int32_t((n * side + y % side) * side + x % side);
    };
    for (int64_t y = 0; y < H; ++y)
      for (int64_t x = 0; x < W; ++x) {
        int32_t* to = near.data() + cell(y, x) * kNear;
        for (int64_t dy = -1; dy <= 1; ++dy)
          for (int64_t dx = -1; dx <= 1; ++dx)
            *to++ = y + dy < 0 || y + dy >= H || x + dx < 0 || x + dx >= W ? -1 : cell(y + dy, x + dx);
      }
  }
  std::vector<int32_t> time[2];
  for (int64_t c = 0; c < N * cells; ++c)
    for (int k = 0; k < 2; ++k) time[k].push_back(2 * (row[c / cells] - 1) + k);
  return {Tensor::ints(to_cells), Tensor::ints(to_patches), Tensor::ints(near), {Tensor::ints(time[0]), Tensor::ints(time[1])}};
}

// The last few: every step of a training run or a drawing asks for the same, and what a card keeps of them is then
// there.
Index index_of(const Tensor& place, const Tensor& row, int64_t patch) {
  struct Known {
    std::vector<int32_t> of;
    int64_t patch;
    Index index;
  };
  static std::mutex mutex;
  static std::list<Known> known;
  const int64_t N = row.count();
  std::vector<int32_t> key(place.data<int32_t>(), place.data<int32_t>() + 2 * N);
  key.insert(key.end(), row.data<int32_t>(), row.data<int32_t>() + N);
  const std::lock_guard lock(mutex);
  for (auto k = known.begin(); k != known.end(); ++k)
    if (k->patch == patch && k->of == key) {
      known.splice(known.begin(), known, k);
      return known.front().index;
    }
  known.push_front({key, patch, make_index(key.data(), key.data() + 2 * N, N, patch)});
  if (known.size() > 4) known.pop_back();
  return known.front().index;
}

// The row -1 that gather() takes beyond the picture
Var zeros_row(const Var& like) {
  return Var(Tensor::zeros({1, like.shape().last()}, like.value().dtype(), like.value().device()));
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
  const Index at = index_of(place, row, patch_);
  const Var times = reshape(time, {time.dim(0) * 2, channels_});
  const auto to_cells = [&](const Var& x) {
    return reshape(gather(reshape(x, {cells * kCell, kCell * 4}), {}, at.to_cells), {cells, kCellValues});
  };
  const auto near = [&](const Var& x) { return reshape(gather(x, zeros_row(x), at.near), {cells, kNear * x.shape().last()}); };
  const auto add_time = [&](const Var& x, int k) { return add(x, activation(gather(times, {}, at.time[k]))); };
  const Var u = add(guess_(near(to_cells(guess))), noisy_(near(to_cells(activation(Var(noisy))))));
  const Var v = between_(near(silu(add_time(u, 0))));
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
