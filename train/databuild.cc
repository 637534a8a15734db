#include "train/databuild.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "fusion/styles.h"
#include "kernels/error.h"
#include "kernels/files.h"
#include "kernels/parallel.h"
#include "kernels/quote.h"
#include "text/unicode.h"
#include "train/neardup.h"
#include "train/sources.h"
#include "train/words.h"
#include "vision/codec.h"
#include "vision/transform.h"

namespace duet {
namespace fs = std::filesystem;
namespace {

constexpr const char* kSplits[] = {"train", "val", "heldout", "pairs"};
constexpr size_t kChunk = 256;            // candidates drawn in parallel, then judged in order
constexpr int64_t kMostHeld = 256 << 20;  // bytes of files that wait for that
constexpr int64_t kPerShard = 4096;       // samples, about 30 MB at 64 pixels
constexpr size_t kMostCategories = 64;    // of which it is said that val lacks them
constexpr const char* kFormat = "duet-dataset-1";

struct Tally {
  SourceReport report;
  int64_t kept = 0;
  std::map<std::string, int64_t> split;
};

bool visible(const Image& image) {
  int64_t alpha = 0;
  for (size_t i = 3; i < image.rgba.size(); i += 4) alpha += image.rgba[i];
  return alpha >= 255 * int64_t(image.width) * image.height / 200;  // half a percent of the square
}

Image compose(const Image& drawn, int size) {
  if (opaque(drawn)) return fit_square(drawn, size);
  int margin = size / 32;
  Image inner = fit_square(trim(drawn), size - 2 * margin);
  Image out(size, size);
  for (int y = 0; y < inner.height; y++) std::copy_n(inner.at(0, y), size_t(inner.width) * 4, out.at(margin, y + margin));
  return out;
}

void clean(std::string& s) { s = clean_caption(s); }

void clean(Meta& m) {
  clean(m.caption), clean(m.caption_ko);
  for (auto* list : {&m.captions, &m.captions_ko, &m.tags, &m.tags_ko}) {
    std::vector<std::string> fresh;
    for (auto& s : *list) {
      clean(s);
      if (s != m.caption && s != m.caption_ko) add_new(fresh, s);
    }
    *list = fresh;
  }
}

// A key that reads back as itself: no dots (they end a key), nothing that a tar or a shell would mind.
std::string safe_key(const std::string& key) {
  std::string safe;
  bool changed = false;
  for (char c : key) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '/';
    safe += plain ? c : '_';
    changed |= !plain;
  }
  if (safe.size() > 120) safe = safe.substr(0, 120), changed = true;
  return changed ? safe + fmt::format("-{:08x}", uint32_t(XXH64(key.data(), key.size(), 0))) : safe;
}

class Builder {
 public:
  Builder(const BuildOptions& options, fs::path folder, std::ostream& log) : o_(options), log_(log) {
    for (auto split : kSplits) {
      make_folder((folder / split).string());
      writers_.push_back(std::make_unique<ShardWriter>((folder / split).string(), "", kPerShard));
    }
  }

  void take(const std::string& source) {
    Tally& tally = tallies_.emplace_back();
    SourceOptions s{
        o_.cache, o_.scenes, o_.seed, o_.styles, {o_.together, o_.val, o_.heldout, o_.folder_captions, o_.window, o_.stratify}};
    own_ = !is_builtin_source(source) && !is_table_source(source);
    prefix_ = is_builtin_source(source) ? source : fs::path(source).stem().string();
    find_source(
        source, s,
        [&](Candidate&& c) {
          held_ += c.held;
          waiting_.push_back(std::move(c));
          if (waiting_.size() >= kChunk || held_ > kMostHeld) settle(tally);
        },
        tally.report);
    settle(tally);
  }

  std::vector<std::string> finish() {
    settle_pairs();
    std::vector<std::string> files;
    for (auto& w : writers_) {
      w->finish();
      files.insert(files.end(), w->files().begin(), w->files().end());
    }
    return files;
  }

  const std::vector<Tally>& tallies() const { return tallies_; }
  // How the person's own pictures are divided, where that matters: units on each side, and categories that one lacks.
  void say_division(std::ostream& log) const {
    int64_t alone = 0, units = 0;
    for (const auto& [split, n] : without_unit_) alone += n;
    for (const auto& [split, names] : units_) units += int64_t(names.size());
    int64_t asked = 0, matched = 0;
    for (const auto& t : tallies_) asked += t.report.asked, matched += t.report.matched;
    if (!o_.together.empty() && asked > 0 && matched == 0)
      refuse("--together ", shown(o_.together), ": none of the ", asked, " names has a match");
    if (units > 0) {
      log << fmt::format("kept together: {} units", units);
      for (const auto& [split, names] : units_) log << fmt::format(", {} in {}", names.size(), split);
      log << (alone ? fmt::format("; {} pictures that belong to none stand alone\n", alone) : "\n");
      if (units == 1) log << "all of them belong to one: val and train cannot be told apart; name what does with --together\n";
    }
    for (const auto& t : tallies_)
      if (t.report.burned_in)
        log << fmt::format("{}: {} pictures say that words of the patient are in their pixels; look before you pass them on\n",
                           t.report.name, t.report.burned_in);
    for (const auto& t : tallies_)
      if (t.report.nested)
        log << fmt::format(
            "{}: {} pictures lie in folders of folders ({}): each goes to train or val by itself{}; if such a folder is a "
            "patient, say how it is named, --together 'patient[0-9]+' for example\n",
            t.report.name, t.report.nested, shown(t.report.nested_in),
            o_.folder_captions ? ", and the innermost is the caption" : "");
    for (const char* split : {"val", "heldout"})
      if (!categories_.empty() && !categories_.contains(split) && !units_.contains(split) &&
          (split == std::string("val") || o_.heldout > 0))
        log << fmt::format("nothing is in {}; a larger --{} may have something\n", split, split);
    for (const auto& t : tallies_)
      if (t.report.nameless)
        log << fmt::format(
            "{}: {} files name no patient; they stand with their study, or alone: say what belongs together with "
            "--together\n",
            t.report.name, t.report.nameless);
    std::set<std::string> all;
    for (const auto& [split, names] : categories_) all.insert(names.begin(), names.end());
    for (const auto& [split, names] : categories_) {
      std::string lacks;
      if (split == "pairs" || all.size() > kMostCategories) continue;
      for (const auto& name : all)
        if (!names.contains(name)) lacks += (lacks.empty() ? "" : ", ") + name;
      if (lacks.empty()) continue;
      log << fmt::format("{} has no picture of: {}", split, lacks)
          << (split == "train" ? "; what is not trained on is not known: smaller shares may leave some\n"
                               : fmt::format("; a larger --{} may have\n", split));
    }
  }
  const std::map<std::string, std::map<std::string, int64_t>>& styles() const { return styles_; }
  // Concepts with a picture in the split; those of `pairs` are in `train` as well.
  std::map<std::string, int64_t> concepts() const {
    std::map<std::string, int64_t> n;
    for (auto& [split, names] : concepts_) n[split] = int64_t(names.size());
    return n;
  }

 private:
  using Pair = std::pair<std::string, std::string>;  // concept, style
  struct Drawn {
    Image image;
    std::vector<uint8_t> png;
    std::string fault;  // why not
  };

  void settle(Tally& tally) {
    std::vector<Drawn> drawn(waiting_.size());
    bool full = o_.limit > 0 && tally.kept >= o_.limit;
    parallel_for(full ? 0 : int64_t(waiting_.size()), [&](int64_t i) { draw(waiting_[size_t(i)], drawn[size_t(i)]); });
    for (size_t i = 0; i < waiting_.size(); i++) judge(waiting_[i], drawn[i], tally);
    waiting_.clear(), held_ = 0;
  }

  void draw(Candidate& c, Drawn& d) const {
    try {
      clean(c.meta);
      if (!c.subject.empty()) c.meta.subject = c.subject;
      else if (c.meta.subject.empty() && c.meta.scene.empty())
        c.meta.subject = concept_of(c.meta.caption.empty() ? c.meta.caption_ko : c.meta.caption);
      if (c.meta.style_ko.empty()) c.meta.style_ko = korean_style(c.meta.style);
      Image raw = c.draw(o_.size);
      d.image = c.ready ? std::move(raw) : compose(raw, o_.size);
      d.png = encode_png(d.image);
    } catch (const std::exception& e) {
      d.fault = e.what();
    }
  }

  void judge(Candidate& c, Drawn& d, Tally& tally) {
    if (o_.limit > 0 && tally.kept >= o_.limit) {
      tally.report.dropped["beyond --limit"]++;
      return;
    }
    if (!d.fault.empty()) {
      leave_out(tally.report, "not readable", d.fault);
      return;
    }
    if (!c.meta.has_text()) leave_out(tally.report, "no text", c.key);
    else if (!visible(d.image)) tally.report.dropped["empty picture"]++;
    else if (!c.ready && repeats(c, d.image)) tally.report.dropped["near-duplicates"]++;
    else keep(c, d, tally);
  }

  // One thing may look the same in two styles; any other picture may not come again. Remembers which pairs have twins.
  bool repeats(const Candidate& c, const Image& image) {
    Pair mine{c.meta.subject, c.meta.style};
    bool found = near_.find_or_keep(image, [&](int64_t k) {
      const auto& [other, unit] = drawn_[size_t(k)];
      if (!unit.empty() && !c.meta.unit.empty() && unit != c.meta.unit) return true;  // two patients look alike
      if (other.first != mine.first || other.second == mine.second) return false;
      twins_.insert(mine), twins_.insert(other);
      return true;
    }) >= 0;
    if (!found) drawn_.push_back({mine, c.meta.unit});
    return found;
  }

  void keep(Candidate& c, Drawn& d, Tally& tally) {
    bool free = c.split.empty();
    std::string split = free ? split_of(c.meta.subject) : c.split;
    Record record{safe_key(prefix_ + "/" + c.key), std::move(d.png), std::move(c.meta)};
    for (int n = 2; !keys_.insert(record.key).second; n++)
      record.key = safe_key(prefix_ + "/" + c.key) + "-" + std::to_string(n);
    tally.kept++;
    bool apart = free && split == "train" && !record.meta.style.empty() && pair_apart(record.meta.subject, record.meta.style);
    if (apart) apart_.push_back({std::move(record), tallies_.size() - 1});
    else write(record, split, tally);
  }

  void write(const Record& record, const std::string& split, Tally& tally) {
    size_t which = size_t(std::find(std::begin(kSplits), std::end(kSplits), split) - std::begin(kSplits));
    CHECK(which < writers_.size(), "a split, not '", split, "'");
    writers_[which]->add(to_sample(record));
    tally.split[split]++;
    const Meta& m = record.meta;
    if (!m.style.empty()) styles_[m.style][split]++;
    if (!m.subject.empty()) concepts_[split].insert(m.subject);
    if (split == "train") looks_[m.subject].insert(m.style);
    if (!own_) return;
    if (!m.group.empty()) categories_[split].insert(m.group.substr(0, m.group.find('/')));
    if (m.unit.empty()) ++without_unit_[split];
    else units_[split].insert(m.unit);
  }

  // Of the pairs set apart, those stay apart that the rest of train makes fair to ask for; the others join train.
  void settle_pairs() {
    for (auto& [record, source] : apart_) {
      const Pair pair{record.meta.subject, record.meta.style};
      const std::set<std::string>& looks = looks_[pair.first];
      bool fair = !looks.empty() && !looks.contains(pair.second) && styles_[pair.second]["train"] > 0 && !twins_.contains(pair);
      write(record, fair ? "pairs" : "train", tallies_[source]);
    }
    apart_.clear();
  }

  const BuildOptions& o_;
  std::ostream& log_;
  std::string prefix_;
  bool own_ = false;  // the source at hand is a person's own
  std::vector<std::unique_ptr<ShardWriter>> writers_;
  std::vector<Candidate> waiting_;
  int64_t held_ = 0;  // bytes of theirs
  NearDuplicates near_;
  std::vector<std::pair<Pair, std::string>> drawn_;  // of the pictures in near_, with their units
  std::set<Pair> twins_;
  std::set<std::string> keys_;
  std::vector<Tally> tallies_;
  std::vector<std::pair<Record, size_t>> apart_;                     // and the number of its tally
  std::map<std::string, std::set<std::string>> looks_, concepts_;    // concept -> styles in train; split -> concepts
  std::map<std::string, std::map<std::string, int64_t>> styles_;     // style -> split -> pictures
  std::map<std::string, std::set<std::string>> units_, categories_;  // split -> of the person's own pictures
  std::map<std::string, int64_t> without_unit_;                      // split -> pictures
};

uint64_t hash_files(const std::vector<std::string>& files) {
  XXH64_state_t* state = XXH64_createState();
  XXH64_reset(state, 0);
  for (auto& f : files) {
    Mapped tar(f);
    XXH64_update(state, tar.bytes().data(), tar.bytes().size());
  }
  uint64_t h = XXH64_digest(state);
  XXH64_freeState(state);
  return h;
}

std::string describe(const BuildOptions& o, const Builder& builder, const std::vector<std::string>& files) {
  nlohmann::ordered_json j, counts, sources = nlohmann::json::array();
  for (auto split : kSplits) counts[split] = 0;
  for (auto& t : builder.tallies()) {
    nlohmann::ordered_json s{{"name", t.report.name}, {"license", t.report.license}};
    for (auto& p : t.report.packages) s["packages"][p.name] = p.version;
    s["found"] = t.report.found, s["kept"] = t.kept, s["dropped"] = t.report.dropped;
    for (auto split : kSplits) {
      auto n = t.split.find(split);
      s[split] = n == t.split.end() ? 0 : n->second;
      counts[split] = counts[split].get<int64_t>() + s[split].get<int64_t>();
    }
    sources.push_back(s);
  }
  j["format"] = kFormat, j["size"] = o.size, j["seed"] = o.seed, j["counts"] = counts;
  if (o.window) j["window"] = {o.window->center, o.window->width};
  j["concepts"] = builder.concepts(), j["styles"] = builder.styles(), j["sources"] = sources;
  j["hash"] = fmt::format("xxh64:{:016x}", hash_files(files));
  return j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void print_table(const std::vector<Tally>& tallies, std::ostream& log) {
  log << fmt::format("{:<16}{:>8}{:>8}{:>8}{:>7}{:>9}{:>7}  dropped\n", "source", "found", "kept", "train", "val", "heldout",
                     "pairs");
  for (auto& t : tallies) {
    auto in = [&](const char* split) { return t.split.count(split) ? t.split.at(split) : 0; };
    std::string why;
    for (auto& [reason, n] : t.report.dropped) why += fmt::format("{}{} {}", why.empty() ? "" : ", ", n, reason);
    log << fmt::format("{:<16}{:>8}{:>8}{:>8}{:>7}{:>9}{:>7}  {}\n", t.report.name, t.report.found, t.kept, in("train"),
                       in("val"), in("heldout"), in("pairs"), why.empty() ? "-" : why);
    for (auto& e : t.report.examples) log << "    " << e << "\n";
  }
}

void check(const BuildOptions& o) {
  if (o.sources.empty()) refuse("no source named; try ", builtin_sources(), " or a folder of pictures");
  if (o.size < 8 || o.size > 1024) refuse("--size ", o.size, ": between 8 and 1024 pixels");
  if (!(o.val > 0 && o.val <= 1)) refuse("--val ", o.val, ": a share above 0, at most 1");
  if (!(o.heldout >= 0 && o.val + o.heldout < 1 + 1e-9))
    refuse("--heldout ", o.heldout, ": a share from 0 on, with --val at most 1");
  if (o.heldout > 0 && std::all_of(o.sources.begin(), o.sources.end(),
                                   [](const std::string& s) { return is_builtin_source(s) || is_table_source(s); }))
    refuse("--heldout is of your own pictures; these sources hold out what they hold out");
  if (o.scenes < 0 || o.scenes > 10'000'000) refuse("--scenes ", o.scenes, ": between 0 and 10 million");
  if (o.out.empty()) refuse("no --out folder named");
  std::error_code none;
  if (fs::exists(o.out, none) && !fs::exists(fs::path(o.out) / "dataset.json", none) &&
      !(fs::is_directory(o.out, none) && fs::is_empty(o.out, none)))
    refuse(o.out, ": is there and is no data set; name a new folder with --out");
  std::set<std::string> once;
  for (auto& s : o.sources) {
    if (!once.insert(s).second) refuse("source named twice: ", s);
    std::string path =
        is_table_source(s) ? s.substr(6) : s.substr(0, s.find(".json:") == s.npos ? s.npos : s.find(".json:") + 5);
    if (!is_builtin_source(s) && !fs::exists(path, none))
      refuse("unknown source '", s, "': neither ", builtin_sources(), " nor a file or folder");
  }
}

}  // namespace

void build_data(const BuildOptions& options, std::ostream& log) {
  check(options);
  auto start = std::chrono::steady_clock::now();
  fs::path out = fs::absolute(options.out).lexically_normal();
  if (!out.has_filename()) out = out.parent_path();
  fs::path part = out.parent_path() / ("." + out.filename().string() + ".part");
  make_folder(out.parent_path().string());
  std::error_code ignored;
  fs::remove_all(part, ignored);
  try {
    make_folder(part.string());
    Builder builder(options, part, log);
    for (auto& s : options.sources) {
      log << "reading " << s << " ..." << std::endl;
      builder.take(s);
    }
    auto files = builder.finish();
    print_table(builder.tallies(), log);
    builder.say_division(log);
    if (files.empty())
      refuse("no picture was kept (PNG, JPEG, WebP and DICOM are looked for), so nothing was written to ", options.out);
    std::string json = describe(options, builder, files);
    write_file((part / "dataset.json").string(), json);
    fs::remove_all(out);
    fs::rename(part, out);
  } catch (...) {
    fs::remove_all(part, ignored);
    throw;
  }
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  log << fmt::format("wrote {} in {:.1f} s\n", options.out, took.count());
}

}  // namespace duet
