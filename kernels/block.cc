#include <mutex>
#include <vector>

#include "kernels/gemm.h"
#include "kernels/parallel.h"
#include "kernels/table.h"
#include "kernels/vec.h"

namespace duet::cpu {
namespace {

// Whole sequences, at least this many tokens: enough to fill the tiles, few enough that (tokens, 2F) stays in the second cache.
constexpr int64_t kTokens = 128;

struct Chunk {
  int64_t b0, b1, n0, n1;   // sequences and tokens
  int64_t place;            // in WeightSum
  std::vector<int32_t> at;  // of its sequences, from its first token on
  int64_t tokens() const { return n1 - n0; }
  int64_t sequences() const { return b1 - b0; }
};

struct Chunks : std::vector<Chunk> {
  int64_t places = 0;
  Chunks(const BlockTokens& t, int64_t least) {
    for (int64_t b = 0; b < t.B;) {
      Chunk c{b, b, t.at[b], t.at[b], places, {0}};
      while (c.b1 < t.B && c.n1 - c.n0 < least) {
        c.n1 = t.at[++c.b1];
        c.at.push_back(int32_t(c.n1 - c.n0));
      }
      b = c.b1;
      places += WeightSum::round_up(c.tokens());
      push_back(std::move(c));
    }
  }
};

using PackedWeight = std::shared_ptr<const PackedB>;
PackedWeight forward_form(const float* w, int64_t O, int64_t C) {  // for x W^T
  return frozen() ? packed_weight(w, O, C) : pack_b({w, C, true}, O, C);
}
PackedWeight backward_form(const float* w, int64_t O, int64_t C) { return pack_b({w, C}, C, O); }  // for dy W

// What this thread works in: a bump allocator over one scratch slot. Sizes are in floats.
struct Room {
  float* p;
  explicit Room(int64_t floats) : p(scratch<float>(5, floats)) {}
  float* take(int64_t n) {
    float* r = p;
    p += (n + 15) / 16 * 16;
    return r;
  }
};

// What one chunk makes on its way through the block.
struct Made {
  float *rstd1, *qkv, *rstd_qk, *turned, *o, *lse, *h1, *x1, *rstd2, *norm1, *norm2, *up, *act, *h2;
};

class Run {
 public:
  Run(const float* x, const float* mod, const int32_t* row, const BlockTokens& t, const BlockWeights& w, const BlockSizes& z)
      : x_(x),
        mod_(mod),
        row_(row),
        t_(t),
        w_(w),
        z_(z),
        qkv_(forward_form(w.qkv, 3 * z.C, z.C)),
        proj_(forward_form(w.proj, z.C, z.C)),
        up_(forward_form(w.up, 2 * z.F, z.C)),
        down_(forward_form(w.down, z.C, z.F)) {}

  static int64_t floats(const BlockSizes& z, int64_t M) {  // of a Room that takes what make() needs
    return with_room(M) * (13 * z.C + 3 * z.F + 3 * z.H + 2) + 14 * 16;
  }
  // Everything but the block's output. What `saved` has is written there, or with `again` read from there.
  Made make(const Chunk& c, Room& room, const BlockSaved& saved, bool again, const BlockCache* cache = nullptr) const {
    const int64_t C = z_.C, H = z_.H, F = z_.F, D = C / H, W = 6 * C, M = c.tokens(), n = c.n0;
    const int32_t* row = row_ + n;
    const auto at = [&](float* kept, int64_t width) { return kept ? kept + n * width : room.take(with_room(M) * width); };
    const auto product = [&](float* y, float* kept, const float* x, const PackedWeight& w, int64_t O, int64_t K) {
      if (again && kept) return;
      gemm(y, O, {x, K}, {}, M, O, K, {.packed = w.get(), .room = !kept && O % 32 == 0, .counted = !again});
    };
    Made m;
    m.rstd1 = at(nullptr, 1), m.rstd2 = at(nullptr, 1), m.rstd_qk = at(nullptr, 2 * H);
    m.norm1 = at(nullptr, C), m.norm2 = at(nullptr, C), m.turned = at(nullptr, 3 * C), m.x1 = at(nullptr, C);
    m.act = at(nullptr, F), m.o = at(saved.o, C), m.lse = at(saved.lse, H), m.qkv = at(saved.qkv, 3 * C);
    m.h1 = at(saved.h1, C), m.up = at(saved.up, 2 * F), m.h2 = at(saved.h2, C);

    norm_mod(m.norm1, m.rstd1, x_ + n * C, mod_, row, W, 0, C, M, C);
    product(m.qkv, saved.qkv, m.norm1, qkv_, 3 * C, C);
    qk_rope(m.turned, m.rstd_qk, m.qkv, w_.gain_q, w_.gain_k, t_.pos + 2 * n, z_.theta, M, H, D);
    if (cache) cached_attention(m, c, *cache);
    else if (!again)
      attention(m.o, m.lse, m.turned, 3 * C, m.turned + C, m.turned + 2 * C, 3 * C,
                {c.at.data(), c.at.data(), t_.limit + n, c.sequences()}, H, D);
    product(m.h1, saved.h1, m.o, proj_, C, C);
    gate_add(m.x1, x_ + n * C, m.h1, mod_, row, W, 2 * C, M, C);
    norm_mod(m.norm2, m.rstd2, m.x1, mod_, row, W, 3 * C, 4 * C, M, C);
    product(m.up, saved.up, m.norm2, up_, 2 * F, C);
    swiglu(m.act, m.up, M, F);
    product(m.h2, saved.h2, m.act, down_, C, F);
    return m;
  }

 private:
  void cached_attention(const Made& m, const Chunk& c, const BlockCache& cache) const {
    const int64_t C = z_.C;
    std::vector<int32_t> k_at;
    for (int64_t b = c.b0; b < c.b1; ++b) k_at.push_back(int32_t(b * cache.capacity));
    for (int64_t n = 0; n < c.tokens(); ++n) {
      const int64_t to = cache.to[c.n0 + n];
      std::copy_n(m.turned + n * 3 * C + C, C, cache.k + to * C);
      std::copy_n(m.turned + n * 3 * C + 2 * C, C, cache.v + to * C);
    }
    attention(m.o, m.lse, m.turned, 3 * C, cache.k, cache.v, C, {c.at.data(), k_at.data(), t_.limit + c.n0, c.sequences()},
              z_.H, C / z_.H);
  }

  const float *x_, *mod_;
  const int32_t* row_;
  const BlockTokens& t_;
  const BlockWeights& w_;
  const BlockSizes& z_;
  PackedWeight qkv_, proj_, up_, down_;
};

}  // namespace

void block(float* y, const BlockSaved& s, const float* x, const float* mod, const BlockTokens& t, const BlockWeights& w,
           const BlockSizes& z, const BlockCache* cache) {
  const int64_t C = z.C;
  // Without a backward pass no sum runs over tokens: fewer of them where there is not enough for all threads.
  const Chunks chunks(t, s.o ? kTokens : std::clamp<int64_t>(t.at[t.B] / threads(), 1, kTokens));
  const Run run(x, mod, t.row, t, w, z);
  parallel_for(int64_t(chunks.size()), [&](int64_t i) {
    const Chunk& c = chunks[size_t(i)];
    Room room(Run::floats(z, c.tokens()));
    const Made m = run.make(c, room, s, false, cache);
    gate_add(y + c.n0 * C, m.x1, m.h2, mod, t.row + c.n0, 6 * C, 5 * C, c.tokens(), C);
  });
}

void block_bwd(float* dx, bool add, const BlockGrads& g, const float* dy, const float* x, const BlockSaved& s, const float* mod,
               int64_t R, const BlockTokens& t, const BlockWeights& w, const BlockSizes& z) {
  const int64_t C = z.C, H = z.H, F = z.F, D = C / H, W = 6 * C;
  const Chunks chunks(t, kTokens);
  const PackedWeight w_qkv = backward_form(w.qkv, 3 * C, C), w_proj = backward_form(w.proj, C, C),
                     w_up = backward_form(w.up, 2 * F, C), w_down = backward_form(w.down, C, F);
  WeightSum sum_qkv(3 * C, C, chunks.places), sum_proj(C, C, chunks.places), sum_up(2 * F, C, chunks.places),
      sum_down(C, F, chunks.places);

  // Stretches of tokens with one row of the modulation, none across chunks: each has a row of its own for its gradient.
  const int64_t N = t.at[t.B];
  std::vector<int32_t> stretch(static_cast<size_t>(N)), row_of;
  for (const Chunk& c : chunks)
    for (int64_t n = c.n0; n < c.n1; ++n) {
      CHECK(t.row[n] >= 0 && t.row[n] < R, "row ", t.row[n], " of a modulation of ", R);
      if (n == c.n0 || t.row[n] != t.row[n - 1]) row_of.push_back(t.row[n]);
      stretch[size_t(n)] = int32_t(row_of.size()) - 1;
    }
  const int64_t S = int64_t(row_of.size());
  const Tensor own_mod({S, W}), d_mod = Tensor::zeros({S, W}), d_gain = Tensor::zeros({int64_t(chunks.size()), 2, D});
  for (int64_t r = 0; r < S; ++r) std::copy_n(mod + row_of[size_t(r)] * W, W, own_mod.data() + r * W);
  const float* om = own_mod.data();
  float* dm = d_mod.data();
  const Run run(x, om, stretch.data(), t, w, z);

  parallel_for(int64_t(chunks.size()), [&](int64_t i) {
    const Chunk& c = chunks[size_t(i)];
    const int64_t M = c.tokens(), n = c.n0, room_M = with_room(M);
    const int32_t* row = stretch.data() + n;
    Room room(Run::floats(z, M) + room_M * (9 * C + 3 * F) + 8 * 16);
    const Made m = run.make(c, room, s, true);
    float *d_norm = room.take(room_M * C), *d1 = room.take(room_M * C), *d_h = room.take(room_M * C);
    float *d_turned = room.take(room_M * 3 * C), *d_qkv = room.take(room_M * 3 * C);
    float *d_act = room.take(room_M * F), *d_up = room.take(room_M * 2 * F);
    const float *dyn = dy + n * C, *xn = x + n * C;
    const bool fit = C % 32 == 0;

    // feed-forward
    gate_add_bwd(d_h, false, dm, dyn, m.h2, om, row, W, 5 * C, M, C);
    sum_down.add(d_h, m.act, M, c.place);
    gemm(d_act, F, {d_h, C}, {}, M, F, C, {.packed = w_down.get(), .room = F % 32 == 0});
    swiglu_bwd(d_up, d_act, m.up, M, F);
    sum_up.add(d_up, m.norm2, M, c.place);
    gemm(d_norm, C, {d_up, 2 * F}, {}, M, C, 2 * F, {.packed = w_up.get(), .room = fit});
    std::copy_n(dyn, M * C, d1);
    norm_mod_bwd(d1, true, dm, d_norm, m.x1, m.rstd2, om, row, W, 3 * C, 4 * C, M, C);

    // attention
    gate_add_bwd(d_h, false, dm, d1, m.h1, om, row, W, 2 * C, M, C);
    sum_proj.add(d_h, m.o, M, c.place);
    gemm(d_norm, C, {d_h, C}, {}, M, C, C, {.packed = w_proj.get(), .room = fit});
    attention_bwd(d_turned, d_norm, m.o, m.lse, m.turned, {c.at.data(), c.at.data(), t.limit + n, c.sequences()}, H, D);
    float* dg = d_gain.data() + i * 2 * D;
    qk_rope_bwd(d_qkv, dg, dg + D, d_turned, m.qkv, m.rstd_qk, w.gain_q, w.gain_k, t.pos + 2 * n, z.theta, M, H, D);
    sum_qkv.add(d_qkv, m.norm1, M, c.place);
    gemm(d_norm, C, {d_qkv, 3 * C}, {}, M, C, 3 * C, {.packed = w_qkv.get(), .room = fit});
    if (!dx) return norm_mod_bwd(nullptr, false, dm, d_norm, xn, m.rstd1, om, row, W, 0, C, M, C);
    norm_mod_bwd(d1, true, dm, d_norm, xn, m.rstd1, om, row, W, 0, C, M, C);
    float* to = dx + n * C;
    if (add) cpu::add(to, to, d1, M * C);
    else std::copy_n(d1, M * C, to);
  });

  std::vector<WeightSum::Job> jobs;
  for (auto& [sum, dw] : {std::pair{&sum_qkv, g.qkv}, {&sum_proj, g.proj}, {&sum_up, g.up}, {&sum_down, g.down}})
    if (dw) jobs.push_back({sum, dw});
  WeightSum::finish(jobs);
  if (g.mod)
    for (int64_t r = 0; r < S; ++r) cpu::add(g.mod + row_of[size_t(r)] * W, g.mod + row_of[size_t(r)] * W, dm + r * W, W);
  for (size_t i = 0; i < chunks.size(); ++i) {
    const float* dg = d_gain.data() + int64_t(i) * 2 * D;
    if (g.gain_q) cpu::add(g.gain_q, g.gain_q, dg, D);
    if (g.gain_k) cpu::add(g.gain_k, g.gain_k, dg + D, D);
  }
}

}  // namespace duet::cpu
