#include "kernels/plan.h"

#include <algorithm>
#include <bit>
#include <unordered_map>

namespace duet {

static Tensor to_card(const std::vector<int32_t>& v) { return Tensor::ints(v).to(Device::cuda); }

Groups group_by(const std::vector<int32_t>& key) {
  std::unordered_map<int32_t, int32_t> group;
  std::vector<int32_t> of(key.size()), keys, count;
  for (size_t i = 0; i < key.size(); ++i) {
    const auto [it, fresh] = group.try_emplace(key[i], int32_t(keys.size()));
    if (fresh) keys.push_back(key[i]), count.push_back(0);
    of[i] = it->second, ++count[size_t(it->second)];
  }
  std::vector<int32_t> at{0}, list(key.size());
  for (int32_t c : count) at.push_back(at.back() + c);
  std::vector<int32_t> next(at.begin(), at.end() - 1);
  for (size_t i = 0; i < key.size(); ++i) list[size_t(next[size_t(of[i])]++)] = int32_t(i);
  return {int64_t(keys.size()), to_card(keys), to_card(at), to_card(list)};
}

std::shared_ptr<const Stretches> stretches(const Tensor& row) {
  return row.memo<Stretches>("stretches", [&] {
    const int32_t* r = row.data<int32_t>();
    std::vector<int32_t> at, key;
    for (int32_t n = 0; n < int32_t(row.count()); ++n)
      if (n == 0 || r[n] != r[n - 1] || n - at.back() == kStretch) at.push_back(n), key.push_back(r[n]);
    at.push_back(int32_t(row.count()));
    return std::make_shared<Stretches>(Stretches{int64_t(key.size()), to_card(at), group_by(key)});
  });
}

std::shared_ptr<const Groups> by_value(const Tensor& index) {
  return index.memo<Groups>("by_value", [&] {
    const int32_t* p = index.data<int32_t>();
    return std::make_shared<Groups>(group_by({p, p + index.count()}));
  });
}

std::shared_ptr<const Tiles> tiles(const Tensor& at, int rows) {
  return at.memo<Tiles>(rows == 64   ? "tiles of 64"
                        : rows == 32 ? "tiles of 32"
                                     : "tiles of 16",
                        [&] {
                          const int32_t* a = at.data<int32_t>();
                          std::vector<int32_t> list;
                          for (int32_t b = 0; b + 1 < int32_t(at.count()); ++b)
                            for (int32_t n = a[b]; n < a[b + 1]; n += rows) list.push_back(b), list.push_back(n);
                          return std::make_shared<Tiles>(Tiles{int64_t(list.size()) / 2, to_card(list)});
                        });
}

static int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
static int64_t whole_batch(int64_t B) { return B > 64 ? round_up(B, 32) : int64_t(std::bit_ceil(uint64_t(B))); }

static std::shared_ptr<Packed> pack(const Tensor& at, const Tensor& k_at, const Tensor& limit, int64_t H, int64_t D,
                                    int64_t ldq, int64_t ldk) {
  const int32_t *a = at.data<int32_t>(), *ka = k_at.data<int32_t>(), *lim = limit.data<int32_t>();
  const int64_t B = at.count() - 1;
  std::vector<int32_t> q_count(size_t(whole_batch(B)), 0), k_count(q_count);
  int64_t most_q = 1, most_k = 1;
  bool full = true, causal = true;
  for (int64_t b = 0; b < B; ++b) {
    int32_t& keys = k_count[size_t(b)];
    q_count[size_t(b)] = a[b + 1] - a[b];
    for (int32_t n = a[b]; n < a[b + 1]; ++n) keys = std::max(keys, lim[n]);
    for (int32_t n = a[b]; n < a[b + 1]; ++n) full = full && lim[n] == keys, causal = causal && lim[n] == n - a[b] + 1;
    most_q = std::max<int64_t>(most_q, q_count[size_t(b)]), most_k = std::max<int64_t>(most_k, keys);
  }
  auto p = std::make_shared<Packed>();
  const cuda::AttentionMask mask = full     ? cuda::AttentionMask::full
                                   : causal ? cuda::AttentionMask::causal
                                            : cuda::AttentionMask::limit;
  const int64_t q = round_up(most_q, 64), k = round_up(most_k, 64);
  p->graph = {false, mask, whole_batch(B), H, D, q, k, ldq, ldk};
  const auto offsets = [&](const int32_t* from, int64_t ld) {
    std::vector<int32_t> v;
    for (int64_t b = 0; b <= whole_batch(B); ++b) v.push_back(int32_t(from[std::min(b, B)] * ld));
    return to_card(v);
  };
  p->q_offset = offsets(a, ldq), p->k_offset = offsets(ka, ldk), p->o_offset = offsets(a, H * D), p->lse_offset = offsets(a, H);
  p->q_count = to_card(q_count), p->k_count = to_card(k_count), p->k_at.assign(ka, ka + B + 1);
  if (mask != cuda::AttentionMask::limit) return p;
  std::vector<int32_t> table(size_t(whole_batch(B) * q), 0);
  for (int64_t b = 0; b < B; ++b) std::copy(lim + a[b], lim + a[b + 1], table.begin() + b * q);
  p->limit = to_card(table);
  return p;
}

std::shared_ptr<const Packed> packed(const Tensor& at, const Tensor& k_at, const Tensor& limit, int64_t H, int64_t D,
                                     int64_t ldq, int64_t ldk) {
  const int64_t B = at.count() - 1;
  const int32_t* ka = k_at.data<int32_t>();
  if (limit.count() * ldq > INT32_MAX || ka[B] * ldk > INT32_MAX) return nullptr;
  const auto make = [&] { return pack(at, k_at, limit, H, D, ldq, ldk); };
  const auto p = limit.memo<Packed>("packed", make);
  const auto& g = p->graph;
  if (g.H == H && g.D == D && g.ldq == ldq && g.ldk == ldk && std::equal(p->k_at.begin(), p->k_at.end(), ka, ka + B + 1))
    return p;
  return make();
}

}  // namespace duet
