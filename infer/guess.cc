#include "infer/guess.h"

#include <deque>

#include "infer/flowbatch.h"

namespace duet {

std::vector<float> guess_clean(const Model& m, const Tokenizer& tokenizer, std::span<const std::string> prompts,
                               const std::vector<float>& under, int64_t S, float t, std::span<const uint64_t> seeds) {
  const size_t B = prompts.size(), each = size_t(S * S * 4);
  CHECK(under.size() == B * each && seeds.size() == B && t >= 0 && t < 1, "a picture of ", S, " pixels and a seed for each");
  // The first evaluation of a drawing that begins with a given picture at time t.
  DrawOptions o{.steps = kGuessSteps, .guidance = 1, .shift = 1};
  o.width = o.height = int(S);
  std::deque<Drawing> drawings;
  std::vector<Drawing*> all;
  for (size_t b = 0; b < B; ++b) {
    const auto from = under.begin() + long(b * each);
    const Given given{.pixels = {from, from + long(each)}, .change = {}, .strength = 1 - double(t)};
    all.push_back(
        &drawings.emplace_back(m, tokenizer, DrawRequest{prompt_ids(tokenizer, prompts[b]), {}, seeds[b]}, o, &given));
  }
  std::vector<float> out;
  if (!all.empty()) FlowBatch(m, tokenizer).advance(all);
  for (const Drawing& d : drawings) {
    const auto x = d.guess();
    out.insert(out.end(), x.begin(), x.end());
  }
  return out;
}

}  // namespace duet
