// Data sets: an index over the mapped shards of one split.
#include <algorithm>
#include <filesystem>

#include "fusion/shards.h"
#include "kernels/error.h"
#include "kernels/files.h"

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

}  // namespace

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

Dataset Dataset::open(const std::string& dir, const std::string& split) {
  std::string folder = split.empty() ? dir : dir + "/" + split;
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
  m.say({item.meta.begin(), item.meta.end()});
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
