// Data sets: an index over the mapped shards of one split.
#include <algorithm>
#include <filesystem>

#include "fusion/shards.h"
#include "kernels/error.h"
#include "kernels/files.h"
#include "text/unicode.h"

namespace duet {
namespace {

std::string image_extension(std::span<const uint8_t> b) {
  auto at = [&](size_t i, std::string_view s) {
    return b.size() >= i + s.size() && std::equal(s.begin(), s.end(), reinterpret_cast<const char*>(b.data()) + i);
  };
  if (at(0, "\x89PNG")) return "png";
  if (at(0, "\xff\xd8\xff")) return "jpg";
  if (at(0, "RIFF") && at(8, "WEBP")) return "webp";
  return {};
}

// "10 in train, 1 in val" and which of these to take: val where something is to be judged, which training pictures flatter,
// else the first. Both empty where there is nothing.
std::pair<std::string, std::string> what_there_is(const std::string& dir, bool to_judge) {
  std::string all, first;
  for (const char* split : {"train", "val", "heldout", "pairs"}) {
    if (!has_split(dir, split)) continue;
    all += join(all.empty() ? "" : ", ", Dataset::open(dir, split).size(), " in ", split);
    if (first.empty() || (to_judge && split == std::string_view("val"))) first = split;
  }
  return {all, first};
}

}  // namespace

bool has_split(const std::string& dir, const std::string& split) {
  std::error_code none;
  for (const auto& e : std::filesystem::directory_iterator(dir + "/" + split, none))
    if (e.path().extension() == ".tar" && e.is_regular_file(none)) return true;
  return false;
}

struct Dataset::Index {
  struct Item {
    std::string key;
    std::span<const uint8_t> image, meta;
    bool json;
    int shard;
  };
  std::vector<std::string> shards;  // names for messages
  std::vector<Mapped> maps;
  std::vector<Item> items;
  std::vector<Fault> faults;
};

Dataset Dataset::open(const std::string& dir, const std::string& split, SplitBy by) {
  std::string folder = split.empty() ? dir : dir + "/" + split;
  if (!split.empty() && !has_split(dir, split))
    if (const auto [all, first] = what_there_is(dir, by == SplitBy::verb); !all.empty())
      refuse(dir, ": ", split, " is empty (the set has ", all, ")",
             by == SplitBy::nothing ? "" : (by == SplitBy::verb ? "; try --split " : "; try data.split=") + first);
  std::error_code ec;
  if (!std::filesystem::is_directory(folder, ec))
    refuse(folder, ": no such folder; `duet data build SOURCE... --out ", dir, "` makes it");
  auto index = std::make_shared<Index>();
  for (const std::string& path : list_shards(folder)) {
    int shard = int(index->maps.size());
    index->maps.emplace_back(path);
    index->shards.push_back(path);
    for (ShardView& v : index_shard(index->maps.back().bytes(), path)) {
      Index::Item item{v.key, {}, {}, false, shard};
      int images = 0;
      for (const char* ext : {"png", "jpg", "jpeg", "webp"})
        if (auto it = v.parts.find(ext); it != v.parts.end()) item.image = it->second, images++;
      if (auto it = v.parts.find("json"); it != v.parts.end()) item.meta = it->second, item.json = true;
      else if (it = v.parts.find("txt"); it != v.parts.end()) item.meta = it->second;
      std::string fault = v.fault;
      if (fault.empty() && images != 1) fault = images ? "several pictures" : "no picture (png, jpg, jpeg, webp)";
      if (fault.empty() && !item.meta.data()) fault = "no caption (json, txt)";
      if (fault.empty()) index->items.push_back(std::move(item));
      else index->faults.push_back({path + ": " + v.key, fault});
    }
  }
  Dataset d;
  d.index_ = std::move(index);
  return d;
}

int64_t Dataset::size() const { return index_->items.size(); }
const std::string& Dataset::key(int64_t i) const { return index_->items.at(i).key; }
std::span<const uint8_t> Dataset::image(int64_t i) const { return index_->items.at(i).image; }
const std::vector<Dataset::Fault>& Dataset::faults() const { return index_->faults; }

std::string Dataset::name(int64_t i) const {
  const auto& item = index_->items.at(i);
  return index_->shards[item.shard] + ": " + item.key;
}

Meta Dataset::meta(int64_t i) const {
  const auto& item = index_->items.at(i);
  if (item.json) return parse_meta(item.meta, name(i));
  Meta m;
  const std::string words(as_text(item.meta));
  if (const size_t at = broken_utf8(words); at != words.npos)
    refuse(name(i), ".txt: caption is not UTF-8 at ", shown_byte(words, at), "; convert it with iconv");
  m.say(words);
  return m;
}

Record Dataset::record(int64_t i) const {
  auto bytes = image(i);
  return {key(i), {bytes.begin(), bytes.end()}, meta(i)};
}

ShardSample to_sample(const Record& r) {
  std::string ext = image_extension(r.image_bytes);
  if (ext.empty()) refuse(r.key, ": not a PNG, JPEG or WebP picture");
  std::string json = dump_meta(r.meta);
  return {r.key, {{ext, r.image_bytes}, {"json", {json.begin(), json.end()}}}};
}

}  // namespace duet
