#include "kernels/safetensors.h"

#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <tuple>
#include <utility>

#include "kernels/error.h"
#include "kernels/quote.h"

namespace duet {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors bytes are used as they lie");

constexpr uint64_t kMostHeader = 100'000'000;  // the limit of the format's own readers
constexpr std::string_view kMetadata = "__metadata__", kHeaderSum = "xxh3", kTensorSum = "xxh3:";

struct Dtype {
  std::string_view name;
  int bits;
};
constexpr Dtype kDtypes[] = {{"BOOL", 8},    {"U8", 8},      {"I8", 8},          {"U16", 16},        {"I16", 16},
                             {"U32", 32},    {"I32", 32},    {"U64", 64},        {"I64", 64},        {"F16", 16},
                             {"BF16", 16},   {"F32", 32},    {"F64", 64},        {"C64", 64},        {"F8_E4M3", 8},
                             {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6},
                             {"F6_E3M2", 6}, {"F4", 4}};

using Element = simdjson::dom::element;
using Object = simdjson::dom::object;

std::string tensor_word(std::string_view tensor) { return "tensor " + shown(tensor); }

// Bytes of a tensor, or -1 where the product overflows or does not fill whole bytes.
int64_t byte_length(int bits, const std::vector<int64_t>& shape) {
  int64_t n = bits;
  bool empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
  if (empty) return 0;
  for (int64_t d : shape)
    if (d < 0 || __builtin_mul_overflow(n, d, &n)) return -1;
  return n % 8 ? -1 : n / 8;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string s = "[";
  for (size_t i = 0; i < shape.size(); ++i) s += (i ? "," : "") + std::to_string(shape[i]);
  return s + "]";
}

// What "xxh3" covers: names, dtypes, shapes and metadata (tensor sums among it), not the offsets, so that another program
// may order the tensors differently. Lengths before the texts keep two different headers from reading the same.
template <class Tensors>
uint64_t header_sum(const Tensors& tensors, const std::map<std::string, std::string>& metadata) {
  std::string all;
  auto add = [&](std::string_view s) { all += std::to_string(s.size()) + ":" + std::string(s); };
  for (const auto& [name, t] : tensors) add(name), add(t.dtype), add(shape_text(t.shape));
  all += ";";
  for (const auto& [key, value] : metadata)
    if (key != kHeaderSum) add(key), add(value);
  return xxh3(as_bytes(all));
}

// One entry of the header, every field checked; offsets are relative to the data.
struct Entry {
  TensorView view;
  uint64_t begin = 0, end = 0;
};

Entry read_entry(const std::string& file, std::string_view name, Element value, uint64_t data_size) {
  auto bad = [&](auto&&... why) { refuse(file, ": ", tensor_word(name), ": ", why...); };
  Object object;
  if (value.get(object)) bad("its entry is not an object");
  Entry e;
  int seen = 0;
  for (auto [key, v] : object) {
    simdjson::dom::array list;
    int bit = key == "dtype" ? 1 : key == "shape" ? 2 : key == "data_offsets" ? 4 : 0;
    if (!bit) bad("unknown key ", shown(key));
    if (seen & bit) bad("key ", shown(key), " appears twice");
    seen |= bit;
    if (bit == 1) {
      std::string_view s;
      if (v.get(s)) bad("dtype is not a string");
      e.view.dtype = s;
    } else if (v.get(list)) {
      bad(key, " is not a list");
    } else if (bit == 2) {
      for (Element d : list) {
        int64_t n;
        if (d.get(n) || n < 0) bad("shape holds something other than whole numbers from 0 to 2^63-1");
        e.view.shape.push_back(n);
      }
    } else {
      uint64_t* to[] = {&e.begin, &e.end};
      size_t n = 0;
      for (Element d : list)
        if (n == 2 || d.get(*to[n++])) bad("data_offsets is not [begin, end]");
      if (n != 2) bad("data_offsets is not [begin, end]");
    }
  }
  if (seen != 7) bad("its entry lacks ", seen & 1 ? seen & 2 ? "data_offsets" : "shape" : "dtype");
  int bits = dtype_bits(e.view.dtype);
  if (!bits) bad("unknown dtype ", shown(e.view.dtype));
  if (e.begin > e.end || e.end > data_size)
    bad("data_offsets [", e.begin, ", ", e.end, "] lie outside the file's ", data_size, " bytes of data",
        e.begin <= e.end ? " (a truncated copy? fetch it again)" : "");
  int64_t want = byte_length(bits, e.view.shape);
  if (want < 0 || uint64_t(want) != e.end - e.begin)
    bad("shape ", shape_text(e.view.shape), " of ", e.view.dtype, " needs ",
        want < 0 ? "an impossible number of" : std::to_string(want), " bytes, its data_offsets give ", e.end - e.begin);
  return e;
}

std::map<std::string, std::string> read_metadata(const std::string& file, Element value) {
  Object object;
  if (value.get(object)) refuse(file, ": __metadata__ is not an object");
  std::map<std::string, std::string> out;
  for (auto [key, v] : object) {
    std::string_view s;
    if (v.get(s)) refuse(file, ": __metadata__ key ", shown(key), " is not a string");
    if (!out.emplace(key, s).second) refuse(file, ": __metadata__ key ", shown(key), " appears twice");
  }
  return out;
}

// Tensors in file order must meet end to end from 0 to the last byte.
void check_cover(const std::string& file, const std::map<std::string, Entry>& entries, uint64_t data_size) {
  using Item = std::pair<const std::string, Entry>;
  std::vector<const Item*> order;
  for (const Item& item : entries) order.push_back(&item);
  std::sort(order.begin(), order.end(), [](const Item* a, const Item* b) {
    return std::tie(a->second.begin, a->second.end) < std::tie(b->second.begin, b->second.end);
  });
  uint64_t at = 0;
  for (const Item* item : order) {
    const auto& [name, e] = *item;
    if (e.begin < at) refuse(file, ": ", tensor_word(name), " overlaps the one before it at data byte ", e.begin);
    if (e.begin > at) refuse(file, ": a hole of ", e.begin - at, " bytes lies before ", tensor_word(name));
    at = e.end;
  }
  if (at != data_size)
    refuse(file, ": ", data_size - at, " bytes after the last tensor belong to none (", at, " of ", data_size, " are used)");
}

}  // namespace

int dtype_bits(std::string_view dtype) {
  for (const Dtype& d : kDtypes)
    if (d.name == dtype) return d.bits;
  return 0;
}

Safetensors Safetensors::open(const std::string& path, Verify verify) {
  auto map = std::make_shared<const Mapped>(path);
  Safetensors s = parse(map->bytes(), path, verify);
  s.map_ = std::move(map);
  return s;
}

Safetensors Safetensors::parse(Bytes bytes, const std::string& name, Verify verify) {
  Safetensors s;
  s.name_ = name;
  if (bytes.size() < 8) refuse(name, ": ", bytes.size(), " bytes are too few for a safetensors file");
  uint64_t n;
  std::memcpy(&n, bytes.data(), 8);
  if (n > kMostHeader) refuse(name, ": not a safetensors file: its header would be ", n, " bytes (at most 100 MB)");
  if (n > bytes.size() - 8)
    refuse(name, ": truncated: the header is ", n, " bytes, the file has ", bytes.size() - 8, " after its length");
  std::string_view header = as_text(bytes.subspan(8, n));
  if (header.empty() || header[0] != '{') refuse(name, ": not a safetensors file: the header does not start with '{'");
  Bytes data = bytes.subspan(8 + n);

  simdjson::dom::parser parser;
  simdjson::padded_string padded(header);
  Object object;
  if (auto error = parser.parse(padded).get(object))
    refuse(name, ": the header is not a JSON object: ", simdjson::error_message(error));

  std::map<std::string, Entry> entries;
  std::map<std::string, std::string> metadata;
  bool has_metadata = false;
  for (auto [key, value] : object) {
    if (key == kMetadata) {
      if (std::exchange(has_metadata, true)) refuse(name, ": __metadata__ appears twice");
      metadata = read_metadata(name, value);
    } else if (!entries.emplace(key, read_entry(name, key, value, data.size())).second) {
      refuse(name, ": ", tensor_word(key), " appears twice");
    }
  }
  check_cover(name, entries, data.size());
  for (auto& [key, e] : entries) {
    e.view.bytes = data.subspan(e.begin, e.end - e.begin);
    s.tensors_.emplace(key, std::move(e.view));
  }
  for (auto& [key, value] : metadata) {
    bool sum = key == kHeaderSum || key.starts_with(kTensorSum);
    (sum ? s.sums_ : s.metadata_).emplace(key, std::move(value));
  }
  if (verify == Verify::yes) s.verify();
  return s;
}

const TensorView& Safetensors::at(const std::string& tensor) const {
  auto it = tensors_.find(tensor);
  if (it == tensors_.end())
    refuse(name_, ": no ", tensor_word(tensor), " among its ", tensors_.size(), "; are these the right weights?");
  return it->second;
}

void Safetensors::verify() const {
  if (sums_.empty()) return;
  constexpr const char* kMend = " (damaged: fetch or restore it; rewritten by another program: drop its xxh3 metadata)";
  std::map<std::string, std::string> all = metadata_;
  all.insert(sums_.begin(), sums_.end());
  auto it = sums_.find(std::string(kHeaderSum));
  if (it == sums_.end() || it->second != hex64(header_sum(tensors_, all)))
    refuse(name_, ": the header does not match its checksum", kMend);
  for (const auto& [key, t] : tensors_) {
    it = sums_.find(std::string(kTensorSum) + key);
    if (it == sums_.end()) refuse(name_, ": ", tensor_word(key), " has no checksum although the file carries them", kMend);
    if (it->second != hex64(xxh3(t.bytes))) refuse(name_, ": ", tensor_word(key), " does not match its checksum", kMend);
  }
}

std::vector<Bytes> SafetensorsImage::parts() const& {
  std::vector<Bytes> all{as_bytes(header)};
  all.insert(all.end(), tensors.begin(), tensors.end());
  return all;
}

SafetensorsImage safetensors_image(const std::vector<TensorOut>& tensors, const std::map<std::string, std::string>& metadata) {
  auto utf8 = [](std::string_view s) { return simdjson::validate_utf8(s.data(), s.size()); };
  std::map<std::string, TensorView> views;
  std::vector<const TensorOut*> order;
  std::map<std::string, std::string> all = metadata;
  for (const auto& [key, value] : metadata) {
    CHECK(utf8(key) && utf8(value), "metadata must be UTF-8: ", shown(key));
    CHECK(key != kHeaderSum && !key.starts_with(kTensorSum), "checksums are written here: ", shown(key));
  }
  for (const TensorOut& t : tensors) {
    int bits = dtype_bits(t.dtype);
    CHECK(utf8(t.name) && t.name != kMetadata, tensor_word(t.name), " cannot be called so");
    CHECK(bits > 0, tensor_word(t.name), ": unknown dtype ", t.dtype);
    CHECK(byte_length(bits, t.shape) == int64_t(t.bytes.size()), tensor_word(t.name), ": ", t.dtype, " ", shape_text(t.shape),
          " does not fit ", t.bytes.size(), " bytes");
    CHECK((views.emplace(t.name, TensorView{t.dtype, t.shape, t.bytes}).second), tensor_word(t.name), " given twice");
    all.emplace(std::string(kTensorSum) + t.name, hex64(xxh3(t.bytes)));
    order.push_back(&t);
  }
  all.emplace(kHeaderSum, hex64(header_sum(views, all)));
  std::sort(order.begin(), order.end(), [](const TensorOut* a, const TensorOut* b) {
    int x = dtype_bits(a->dtype), y = dtype_bits(b->dtype);
    return x != y ? x > y : a->name < b->name;
  });

  SafetensorsImage image;
  std::string json = "{" + json_string(kMetadata) + ":{";
  bool first = true;
  for (const auto& [key, value] : all)
    json += (std::exchange(first, false) ? "" : ",") + json_string(key) + ":" + json_string(value);
  json += "}";
  uint64_t at = 0;
  for (const TensorOut* t : order) {
    json += "," + json_string(t->name) + ":{\"dtype\":\"" + t->dtype + "\",\"shape\":" + shape_text(t->shape) +
            ",\"data_offsets\":[" + std::to_string(at) + "," + std::to_string(at + t->bytes.size()) + "]}";
    at += t->bytes.size();
    image.tensors.push_back(t->bytes);
  }
  json += "}";
  json.append((8 - json.size() % 8) % 8, ' ');
  uint64_t n = json.size();
  CHECK(n <= kMostHeader, "the header of ", tensors.size(), " tensors is over 100 MB");
  image.header.assign(reinterpret_cast<const char*>(&n), 8);
  image.header += json;
  return image;
}

void write_safetensors(const std::string& path, const std::vector<TensorOut>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  SafetensorsImage image = safetensors_image(tensors, metadata);
  write_file(path, image.parts());
}

}  // namespace duet
