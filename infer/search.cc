#include "infer/search.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <system_error>

#include "fusion/shards.h"
#include "infer/reader.h"
#include "kernels/files.h"
#include "kernels/parallel.h"
#include "kernels/safetensors.h"
#include "vision/codec.h"

namespace duet {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kMaxPictures = 4'000'000, kPiece = 64;

bool holds_tars(const fs::path& dir) {
  std::error_code none;
  for (const auto& e : fs::directory_iterator(dir, none))
    if (e.path().extension() == ".tar") return true;
  return false;
}

void add_split(Gallery& g, std::vector<std::pair<Dataset, int64_t>>& sets, const std::string& dir, const std::string& split) {
  const Dataset d = Dataset::open(dir, split);
  sets.emplace_back(d, int64_t(g.items.size()));
  for (int64_t i = 0; i < d.size(); ++i) {
    std::string label;
    try {
      const Meta m = d.meta(i);
      label = m.caption.empty() ? m.caption_ko : m.caption;
    } catch (const Error&) {  // its words do not matter here
    }
    g.items.push_back({d.name(i), label, xxh3(d.image(i))});
  }
}

// Vectors depend on how a picture is framed, too: those of oblong ones were once of their middle square.
std::string with_framing(const std::string& maker) { return maker + ", whole pictures"; }

// Rows by stamp, from a cache of this maker.
std::map<uint64_t, std::vector<float>> read_cache(const std::string& path, const std::string& maker, int64_t E) {
  std::map<uint64_t, std::vector<float>> rows;
  if (path.empty() || !fs::exists(path)) return rows;
  try {
    const Safetensors f = Safetensors::open(path);
    if (f.metadata().count("maker") == 0 || f.metadata().at("maker") != with_framing(maker)) return rows;
    const TensorView &stamps = f.at("stamps"), &values = f.at("rows");
    if (stamps.dtype != "I64" || stamps.shape.size() != 1 || values.dtype != "F32" ||
        values.shape != std::vector<int64_t>{stamps.shape[0], E})
      return rows;
    for (int64_t i = 0; i < stamps.shape[0]; ++i) {
      uint64_t stamp;
      std::memcpy(&stamp, stamps.bytes.data() + 8 * i, 8);
      std::vector<float>& row = rows[stamp];
      row.resize(size_t(E));
      std::memcpy(row.data(), values.bytes.data() + size_t(i * E) * 4, size_t(E) * 4);
    }
  } catch (const Error&) {  // damaged: it is written anew
    rows.clear();
  }
  return rows;
}

void write_cache(const std::string& path, const std::string& maker, const Gallery& g, const PictureIndex& index) {
  std::vector<uint64_t> stamps;
  for (int64_t i : index.item) stamps.push_back(g.items[size_t(i)].stamp);
  const int64_t n = int64_t(stamps.size());
  try {
    write_safetensors(path,
                      {{"stamps", "I64", {n}, {reinterpret_cast<const uint8_t*>(stamps.data()), size_t(n) * 8}},
                       {"rows", "F32", {n, index.rows.shape().last()}, {index.rows.data<uint8_t>(), index.rows.bytes()}}},
                      {{"maker", with_framing(maker)}});
  } catch (const Error&) {  // a folder that may not be written to: the next search takes as long as this one
  }
}

}  // namespace

std::vector<std::string> list_pictures(const std::string& path) {
  std::error_code none;
  if (!fs::is_directory(path, none)) return {path};
  std::vector<std::string> out;
  const auto options = fs::directory_options::skip_permission_denied;
  for (auto it = fs::recursive_directory_iterator(path, options, none); it != fs::recursive_directory_iterator();
       it.increment(none)) {
    if (it->path().filename().string().starts_with(".")) {
      if (it->is_directory(none)) it.disable_recursion_pending();
    } else if (it->is_regular_file(none) && has_picture_name(it->path().string())) {
      out.push_back(it->path().string());
      if (int64_t(out.size()) > kMaxPictures) refuse(path, ": more than ", kMaxPictures, " pictures; name a smaller folder");
    }
  }
  std::sort(out.begin(), out.end());
  if (out.empty()) refuse(path, ": no pictures in this folder (.png, .jpg, .jpeg, .webp, .dcm, DICOM without an ending)");
  return out;
}

Gallery open_gallery(const std::string& dir, const std::string& split) {
  Gallery g;
  if (!fs::is_directory(dir)) refuse(dir, ": no such folder; name a folder of pictures or a data set");
  auto sets = std::make_shared<std::vector<std::pair<Dataset, int64_t>>>();
  for (const char* s : {"train", "val", "heldout", "pairs"})
    if ((split.empty() || split == s) && holds_tars(fs::path(dir) / s)) add_split(g, *sets, dir, s);
  if (!split.empty() && sets->empty())
    refuse(dir, "/", split, ": no such split of a data set; leave --split out or name another");
  if (sets->empty() && holds_tars(dir)) add_split(g, *sets, dir, "");
  if (!sets->empty()) {
    if (g.items.empty()) refuse(dir, ": a data set without pictures");
    g.load = [sets](int64_t i) {
      auto s = std::find_if(sets->rbegin(), sets->rend(), [&](const auto& p) { return p.second <= i; });
      return decode_image(s->first.image(i - s->second), s->first.name(i - s->second));
    };
    return g;
  }
  for (const auto& path : list_pictures(dir)) {
    std::error_code none;
    const int64_t seen[] = {int64_t(fs::file_size(path, none)),
                            int64_t(fs::last_write_time(path, none).time_since_epoch().count())};
    const std::string key =
        fs::relative(path, dir, none).string() + '\n' + std::to_string(seen[0]) + '\n' + std::to_string(seen[1]);
    g.items.push_back({path, fs::path(path).filename().string(), xxh3(as_bytes(key))});
  }
  g.load = [items = g.items](int64_t i) { return load_image(items[size_t(i)].name); };
  return g;
}

PictureIndex index_gallery(const Model& m, const std::string& maker, const Gallery& g, const std::string& cache,
                           const std::function<void(int64_t, int64_t)>& progress) {
  const int64_t N = int64_t(g.items.size()), E = m.config.embed;
  PictureIndex index;
  auto known = read_cache(cache, maker, E);
  std::vector<float> rows;
  for (int64_t first = 0; first < N; first += kPiece) {
    const int64_t n = std::min(kPiece, N - first);
    std::vector<std::optional<Image>> images(static_cast<size_t>(n));
    std::vector<std::string> faults(static_cast<size_t>(n));
    const auto old = [&](int64_t i) { return known.find(g.items[size_t(first + i)].stamp); };
    parallel_for(n, [&](int64_t i) {
      if (old(i) != known.end()) return;
      try {
        images[size_t(i)] = model_view(g.load(first + i), int(m.config.size));
      } catch (const Error& e) {
        faults[size_t(i)] = e.what();
      }
    });
    std::vector<Image> fresh;
    for (auto& image : images)
      if (image) fresh.push_back(std::move(*image));
    const Tensor made = embed_pictures(m, fresh);
    int64_t next = 0;
    for (int64_t i = 0; i < n; ++i) {
      const bool kept = old(i) != known.end();
      if (!kept && !images[size_t(i)]) {
        index.faults.push_back(faults[size_t(i)]);
        continue;
      }
      const float* row = kept ? old(i)->second.data() : made.data() + E * next++;
      rows.insert(rows.end(), row, row + E);
      index.item.push_back(first + i);
      index.reused += kept;
    }
    if (progress) progress(first + n, N);
  }
  index.rows = Tensor::copy_of({int64_t(index.item.size()), E}, rows);
  if (!cache.empty() && index.reused < int64_t(index.item.size())) write_cache(cache, maker, g, index);
  return index;
}

std::vector<Hit> nearest(const PictureIndex& index, const float* query, int64_t n) {
  const int64_t N = int64_t(index.item.size()), E = index.rows.shape().last();
  std::vector<Hit> hits(static_cast<size_t>(N));
  for (int64_t r = 0; r < N; ++r) {
    double dot = 0;
    for (int64_t e = 0; e < E; ++e) dot += double(index.rows.data()[r * E + e]) * query[e];
    hits[size_t(r)] = {index.item[size_t(r)], float(dot)};
  }
  n = std::clamp<int64_t>(n, 0, N);
  std::partial_sort(hits.begin(), hits.begin() + n, hits.end(),
                    [](const Hit& a, const Hit& b) { return a.cosine != b.cosine ? a.cosine > b.cosine : a.item < b.item; });
  hits.resize(size_t(n));
  return hits;
}

}  // namespace duet
