#include "train/samples.h"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <mutex>
#include <optional>

#include "fusion/shards.h"
#include "kernels/error.h"
#include "text/unicode.h"
#include "train/augment.h"
#include "train/compose.h"
#include "train/order.h"
#include "train/perturb.h"
#include "train/wording.h"
#include "vision/codec.h"
#include "vision/patch.h"
#include "vision/scene.h"
#include "vision/scenetext.h"
#include "vision/transform.h"

namespace duet {
namespace {

constexpr int kMinSide = 4;                 // pixels; smaller pictures show nothing
constexpr int kMaxLines = 50;               // bad samples named on stderr
constexpr int kScenes = -1, kCompose = -2;  // the sources that are made on the fly
constexpr int kSceneTries = 96;  // scenes looked at for one as wanted: three in ten hold a relation, fewer have three things
constexpr int kPartTries = 24;   // pictures looked at for a part of a composition

void check(const DataConfig& c) {
  auto within = [](const char* key, double v, double lo, double hi) {
    if (!(v >= lo && v <= hi)) refuse("config key '", key, "': ", v, " is not within ", lo, " to ", hi);
  };
  within("data.size", c.size, 1, 4096);
  within("data.batch", c.batch, 1, 1 << 20);
  within("data.max_tokens", c.max_tokens, 3, 1 << 20);
  within("data.scenes", c.scenes, 0, 1);
  within("data.related", c.related, 0, 1);
  within("data.tidy", c.tidy, 0, 1);
  within("data.three", c.three, 0, 1);
  within("data.grey", c.grey, 0, 1);
  within("data.compose", c.compose, 0, 1 - c.scenes);
  within("data.korean", c.korean, 0, 1);
  within("data.styled", c.styled, 0, 1);
  for (double share : c.dir_styled) within("data.dir_styled", share, 0, 1);
  within("data.perturb", c.perturb, 0, 1);
  within("data.threads", c.threads, 0, 256);
  within("data.ahead", c.ahead, 1, 1024);
  within("data.cache_mb", c.cache_mb, 0, 1 << 24);
  if (c.dirs.empty() && c.scenes == 0) refuse("config key 'data.dirs': no data; name a folder, or set data.scenes above 0");
  if (!c.dirs.empty() && c.scenes == 1)
    refuse(
        "config key 'data.scenes': data.dirs are named but data.scenes = 1 leaves them no share; set data.scenes below "
        "1");
  if (!c.weights.empty() && c.weights.size() != c.dirs.size())
    refuse("config key 'data.weights': ", c.weights.size(), " weights for ", c.dirs.size(),
           " dirs; --set 'data.weights=[]' takes the square roots of their sizes");
  for (double w : c.weights) within("data.weights", w, 0, 1e12);
  if (!c.dir_styled.empty() && c.dir_styled.size() != c.dirs.size())
    refuse("config key 'data.dir_styled': ", c.dir_styled.size(), " shares for ", c.dirs.size(),
           " dirs; --set 'data.dir_styled=[]' takes data.styled for all");
}

bool invisible(const Image& image) {
  for (size_t i = 3; i < image.rgba.size(); i += 4)
    if (image.rgba[i]) return false;
  return true;
}

}  // namespace

struct BatchMaker::State {
  struct Source {
    Dataset data;
    std::vector<std::shared_ptr<const Image>> cache;  // (samples), guarded by mutex
    std::vector<bool> bad;                            // (samples), guarded by mutex
  };
  struct Sample {
    Image image;
    Wording words;
    std::string key;
    std::optional<Scene> scene = {};  // of one made on the fly
  };
  DataConfig config;
  Tokenizer tokenizer;
  uint64_t seed;
  int en, ko, eos;
  std::vector<Source> sources;
  std::vector<int> turn_source;  // Turns' source -> index of `sources`, kScenes or kCompose
  std::vector<double> part_of;   // (sources) summed shares of the parts of compositions, the last 1
  std::unique_ptr<Turns> turns;
  int64_t cache_left = 0;

  std::mutex mutex;  // of caches, bad, stats
  Stats stats;
  int64_t lines = 0;

  State(DataConfig c, Tokenizer t, uint64_t s) : config(std::move(c)), tokenizer(std::move(t)), seed(s) {
    check(config);
    en = tokenizer.special("<|en|>");
    ko = tokenizer.special("<|ko|>");
    eos = tokenizer.eos();
    if (eos < 0) refuse("the tokenizer has no end token; train one with `duet tokenizer train`");
    cache_left = int64_t(config.cache_mb) << 20;

    std::vector<double> shares;
    double sum = 0;
    for (size_t k = 0; k < config.dirs.size(); k++) {
      Source& source = sources.emplace_back();
      source.data = Dataset::open(config.dirs[k], config.split, SplitBy::config);
      int64_t n = source.data.size();
      if (n == 0) refuse(config.dirs[k], "/", config.split, ": no usable sample");
      source.cache.resize(n);
      source.bad.resize(n);
      for (auto& fault : source.data.faults()) report(fault.sample, fault.reason, fault.reason);
      shares.push_back(config.weights.empty() ? std::sqrt(double(n)) : config.weights[k]);
      sum += shares.back();
      turn_source.push_back(int(k));
    }
    if (sum == 0 && config.scenes == 0) refuse("config key 'data.weights': all weights are 0");
    if (sum == 0 && config.compose > 0) refuse("config key 'data.compose': nothing to compose; name a folder in data.dirs");
    double scenes = sum == 0 ? 1 : config.scenes, past = 0;
    for (double& share : shares) {
      part_of.push_back(past += sum == 0 ? 0 : share / sum);
      share *= sum == 0 ? 0 : (1 - scenes - config.compose) / sum;
    }
    shares.push_back(scenes);
    turn_source.push_back(kScenes);
    shares.push_back(config.compose);
    turn_source.push_back(kCompose);
    turns = std::make_unique<Turns>(shares);
  }

  void report(const std::string& sample, const std::string& reason, const std::string& detail) {
    stats.bad[reason]++;
    if (++lines <= kMaxLines) fprintf(stderr, "data: skipped %s: %s\n", sample.c_str(), detail.c_str());
    if (lines == kMaxLines) fprintf(stderr, "data: further bad samples are counted, not named\n");
  }

  // The decoded picture, at most twice the asked size a side; null when unreadable, which is reported once.
  std::shared_ptr<const Image> picture(Source& source, int64_t i) {
    {
      std::lock_guard lock(mutex);
      if (source.bad[i]) return nullptr;
      if (source.cache[i]) return source.cache[i];
    }
    std::string reason, detail;
    std::shared_ptr<const Image> out;
    try {
      if (choose_any_words(source.data.meta(i))) {
        Image image = decode_image(source.data.image(i), source.data.name(i));
        if (std::min(image.width, image.height) < kMinSide) reason = "picture too small";
        else if (invisible(image)) reason = "nothing visible";
        else out = std::make_shared<const Image>(reduced(std::move(image)));
      } else {
        reason = "empty caption";
      }
      detail = reason;
    } catch (const Error& e) {
      reason = "unreadable";
      detail = e.what();
      if (std::string head = source.data.name(i) + ": "; detail.starts_with(head)) detail.erase(0, head.size());
    }
    std::lock_guard lock(mutex);
    if (!out) {
      if (!source.bad[i]) report(source.data.name(i), reason, detail);
      source.bad[i] = true;
    } else if (int64_t bytes = out->rgba.size(); !source.cache[i] && bytes <= cache_left) {
      cache_left -= bytes;
      source.cache[i] = out;
      stats.cached++;
    }
    return out;
  }

  static bool choose_any_words(const Meta& m) {
    Draws draws(0);
    return !choose_words(m, 0.5, 0, draws).text.empty();
  }

  Image reduced(Image image) const {
    int most = std::max(image.width, image.height), limit = 2 * config.size;
    if (most <= limit) return image;
    auto scaled = [&](int v) { return std::max(1, int(std::lround(double(v) * limit / most))); };
    return resize(image, scaled(image.width), scaled(image.height));
  }

  double styled(int source) const { return config.dir_styled.empty() ? config.styled : config.dir_styled[size_t(source)]; }

  Sample stored(int k, int64_t count, Draws& draws) {
    Source& source = sources[k];
    uint64_t n = source.data.size(), epoch = count / n, place = count % n;
    uint64_t key = mix(mix(~seed, k), epoch);
    for (uint64_t tries = 0; tries < n; tries++) {
      int64_t i = shuffled((place + tries) % n, n, key);
      std::shared_ptr<const Image> image = picture(source, i);
      if (!image) continue;
      Meta meta = source.data.meta(i);
      Sample s{{}, choose_words(meta, config.korean, styled(k), draws), source.data.name(i)};
      bool scene = !meta.scene.empty();
      bool flip = config.augment && draws.chance(0.5) && meta.mirror_ok && (scene || may_mirror(meta));
      // A scene says where things are, so it is not moved; its mirror image is the scene its mirrored words describe.
      s.image = frame(*image, config.size, config.augment && !scene, draws);
      if (flip) s.image = mirror(s.image);
      if (flip && scene) s.words.text = mirror_words(s.words.text);
      return s;
    }
    refuse(config.dirs[k], "/", config.split, ": none of ", n, " samples can be read");
  }

  struct Pick {
    int source;
    int64_t sample;
  };

  Pick pick(Draws& draws) const {
    double r = draws.unit();
    int k = 0;
    while (k + 1 < int(part_of.size()) && r >= part_of[k]) k++;
    return {k, int64_t(draws.unit() * double(sources[k].data.size()))};
  }

  // A part for a composition, mirrored half the time where that is as true; of `style` where that is given. False when none
  // was met; `at` is then the last one looked at.
  bool find_part(ComposeKind kind, Lang lang, const std::string* style, Draws& draws, Part& part, Pick& at) {
    for (int tries = 0; tries < kPartTries; tries++) {
      at = pick(draws);
      std::shared_ptr<const Image> image = picture(sources[at.source], at.sample);
      if (!image) continue;
      part = {*image, sources[at.source].data.meta(at.sample)};
      if ((style && part.meta.style != *style) || !fits(part, kind, lang)) continue;
      if (config.augment && draws.chance(0.5) && may_mirror(part.meta)) part.image = mirror(part.image);
      return true;
    }
    return false;
  }

  // The pictures of a composition are drawn by chance, not by turns: every picture keeps its own turn in each epoch. Where
  // nothing fits, the turn goes to a plain picture.
  Sample composed(int64_t count, Draws& draws) {
    auto kind = ComposeKind(draws.below(kComposeKinds));
    Lang lang = draws.chance(config.korean) ? Lang::ko : Lang::en;
    Pick at{}, other{};
    for (int tries = 0; tries < kPartTries; tries++) {
      Part first, second;
      if (!find_part(kind, lang, nullptr, draws, first, at)) break;
      bool two = kind == ComposeKind::relation;
      if (two && !find_part(kind, lang, &first.meta.style, draws, second, other) &&
          !find_part(kind, lang, nullptr, draws, second, other))
        break;
      if (two && part_name(second.meta, lang) == part_name(first.meta, lang)) continue;
      auto c = compose(kind, first, two ? &second : nullptr, config.size, lang, draws);
      if (!c) continue;
      bool native = lang == Lang::ko;
      return {std::move(c->image),
              {say_style(c->text, native, c->style, c->style_ko, styled(at.source), draws), native},
              "compose " + sources[at.source].data.name(at.sample)};
    }
    return stored(at.source, count, draws);
  }

  Sample made(Draws& draws) const {
    const bool related = config.related > 0 && draws.chance(config.related);
    const bool ruled = config.tidy > 0 && draws.chance(config.tidy);
    const bool three = config.three > 0 && draws.chance(config.three);
    const bool grey = config.grey > 0 && draws.chance(config.grey);
    for (int tries = 1;; ++tries) {
      Scene scene = random_scene(draws.bits(), SceneSplit::train);
      if (three && tries < kSceneTries && scene.things.size() < 3) continue;
      if (grey) scene.background = kGrey;
      if (ruled) scene = tidy(scene);
      const bool korean = draws.chance(config.korean);
      const Lang lang = korean ? Lang::ko : Lang::en;
      std::string words = caption(scene, lang, draws.bits());
      if (related && tries < kSceneTries && parse_caption(words, lang).relations.empty())
        continue;  // with three: one in twelve
      return {render(scene, config.size), {std::move(words), korean}, "scene", scene};
    }
  }

  // A picture that is nearly that of `s`, somewhere between the two. pixels, out: (size, size, 4).
  void perturb(float* out, const Sample& s, const float* pixels, Draws& draws) const {
    const int size = config.size;
    if (s.scene && draws.chance(0.75)) {
      const ParsedScene said = parse_caption(s.words.text, s.words.korean ? Lang::ko : Lang::en);
      const bool placed = !said.relations.empty() ||
                          std::all_of(said.things.begin(), said.things.end(), [](const StatedThing& t) { return t.cell; });
      // Whole: a mixture would show both, and which is which could be told without the words.
      to_pixels(render(other_things(*s.scene, placed, draws), size), out);
      return;
    }
    bend(out, pixels, size, draws);
    const float share = float(0.3 + 0.7 * draws.unit());
    for (int64_t i = 0; i < int64_t(size) * size * 4; ++i) out[i] = pixels[i] + share * (out[i] - pixels[i]);
  }

  std::vector<int> tokens(const Wording& w) {
    std::vector<int> ids = tokenizer.encode(w.text);
    {
      const std::lock_guard lock(mutex);
      ++stats.captions, stats.cut += int(ids.size()) > config.max_tokens - 2;
      stats.longest = std::max(stats.longest, int(ids.size()) + 2);
    }
    if (int(ids.size()) > config.max_tokens - 2) ids.resize(config.max_tokens - 2);
    ids.insert(ids.begin(), w.korean ? ko : en);
    ids.push_back(eos);
    return ids;
  }

  Batch make(int64_t step) {
    CHECK(step >= 0, step);
    const int B = config.batch, size = config.size;
    const size_t pixels = size_t(size) * size * 4;
    Batch batch;
    batch.step = step;
    batch.B = B;
    batch.size = size;
    batch.pixels.resize(B * pixels);
    if (config.perturb > 0) batch.perturbed.resize(B * pixels);
    for (int b = 0; b < B; b++) {
      int64_t g = step * B + b;
      Draws draws(mix(seed, g));
      Turns::Turn turn = turns->at(g);
      int k = turn_source[turn.source];
      Sample s = k == kScenes ? made(draws) : k == kCompose ? composed(turn.count, draws) : stored(k, turn.count, draws);
      float* own = batch.pixels.data() + b * pixels;
      to_pixels(s.image, own);
      if (config.perturb > 0) {
        Draws others(mix(mix(seed, g), 1));
        float* out = batch.perturbed.data() + b * pixels;
        if (others.chance(config.perturb)) perturb(out, s, own, others);
        else std::copy_n(own, pixels, out);
      }
      batch.text.push_back(tokens(s.words));
      batch.caption_hash.push_back(XXH3_64bits(s.words.text.data(), s.words.text.size()));
      batch.captions.push_back(std::move(s.words.text));
      batch.keys.push_back(std::move(s.key));
    }
    return batch;
  }
};

BatchMaker::BatchMaker(DataConfig config, Tokenizer tokenizer, uint64_t seed)
    : s_(std::make_unique<State>(std::move(config), std::move(tokenizer), seed)) {}
BatchMaker::~BatchMaker() = default;
Batch BatchMaker::make(int64_t step) const { return s_->make(step); }

BatchMaker::Stats BatchMaker::stats() const {
  std::lock_guard lock(s_->mutex);
  return s_->stats;
}

std::vector<std::string> BatchMaker::styles() const {
  std::map<std::string, int64_t> count;
  for (const auto& source : s_->sources)
    for (int64_t i = 0; i < source.data.size(); ++i) try {
        if (const std::string style = clean_caption(source.data.meta(i).style); !style.empty()) ++count[style];
      } catch (const Error&) {  // a sample that training passes over as well
      }
  std::vector<std::string> out;
  for (const auto& [style, n] : count) out.push_back(style);
  std::stable_sort(out.begin(), out.end(), [&](const auto& a, const auto& b) { return count[a] > count[b]; });
  return out;
}

int64_t BatchMaker::samples() const {
  int64_t n = 0;
  for (auto& source : s_->sources) n += source.data.size();
  return n;
}

}  // namespace duet
