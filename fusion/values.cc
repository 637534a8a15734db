#include "fusion/values.h"

#include <simdjson.h>
#include <toml++/toml.h>

#include <algorithm>
#include <set>

#include "kernels/error.h"
#include "kernels/quote.h"

namespace duet {
namespace {

constexpr size_t kMostToml = 1 << 20, kMostJson = 16 << 20;
constexpr int64_t kMostDots = 4096;

Value from_node(const toml::node& node) {
  Value value;
  value.line = int(node.source().begin.line);
  node.visit([&](const auto& n) {
    using T = std::decay_t<decltype(n)>;
    if constexpr (std::is_same_v<T, toml::table>) {
      Value::Table table;
      for (const auto& [key, child] : n) {
        table.keys.emplace_back(key.str());
        table.values.push_back(from_node(child));
        // Tables made by dotted keys carry no place of their own; the key does.
        if (table.values.back().line == 0) table.values.back().line = int(key.source().begin.line);
      }
      value.is = std::move(table);
    } else if constexpr (std::is_same_v<T, toml::array>) {
      Value::List list;
      for (const toml::node& child : n) list.push_back(from_node(child));
      value.is = std::move(list);
    } else if constexpr (std::is_same_v<T, toml::value<bool>> || std::is_same_v<T, toml::value<int64_t>> ||
                         std::is_same_v<T, toml::value<double>> || std::is_same_v<T, toml::value<std::string>>) {
      value.is = n.get();
    }
  });
  return value;
}

Value from_element(simdjson::dom::element e, const std::string& name) {
  using simdjson::dom::element_type;
  Value value;
  switch (e.type()) {
    case element_type::BOOL: value.is = bool(e); break;
    case element_type::INT64: value.is = int64_t(e); break;
    case element_type::UINT64:  // past int64_t: no integer field can hold it, a float can
    case element_type::DOUBLE: value.is = double(e); break;
    case element_type::STRING: value.is = std::string(std::string_view(e)); break;
    case element_type::NULL_VALUE: break;
    case element_type::ARRAY: {
      Value::List list;
      for (auto child : simdjson::dom::array(e)) list.push_back(from_element(child, name));
      value.is = std::move(list);
      break;
    }
    case element_type::OBJECT: {
      Value::Table table;
      std::set<std::string_view> keys;
      for (auto [key, child] : simdjson::dom::object(e)) {
        if (!keys.insert(key).second) refuse(name, ": key ", shown(key), " appears twice");
        table.keys.emplace_back(key);
        table.values.push_back(from_element(child, name));
      }
      value.is = std::move(table);
      break;
    }
  }
  return value;
}

}  // namespace

Value read_toml(std::string_view text, const std::string& name) {
  if (text.size() > kMostToml) refuse(name, ": ", text.size(), " bytes; a config has at most ", kMostToml);
  if (std::count(text.begin(), text.end(), '.') > kMostDots)
    refuse(name, ": more than ", kMostDots, " dots; is this a config?");
  try {
    return from_node(toml::parse(text, name));
  } catch (const toml::parse_error& e) {
    refuse(name, ":", e.source().begin.line, ": not TOML: ", std::string(e.description()));
  }
}

Value read_json(std::string_view text, const std::string& name) {
  if (text.size() > kMostJson) refuse(name, ": ", text.size(), " bytes; a JSON config has at most ", kMostJson);
  simdjson::dom::parser parser;
  simdjson::padded_string padded(text);
  simdjson::dom::element root;
  if (auto error = parser.parse(padded).get(root)) refuse(name, ": not JSON: ", simdjson::error_message(error));
  if (!root.is_object()) refuse(name, ": expected a JSON object");
  return from_element(root, name);
}

}  // namespace duet
