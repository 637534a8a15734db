#include "infer/eval_model.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <optional>

#include "infer/open.h"
#include "infer/reader.h"
#include "infer/sampler.h"
#include "kernels/parallel.h"
#include "kernels/random.h"
#include "text/korean.h"
#include "text/unicode.h"
#include "vision/codec.h"
#include "vision/patch.h"

namespace duet {

static UnitRows unit_rows(const Tensor& t) {
  UnitRows out;
  for (int64_t i = 0; i < t.dim(0); ++i) out.emplace_back(t.data() + i * t.dim(1), t.data() + (i + 1) * t.dim(1));
  return out;
}

EvalModel eval_model(const Opened& opened, const DrawOptions& options, int beam) {
  const Opened* o = &opened;
  EvalModel m;
  m.size = o->size();
  m.draw = [=](std::span<const std::string> prompts, std::span<const uint64_t> seeds) {
    std::vector<DrawRequest> requests;
    for (size_t i = 0; i < prompts.size(); ++i) requests.push_back({prompt_ids(o->tokenizer(), prompts[i]), {}, seeds[i]});
    const auto pixels = draw(o->model(), o->tokenizer(), requests, options);
    const int w = options.width ? options.width : o->size(), h = options.height ? options.height : o->size();
    std::vector<Image> out;
    for (size_t i = 0; i < prompts.size(); ++i)
      out.push_back(finished(pixels.data() + i * size_t(w) * h * 4, w, h, options.finish));
    return out;
  };
  m.captions = [=](std::span<const Image> pictures, bool korean) {
    CaptionOptions c;
    c.korean = korean, c.beam = beam;
    std::vector<std::vector<std::string>> out;
    for (const auto& beams : caption_beams(o->model(), o->tokenizer(), pictures, c)) {
      out.emplace_back();
      for (const auto& said : beams) out.back().push_back(said.text);
    }
    return out;
  };
  m.caption = [all = m.captions](std::span<const Image> pictures, bool korean) {
    std::vector<std::string> out;
    for (auto& beams : all(pictures, korean)) out.push_back(std::move(beams[0]));
    return out;
  };
  m.embed_pictures = [=](std::span<const Image> pictures) { return unit_rows(embed_pictures(o->model(), pictures)); };
  m.embed_texts = [=](std::span<const std::string> texts) { return unit_rows(embed_texts(o->model(), o->tokenizer(), texts)); };
  return m;
}

EvalModel best_of(const EvalModel& plain, const Opened& opened, const DrawOptions& options, int n, BestBy by) {
  EvalModel m = plain;
  const Opened* o = &opened;
  m.draw = [=](std::span<const std::string> prompts, std::span<const uint64_t> seeds) {
    std::vector<Wanted> wanted;
    for (size_t i = 0; i < prompts.size(); ++i) {
      wanted.push_back({prompts[i], {prompt_ids(o->tokenizer(), prompts[i]), {}, 0}, {seeds[i]}});
      for (int k = 1; k < n; ++k) wanted.back().seeds.push_back(mix(seeds[i], uint64_t(k)));
    }
    std::vector<Image> out;
    for (auto& kept : draw_best(o->model(), o->tokenizer(), wanted, options, by)) out.push_back(std::move(kept.image));
    return out;
  };
  return m;
}

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

Progress::Progress(std::string what, int64_t total) : what_(std::move(what)), total_(total), terminal_(isatty(STDERR_FILENO)) {}

void Progress::at(int64_t done) {
  const auto now = Clock::now();
  if (now - last_ < (terminal_ ? std::chrono::milliseconds(300) : std::chrono::seconds(20))) return;
  last_ = now, written_ = true;
  const double left =
      std::chrono::duration<double>(now - start_).count() / double(std::max<int64_t>(done, 1)) * double(total_ - done);
  std::fprintf(stderr, "%s%s: %lld of %lld, %.0f s left%s", terminal_ ? "\r\033[K" : "", what_.c_str(), (long long)done,
               (long long)total_, left, terminal_ ? "" : "\n");
  std::fflush(stderr);
}

Progress::~Progress() {
  if (terminal_ && written_) std::fputs("\r\033[K", stderr);
}

EvalSet load_set(const std::string& dir, const std::string& split, int size, SplitBy by) {
  namespace fs = std::filesystem;
  const Dataset data = Dataset::open(dir, split, by);
  EvalSet set;
  fs::path folder = fs::path(dir).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  set.name = folder.filename().string();
  std::vector<std::optional<Image>> read(size_t(data.size()));
  std::vector<std::string> why(size_t(data.size()));
  std::vector<Meta> meta(size_t(data.size()));
  parallel_for(data.size(), [&](int64_t i) {
    try {
      meta[size_t(i)] = data.meta(i);
      read[size_t(i)] = model_view(decode_image(data.image(i), data.name(i)), size);
    } catch (const Error& e) {
      why[size_t(i)] = e.what();
    }
  });
  set.bad = int64_t(data.faults().size());
  for (const auto& fault : data.faults()) say(join("left out: ", fault.sample, ": ", fault.reason));
  for (size_t i = 0; i < read.size(); ++i) {
    if (!read[i]) {
      say("left out: " + why[i]);
      set.bad++;
      continue;
    }
    set.keys.push_back(data.key(int64_t(i)));
    set.pictures.push_back(std::move(*read[i]));
    set.meta.push_back(std::move(meta[i]));
  }
  if (set.pictures.empty()) refuse(dir, "/", split, ": no readable picture; build the data set anew with 'duet data build'");
  return set;
}

std::string caption_in(const Meta& m, bool korean) {
  const auto& first = korean ? m.caption_ko : m.caption;
  const auto& more = korean ? m.captions_ko : m.captions;
  return clean_caption(first.empty() && !more.empty() ? more[0] : first);
}

}  // namespace duet
