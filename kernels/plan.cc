#include "kernels/plan.h"

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
  return at.memo<Tiles>(rows == 64 ? "tiles of 64" : rows == 32 ? "tiles of 32" : "tiles of 16", [&] {
    const int32_t* a = at.data<int32_t>();
    std::vector<int32_t> list;
    for (int32_t b = 0; b + 1 < int32_t(at.count()); ++b)
      for (int32_t n = a[b]; n < a[b + 1]; n += rows) list.push_back(b), list.push_back(n);
    return std::make_shared<Tiles>(Tiles{int64_t(list.size()) / 2, to_card(list)});
  });
}

}  // namespace duet
