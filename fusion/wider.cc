#include "fusion/wider.h"

#include <cmath>

namespace duet {
namespace {

// One axis of a parameter: `blocks` stretches, each of which has grown from `was` entries to `now`.
struct Axis {
  int64_t blocks = 1, was = 0, now = 0;
  bool fits(int64_t old, int64_t grown) const { return old == blocks * was && grown == blocks * now; }
  // The entry that entry i had before, or -1.
  int64_t before(int64_t i) const { return i % now < was ? i / now * was + i % now : -1; }
};

Axis axis(int64_t old, int64_t grown, int64_t was, int64_t now) {
  return old == grown ? Axis{1, old, grown} : Axis{old / was, was, now};
}

bool ends(const std::string& name, const char* with) { return name.ends_with(with); }

// (rows, columns) of t, vectors as one row.
std::pair<int64_t, int64_t> sides(const Tensor& t) {
  return {t.shape().size() == 2 ? t.dim(0) : 1, t.shape().size() == 2 ? t.dim(1) : t.count()};
}

// Parameters whose first or second axis is (2F) or (F) rather than channels.
bool rows_are_hidden(const std::string& n) { return ends(n, ".up.weight"); }
bool columns_are_hidden(const std::string& n) { return ends(n, ".down.weight"); }
// Rows of these are channels of the residual stream.
bool writes(const std::string& n) {
  return ends(n, ".proj.weight") || ends(n, ".down.weight") || n.starts_with("vision.patch_in.") ||
         n.starts_with("vision.place_in.");
}
// Columns of these are channels of the residual stream, or of its norm.
bool reads(const std::string& n) {
  return ends(n, ".qkv.weight") || ends(n, ".up.weight") || (n.starts_with("head.") && ends(n, ".weight"));
}

// The parts of a modulation, `width` entries each: of a norm scale, shift; of a block scale, shift, gate, twice.
enum class Part { scale, shift, gate };
Part part(int64_t block, bool of_block) {
  const int64_t k = of_block ? block % 3 : block % 2;
  return k == 0 ? Part::scale : k == 1 ? Part::shift : Part::gate;
}

}  // namespace

Tensor wider_parameter(const std::string& name, const Tensor& t, const Tensor& fresh, const ModelConfig& from,
                       const ModelConfig& to) {
  const auto [R, W] = sides(fresh);
  const auto [old_R, old_W] = sides(t);
  const int64_t C = from.width, F = from.hidden;
  const Axis rows = axis(old_R, R, rows_are_hidden(name) ? F : C, rows_are_hidden(name) ? to.hidden : to.width);
  const Axis cols = axis(old_W, W, columns_are_hidden(name) ? F : C, columns_are_hidden(name) ? to.hidden : to.width);
  if (t.shape().size() != fresh.shape().size() || !rows.fits(old_R, R) || !cols.fits(old_W, W)) return t;

  // Modulation: fresh scales and shifts are 0, gates 1. Of other parameters, old rows get new columns of 0, unless those
  // read new channels, on which there is nothing yet; and new rows are fresh, unless they would write to new channels.
  const bool own = ends(name, ".own"), zero_row = !own && writes(name), zero_column = !own && !reads(name);
  Tensor out = fresh.clone();
  for (int64_t r = 0; r < R; ++r)
    for (int64_t c = 0; c < W; ++c) {
      float& x = out.data()[r * W + c];
      const int64_t before_r = rows.before(r), before_c = cols.before(c);
      if (before_r >= 0 && before_c >= 0) x = t.data()[before_r * old_W + before_c];
      else if (before_r < 0 ? zero_row : zero_column) x = 0;
    }

  // Norms and gates.
  const float s = float(std::sqrt(double(C) / double(to.width)));
  const bool head_norm = name == "head.flow.own" || name == "head.text.own" || name == "head.pool.own";
  const bool block = own && !name.starts_with("head.");
  if (head_norm || block)
    for (int64_t r = 0; r < R; ++r)
      for (int64_t c = 0; c < W; ++c) {
        float& x = out.data()[r * W + c];
        const Part p = part(c / to.width, block);
        if (p == Part::scale) x = s * x + (s - 1);                              // of the 1 + scale
        if (p == Part::gate && r == 0 && !name.starts_with("vision.")) x /= s;  // row 0 is that of words
      }
  if (name == "time.vision.weight" || name == "time.fusion.weight" || name == "time.head.weight")
    for (int64_t r = 0; r < R; ++r)
      if (part(r / to.width, name != "time.head.weight") == Part::scale)
        for (int64_t c = 0; c < W; ++c) out.data()[r * W + c] *= s;
  return out;
}

}  // namespace duet
