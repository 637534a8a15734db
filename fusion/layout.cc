#include "fusion/layout.h"

namespace duet {

Layout make_layout(const std::vector<Sequence>& sequences, const std::vector<int32_t>& seen) {
  CHECK(seen.empty() || seen.size() == sequences.size(), "seen tokens for each sequence");
  std::vector<int32_t> at{0}, limit, row, pos;
  for (size_t b = 0; b < sequences.size(); ++b) {
    int32_t before = seen.empty() ? 0 : seen[b];
    for (const Segment& s : sequences[b]) {
      for (int i = 0; i < s.count(); ++i) {
        limit.push_back(before + (s.whole ? s.count() : i + 1));
        row.push_back(s.mod);
        pos.push_back(s.picture ? i / s.cols : s.first + i);
        pos.push_back(s.picture ? i % s.cols : s.first + i);
      }
      before += s.count();
    }
    at.push_back(int32_t(limit.size()));
  }
  Layout l{Tensor::ints(at), Tensor::ints(limit), Tensor::ints(row), Tensor::ints(pos)};
  l.pos = l.pos.reshape({int64_t(limit.size()), 2});
  return l;
}

}  // namespace duet
