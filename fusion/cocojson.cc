#include "fusion/cocojson.h"

#include <simdjson.h>

#include <algorithm>
#include <filesystem>
#include <unordered_map>

#include "kernels/error.h"
#include "kernels/files.h"
#include "text/unicode.h"
#include "vision/codec.h"
#include "vision/dicom.h"

namespace duet {
namespace fs = std::filesystem;
namespace {

namespace dom = simdjson::dom;
constexpr size_t kMaxJson = size_t(1) << 30, kMaxPicture = size_t(64) << 20, kMaxWords = size_t(1) << 20;

std::vector<uint8_t> slurp(const std::string& path, size_t most) {
  Mapped file(path);
  if (file.bytes().size() > most) refuse(path, ": ", file.bytes().size(), " bytes; at most ", most);
  return {file.bytes().begin(), file.bytes().end()};
}

std::string lower_extension(const fs::path& p) {
  std::string e = p.extension().string();
  std::transform(e.begin(), e.end(), e.begin(), [](unsigned char c) { return c < 128 ? char(std::tolower(c)) : char(c); });
  return e;
}

// Formats that people have pictures in and nothing here reads.
bool is_other_picture(const fs::path& p) {
  const std::string e = lower_extension(p);
  for (const char* other :
       {".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".svg", ".ico", ".psd", ".nii", ".mha"})
    if (e == other) return true;
  return false;
}

// Path under the folder without its ending; a dot left in the last part would end the key early in a tar.
std::string key_of(const fs::path& relative) {
  const fs::path p = without_ending(relative);
  std::string last = p.filename().string();
  std::replace(last.begin(), last.end(), '.', '_');
  return (p.parent_path() / last).generic_string();
}

// Lexically under the folder, and no link leads out of it.
bool inside(const std::string& folder, const std::string& file) {
  std::error_code ec;
  fs::path root = fs::weakly_canonical(folder, ec), full = fs::weakly_canonical(fs::path(folder) / file, ec);
  if (ec || fs::path(file).is_absolute()) return false;
  fs::path relative = full.lexically_relative(root);
  return !relative.empty() && *relative.begin() != "..";
}

// Calls f; an Error becomes a report on that file.
template <class F>
void guarded(const std::string& file, const EachFault& bad, F&& f) {
  try {
    f();
  } catch (const Error& e) {
    bad(file, "not readable", e.what());
  }
}

dom::object read_object(dom::parser& parser, std::span<const uint8_t> bytes, const std::string& name) {
  dom::element root;
  dom::object object;
  if (bytes.empty()) refuse(name, ": empty; expected a JSON object");
  if (bytes.size() > kMaxJson) refuse(name, ": more than ", kMaxJson >> 20, " MiB of JSON");
  if (auto error = parser.parse(reinterpret_cast<const char*>(bytes.data()), bytes.size()).get(root))
    refuse(name, ": not JSON (", simdjson::error_message(error), ")");
  if (root.get(object)) refuse(name, ": expected a JSON object");
  return object;
}

std::string_view text_of(const dom::object& o, const char* key, const std::string& where) {
  std::string_view s;
  if (o[key].get(s)) refuse(where, ": key '", key, "': expected text");
  return s;
}

int64_t id_of(const dom::object& o, const char* key, const std::string& where) {
  int64_t v;
  if (o[key].get(v)) refuse(where, ": key '", key, "': expected a whole number");
  return v;
}

dom::array list_of(const dom::object& o, const char* key, const std::string& name) {
  dom::array a;
  if (o[key].get(a)) refuse(name, ": key '", key, "': expected a list; is this a COCO captions file?");
  return a;
}

dom::object item_of(const dom::element& e, const std::string& where) {
  dom::object o;
  if (e.get(o)) refuse(where, ": expected an object");
  return o;
}

// metadata.jsonl: file_name -> Meta, in the words of that line.
std::map<std::string, Meta> read_jsonl(const std::string& path) {
  std::map<std::string, Meta> out;
  Mapped file(path);
  std::string_view all = as_text(file.bytes());
  dom::parser parser;
  for (size_t at = 0, line = 1; at < all.size(); line++) {
    size_t end = std::min(all.find('\n', at), all.size());
    auto bytes = file.bytes().subspan(at, end - at);
    at = end + 1;
    if (std::all_of(bytes.begin(), bytes.end(), [](uint8_t c) { return c <= ' '; })) continue;
    std::string where = join(path, ": line ", line);
    Meta meta = parse_meta(bytes, where);
    dom::object o = read_object(parser, bytes, where);
    std::string name(text_of(o, "file_name", where));
    if (std::string_view text; meta.caption.empty() && !o["text"].get(text)) meta.say(std::string(text));
    if (!out.emplace(fs::path(name).lexically_normal().generic_string(), std::move(meta)).second)
      refuse(where, ": '", name, "' was named before");
  }
  return out;
}

}  // namespace

void read_coco(const std::string& json, const std::string& folder, const EachRecord& each, const EachFault& bad) {
  Mapped file(json);
  dom::parser parser;
  dom::object root = read_object(parser, file.bytes(), json);

  std::unordered_map<int64_t, std::vector<std::string>> captions;
  size_t n = 0;
  for (dom::element e : list_of(root, "annotations", json)) {
    std::string where = join(json, ": annotations[", n++, "]");
    dom::object o = item_of(e, where);
    captions[id_of(o, "image_id", where)].emplace_back(text_of(o, "caption", where));
  }
  n = 0;
  for (dom::element e : list_of(root, "images", json)) {
    std::string where = join(json, ": images[", n++, "]");
    dom::object o = item_of(e, where);
    std::string name(text_of(o, "file_name", where));
    const int64_t id = id_of(o, "id", where);
    auto words = captions.find(id);
    if (words == captions.end()) {
      bad(name, "no caption", "");
    } else if (!inside(folder, name)) {
      bad(name, "outside the folder", "");
    } else {
      guarded(name, bad, [&] {
        Record r{key_of(name), slurp((fs::path(folder) / name).string(), kMaxPicture), {}};
        for (const auto& w : words->second) r.meta.say(w);
        r.meta.coco_id = id;
        each(std::move(r));
      });
    }
  }
}

void read_folder(const std::string& folder, const EachRecord& each, const EachFault& bad, bool folder_captions,
                 const std::function<bool(const std::string&)>& no_word) {
  std::error_code ec;
  if (!fs::is_directory(folder, ec)) refuse(folder, ": no such folder");
  std::vector<std::string> files;
  for (auto it = fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied);
       it != fs::recursive_directory_iterator(); ++it)
    if (it->is_regular_file(ec) && (has_picture_name(it->path().string()) || is_other_picture(it->path())))
      files.push_back(it->path().lexically_relative(folder).generic_string());
  std::sort(files.begin(), files.end());

  fs::path table = fs::path(folder) / "metadata.jsonl";
  std::map<std::string, Meta> known;
  if (fs::exists(table)) known = read_jsonl(table.string());

  for (const std::string& name : files) {
    const fs::path path = fs::path(folder) / name, json = without_ending(path).concat(".json"),
                   txt = without_ending(path).concat(".txt");
    fs::path category;
    for (const fs::path& part : fs::path(name).parent_path())
      if (!no_word || !no_word(part.string())) category /= part;
    if (!category.empty() && names_dicom(path.string())) category = *category.begin();
    guarded(name, bad, [&] {
      Meta meta;
      std::string empty;  // what was there, and had no words
      auto row = known.extract(name);
      if (!has_picture_name(path.string())) return bad(name, "not PNG, JPEG, WebP or DICOM", "");
      if (row) meta = std::move(row.mapped()), empty = "its line of metadata.jsonl has no 'caption'";
      else if (fs::exists(json))
        meta = parse_meta(slurp(json.string(), kMaxWords), json.string()), empty = json.string() + " has no 'caption'";
      else if (fs::exists(txt)) {
        const auto bytes = slurp(txt.string(), kMaxWords);
        const std::string_view words = as_text(bytes);
        if (const size_t at = broken_utf8(words); at != words.npos)
          return bad(name, "caption is not UTF-8", join(txt.string(), ": ", shown_byte(words, at), "; convert it with iconv"));
        meta.say_file(words), empty = txt.string() + " is empty";
      }
      if (!meta.has_text() && empty.empty() && folder_captions) {
        std::string words = category.filename().string();
        std::replace_if(
            words.begin(), words.end(), [](char c) { return c == '_' || c == '-'; }, ' ');
        meta.say(words);
      }
      if (!meta.has_text())
        return bad(name, "no caption",
                   !empty.empty() ? empty
                                  : join("no ", txt.filename().string(), " or ", json.filename().string(),
                                         " beside it, and no --folder-captions"));
      if (meta.group.empty()) meta.group = category.generic_string();
      each({key_of(name), slurp(path.string(), kMaxPicture), std::move(meta)});
    });
  }
  for (auto& [name, meta] : known) bad(name, "named in metadata.jsonl, but not there", "");
}

}  // namespace duet
