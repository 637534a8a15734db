// Metadata of a sample: JSON in by simdjson (hostile bytes), JSON out by nlohmann (our own values).
#include <simdjson.h>

#include <nlohmann/json.hpp>

#include "fusion/shards.h"
#include "kernels/error.h"
#include "text/unicode.h"

namespace duet {
namespace {

namespace dom = simdjson::dom;
constexpr size_t kMaxBytes = 1 << 20;
constexpr size_t kMaxList = 1024;

std::string text(const dom::element& v, std::string_view key, const std::string& name) {
  std::string_view s;
  if (v.is_null()) return {};
  if (v.get(s)) refuse(name, ": key '", key, "': expected text");
  return std::string(s);
}

std::vector<std::string> list(const dom::element& v, std::string_view key, const std::string& name) {
  std::vector<std::string> out;
  if (v.is_null()) return out;
  dom::array items;
  if (v.get(items)) refuse(name, ": key '", key, "': expected a list of texts");
  for (dom::element item : items) {
    if (out.size() == kMaxList) refuse(name, ": key '", key, "': more than ", kMaxList, " entries");
    out.push_back(text(item, key, name));
  }
  return out;
}

}  // namespace

void Meta::say(std::string words) {
  const bool korean = has_hangul(words);
  if (std::string& first = korean ? caption_ko : caption; first.empty()) first = std::move(words);
  else (korean ? captions_ko : captions).push_back(std::move(words));
}

void Meta::say_file(std::string_view text) {
  std::string of[2];
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    if (!clean_caption(line).empty()) of[has_hangul(line)].append(line).append("\n");
    at = end + 1;
  }
  if (of[0].empty() || of[1].empty()) return say(std::string(text));
  for (auto& words : of) say(std::move(words));
}

bool Meta::has_text() const {
  return !caption.empty() || !caption_ko.empty() || !captions.empty() || !captions_ko.empty() || !tags.empty() ||
         !tags_ko.empty();
}

Meta parse_meta(std::span<const uint8_t> bytes, const std::string& name) {
  if (bytes.size() > kMaxBytes) refuse(name, ": ", bytes.size(), " bytes of JSON; at most ", kMaxBytes);
  if (bytes.empty()) refuse(name, ": empty; expected a JSON object with 'caption'");
  thread_local dom::parser parser;
  dom::element root;
  dom::object object;
  if (auto error = parser.parse(reinterpret_cast<const char*>(bytes.data()), bytes.size()).get(root))
    refuse(name, ": not JSON (", simdjson::error_message(error), ")");
  if (root.get(object)) refuse(name, ": expected a JSON object with 'caption'");
  Meta m;
  for (auto [key, v] : object) {
    if (key == "caption") m.caption = text(v, key, name);
    else if (key == "caption_ko") m.caption_ko = text(v, key, name);
    else if (key == "captions") m.captions = list(v, key, name);
    else if (key == "captions_ko") m.captions_ko = list(v, key, name);
    else if (key == "tags") m.tags = list(v, key, name);
    else if (key == "tags_ko") m.tags_ko = list(v, key, name);
    else if (key == "source") m.source = text(v, key, name);
    else if (key == "license") m.license = text(v, key, name);
    else if (key == "group") m.group = text(v, key, name);
    else if (key == "style") m.style = text(v, key, name);
    else if (key == "style_ko") m.style_ko = text(v, key, name);
    else if (key == "concept") m.subject = text(v, key, name);
    else if (key == "unit") m.unit = text(v, key, name);
    else if (key == "scene") m.scene = v.is_null() ? std::string() : std::string(simdjson::minify(v));
    else if (key == "coco_id") {
      if (v.get(m.coco_id)) refuse(name, ": key 'coco_id': expected a whole number");
    } else if (key == "mirror_ok") {
      if (v.get(m.mirror_ok)) refuse(name, ": key 'mirror_ok': expected true or false");
    }
  }
  return m;
}

std::string dump_meta(const Meta& m) {
  nlohmann::ordered_json j;
  auto put = [&](const char* key, const auto& v) {
    if (!v.empty()) j[key] = v;
  };
  put("caption", m.caption);
  put("caption_ko", m.caption_ko);
  put("captions", m.captions);
  put("captions_ko", m.captions_ko);
  put("tags", m.tags);
  put("tags_ko", m.tags_ko);
  put("source", m.source);
  put("license", m.license);
  put("group", m.group);
  put("style", m.style);
  put("style_ko", m.style_ko);
  put("concept", m.subject);
  put("unit", m.unit);
  if (!m.scene.empty()) j["scene"] = nlohmann::ordered_json::parse(m.scene);
  if (m.coco_id >= 0) j["coco_id"] = m.coco_id;
  if (!m.mirror_ok) j["mirror_ok"] = false;
  if (j.is_null()) return "{}";
  return j.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string with_style(const std::string& caption, const std::string& style) {
  if (style.empty()) return caption;
  return caption.empty() ? style : caption + ", " + style;
}

}  // namespace duet
